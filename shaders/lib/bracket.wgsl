// The search for the multiplier of the volume: what it keeps between passes and from one search to the next,
// one per run. Twin: engine/gpu/shared.rs, Search.
struct Search {
    // 1: the bracket's ends are neighbouring floats; passes recorded beyond that return at once.
    closed: u32,
    // Passes that did work, ever: for tests.
    passes: u32,
    // What the last search found, and how far that was from the one before: bit patterns, and their
    // difference. No search yet: NO_MULTIPLIER.
    multiplier: u32,
    drift: u32,
    // 1: the candidates are where the volumes let expect the multiplier; 0: evenly spaced.
    placed: u32,
    // Passes of this search that were placed and did worse than evenly spaced ones do.
    failures: u32,
    // How far the volume is beyond its bound at the bracket's ends: at most 0 at the low one, at least 0 at
    // the high one. Unknown: 1 and -1.
    excess_low: f32,
    excess_high: f32,
    // Bit patterns of positive floats, in no order, inside the bracket.
    candidates: array<u32, MOST_CANDIDATES>,
}
