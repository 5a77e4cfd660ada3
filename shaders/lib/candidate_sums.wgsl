// Partial sums of the volume at eight candidate multipliers per workgroup, for kernels with 64 threads whose
// parameters have len, slab, first_slab and candidates. Their add_volume(i, multipliers, shares) adds what
// unknown i has at each of the eight.
const THREADS: u32 = 64u;
// A row per candidate, longer than it need be, so that neighbouring rows are in different banks.
const ROW: u32 = 72u;
var<workgroup> sums: array<vec2<f32>, 576>;

// Adds up the threads' shares and leaves them in the partial sums, from `first` on.
fn candidate_sums(thread: u32, first: u32, shares: array<vec2<f32>, 8>) {
    var share = shares;
    for (var t = 0u; t < CANDIDATES; t++) {
        sums[t * ROW + thread] = dw_normalize(share[t]);
    }
    workgroupBarrier();
    // From here on eight threads have a candidate to themselves.
    let at = (thread / 8u) * ROW + thread % 8u;
    var sum = sums[at];
    for (var k = 8u; k < 64u; k += 8u) {
        sum = dw_add(sum, sums[at + k]);
    }
    sums[at] = sum;
    for (var stride = 4u; stride > 0u; stride /= 2u) {
        workgroupBarrier();
        if (thread % 8u < stride) {
            sums[at] = dw_add(sums[at], sums[at + stride]);
        }
    }
    if (thread % 8u == 0u) {
        partials[first + thread / 8u] = sums[at];
    }
    // The next slab's shares come to the same place.
    workgroupBarrier();
}

// The slabs of one workgroup: every `stride`-th from group.x on, at the eight candidates that group.y stands
// for.
fn volume_pass(group: vec2<u32>, stride: u32, thread: u32) {
    let first = CANDIDATES * group.y;
    var multiplier: array<f32, 8>;
    for (var t = 0u; t < CANDIDATES; t++) {
        multiplier[t] = bitcast<f32>(search.candidates[first + t]);
    }
    let slabs = (params.len + params.slab - 1u) / params.slab;
    for (var slab = group.x; slab < slabs; slab += stride) {
        var sum: array<vec2<f32>, 8>;
        for (var t = 0u; t < CANDIDATES; t++) {
            sum[t] = vec2<f32>(0.0);
        }
        let end = min((slab + 1u) * params.slab, params.len);
        for (var i = slab * params.slab + thread; i < end; i += THREADS) {
            add_volume(i, &multiplier, &sum);
        }
        candidate_sums(thread, (params.first_slab + slab) * params.candidates + first, sum);
    }
}
