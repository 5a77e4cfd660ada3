// Partial sums of the volume at eight candidate multipliers per workgroup, for kernels with 64 threads whose
// parameters have len, slab, first_slab and candidates. Their add_volume(i, multipliers, shares) adds what
// unknown i has at each of the eight.
// One number per candidate of a workgroup, and one sum.
alias Multipliers = array<f32, CANDIDATES>;
alias Shares = array<vec2<f32>, CANDIDATES>;
// The number of threads that add up the shares of one candidate.
const PER_CANDIDATE: u32 = THREADS / CANDIDATES;
// A row of shares per candidate, longer than needed so that neighbouring rows are in different banks.
const ROW: u32 = THREADS + CANDIDATES;
var<workgroup> sums: array<vec2<f32>, ROW * CANDIDATES>;

// Adds up the threads' shares and leaves them in the partial sums, from `first` on.
fn candidate_sums(thread: u32, first: u32, shares: Shares) {
    var share = shares;
    for (var t = 0u; t < CANDIDATES; t++) {
        sums[t * ROW + thread] = dw_normalize(share[t]);
    }
    workgroupBarrier();
    // From here on each candidate has PER_CANDIDATE threads of its own.
    let at = (thread / PER_CANDIDATE) * ROW + thread % PER_CANDIDATE;
    var sum = sums[at];
    for (var k = PER_CANDIDATE; k < THREADS; k += PER_CANDIDATE) {
        sum = dw_add(sum, sums[at + k]);
    }
    sums[at] = sum;
    for (var stride = PER_CANDIDATE / 2u; stride > 0u; stride /= 2u) {
        workgroupBarrier();
        if (thread % PER_CANDIDATE < stride) {
            sums[at] = dw_add(sums[at], sums[at + stride]);
        }
    }
    if (thread % PER_CANDIDATE == 0u) {
        partials[first + thread / PER_CANDIDATE] = sums[at];
    }
    // The shares of the next slab overwrite these.
    workgroupBarrier();
}

// The slabs of one workgroup: every `stride`-th from group.x on, at the eight candidates that group.y stands
// for.
fn volume_pass(group: vec2<u32>, stride: u32, thread: u32) {
    let first = CANDIDATES * group.y;
    var multiplier: Multipliers;
    for (var t = 0u; t < CANDIDATES; t++) {
        multiplier[t] = bitcast<f32>(search.candidates[first + t]);
    }
    let slabs = (params.len + params.slab - 1u) / params.slab;
    for (var slab = group.x; slab < slabs; slab += stride) {
        var sum: Shares;
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
