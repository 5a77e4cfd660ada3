// A workgroup's sums at eight candidates, for kernels with 64 threads.
const ROW: u32 = 72u;
// A row per candidate, longer than it need be, so that neighbouring rows are in different banks.
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
