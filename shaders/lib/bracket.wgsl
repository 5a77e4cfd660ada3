// Candidate number k of 32 in a bracket of multipliers: bit patterns of positive floats, evenly spaced.
fn bracket_candidate(low: u32, high: u32, k: u32) -> u32 {
    let span = high - low;
    return low + (span / 33u) * (k + 1u) + ((span % 33u) * (k + 1u)) / 33u;
}

var<workgroup> sums: array<vec2<f32>, 256>;

// Adds up the shares that the eight threads of each candidate have; the totals are in sums[candidate].
fn bracket_sums(thread: u32, share: vec2<f32>) {
    sums[thread] = share;
    for (var stride = 128u; stride >= 32u; stride /= 2u) {
        workgroupBarrier();
        if (thread < stride) {
            sums[thread] = dw_add(sums[thread], sums[thread + stride]);
        }
    }
    workgroupBarrier();
}
