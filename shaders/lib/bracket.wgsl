// The state of the search for the volume's multiplier, kept between passes and from one search to the next,
// one per run. Twin: engine/gpu/shared.rs, Search.
struct Search {
    // 1: the bracket's ends are neighbouring floats, and passes recorded beyond that return at once.
    closed: u32,
    // The number of passes that did work in the whole run, for tests.
    passes: u32,
    // The multiplier that the last search found, as a bit pattern, and the distance to the one before, as a
    // difference of bit patterns. Before the first search: NO_MULTIPLIER.
    multiplier: u32,
    drift: u32,
    // 1: the candidates are where the volumes suggest the multiplier; 0: they are evenly spaced.
    placed: u32,
    // The number of passes of this search whose candidates were placed by the volumes and that narrowed the
    // bracket less than evenly spaced candidates would have.
    failures: u32,
    // The excess of the volume over its bound at the bracket's ends: at most 0 at the low end, at least 0 at
    // the high one. Unknown: 1 and -1.
    excess_low: f32,
    excess_high: f32,
    // The candidates: bit patterns of positive floats inside the bracket, in no order.
    candidates: array<u32, MOST_CANDIDATES>,
}
