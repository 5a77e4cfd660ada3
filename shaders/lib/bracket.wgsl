// Candidate number k of 32 in a bracket of multipliers: bit patterns of positive floats, evenly spaced.
fn bracket_candidate(low: u32, high: u32, k: u32) -> u32 {
    let span = high - low;
    return low + (span / 33u) * (k + 1u) + ((span % 33u) * (k + 1u)) / 33u;
}
