// Narrows the bracket of multipliers to the candidates around the volume bound, and chooses the candidates of
// the next pass or of the next search. One workgroup. Twin: domain/multiplier.rs, volume_scale(): both
// end at the same multiplier, by different sequences of candidates.
//
// Where the volumes at both ends are known, candidates stand about the point where the chord between them
// meets the bound, at distances that grow geometrically up to the bracket's ends: whatever the chord's error,
// the next bracket is about as wide as it. A search begins about the multiplier of the one before, at
// distances that grow geometrically from a fraction of how far that had moved. Wide brackets and unknown ends
// get evenly spaced candidates, and so does a search that has been misled as often as the passes recorded
// allow: engine/gpu/search.rs has the arithmetic.
struct Params {
    slabs: u32,
    // The volume bound, a double-word number.
    volume_high: f32,
    volume_low: f32,
    // 1: the volume falls as the multiplier grows; 0: it grows.
    falling: u32,
    // Whether this is the first pass of a search, and the bit patterns between which it searches.
    begins: u32,
    range_low: u32,
    range_high: u32,
    // The number of candidates of this pass and of the next one, and the number of failed passes after which
    // the next one spaces its candidates evenly.
    candidates: u32,
    next: u32,
    max_failures: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> phase: PhaseState;
@group(0) @binding(2) var<storage, read_write> search: Search;
@group(0) @binding(3) var<storage, read> partials: array<vec2<f32>>;

// In a wider bracket, with a factor of 16 or more between its ends, the volume is far from any chord.
const WIDE: u32 = 0x2000000u;
// The drift that is assumed before the second search: an eighth of a binade.
const FIRST_DRIFT: u32 = 0x100000u;

const EVEN: u32 = 0u;
const CHORD: u32 = 1u;
const DRIFT: u32 = 2u;

var<workgroup> idle: u32;
var<workgroup> sums: array<vec2<f32>, THREADS>;
// How the next candidates are chosen: between which ends, and about which point.
var<workgroup> how: u32;
var<workgroup> low: u32;
var<workgroup> high: u32;
var<workgroup> about: u32;

// Moves the bracket's ends to the candidates around the bound.
fn narrow(first_low: u32, first_high: u32) {
    var new_high = first_high;
    var far = 0u;
    for (var k = 0u; k < params.candidates; k++) {
        let excess = dw_add(sums[k], vec2<f32>(-params.volume_high, -params.volume_low)).x;
        // The first candidate on the far side of the bound closes the bracket.
        if ((excess > 0.0) == (params.falling == 0u)) {
            far |= 1u << k;
            if (search.candidates[k] < new_high) {
                new_high = search.candidates[k];
                search.excess_high = select(excess, -excess, params.falling != 0u);
            }
        }
    }
    var new_low = first_low;
    for (var k = 0u; k < params.candidates; k++) {
        let bits = search.candidates[k];
        if ((far & (1u << k)) == 0u && bits < new_high && bits > new_low) {
            let excess = dw_add(sums[k], vec2<f32>(-params.volume_high, -params.volume_low)).x;
            new_low = bits;
            search.excess_low = select(excess, -excess, params.falling != 0u);
        }
    }
    phase.bracket_low = new_low;
    phase.bracket_high = new_high;
    let span = first_high - first_low;
    if (search.placed != 0u && new_high - new_low > (span - 1u) / (params.candidates + 1u) + 1u) {
        search.failures++;
    }
}

// The data that the choice of the next candidates depends on.
fn plan() {
    low = phase.bracket_low;
    high = phase.bracket_high;
    how = EVEN;
    if (high - low <= 1u) {
        let before = search.multiplier;
        search.closed = 1u;
        search.multiplier = low;
        search.drift = select(max(low, before) - min(low, before), FIRST_DRIFT, before == NO_MULTIPLIER);
        how = DRIFT;
        about = low;
        low = params.range_low;
        high = params.range_high;
    } else if (high - low <= WIDE && high - low > params.next + 1u && search.failures < params.max_failures) {
        let rise = search.excess_high - search.excess_low;
        if (is_finite(search.excess_low) && is_finite(search.excess_high) && is_finite(rise)
            && search.excess_low <= 0.0 && search.excess_high >= 0.0 && rise > 0.0) {
            let from_value = bitcast<f32>(low);
            let met = from_value - search.excess_low / rise * (bitcast<f32>(high) - from_value);
            how = CHORD;
            about = clamp(bitcast<u32>(met), low + 1u, high - 1u);
        }
    }
    search.placed = select(0u, 1u, how != EVEN);
}

// The candidate number k of n inside the bracket.
fn candidate(k: u32, n: u32) -> u32 {
    let span = high - low;
    if (how == EVEN) {
        // Where the bracket has fewer numbers than n, each of them is a candidate.
        let whole = (span / (n + 1u)) * (k + 1u);
        let rest = ((span % (n + 1u)) * (k + 1u)) / (n + 1u);
        return clamp(low + whole + rest, low + 1u, high - 1u);
    }
    let j = k / 2u;
    let is_left = k % 2u == 0u;
    // The distance is at least 1, below `about` + 1 or above `about`.
    let space = select(high - 1u - min(about, high - 1u), about - min(about, low), is_left);
    var distance = 1.0;
    if (how == DRIFT) {
        // The distances begin at an eighth of the last drift and grow by factors of 16.
        distance = max(0.125 * f32(search.drift), 1.0) * exp2(4.0 * f32(j));
    } else if (j > 0u) {
        distance = 1.0 + exp2(log2(f32(max(space, 1u))) * f32(j) / f32(n / 2u));
    }
    let step = min(u32(min(distance, 2147483648.0)), space);
    return clamp(select(about + step, about + 1u - step, is_left), low + 1u, high - 1u);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) thread: u32) {
    if (thread == 0u) {
        idle = select(0u, 1u, phase.ended != ENDED_NO || (params.begins == 0u && search.closed != 0u));
    }
    if (workgroupUniformLoad(&idle) != 0u) {
        return;
    }
    let own = thread % params.candidates;
    var sum = vec2<f32>(0.0);
    for (var slab = thread / params.candidates; slab < params.slabs; slab += THREADS / params.candidates) {
        sum = dw_add(sum, partials[slab * params.candidates + own]);
    }
    sums[thread] = sum;
    for (var stride = THREADS / 2u; stride >= params.candidates; stride /= 2u) {
        workgroupBarrier();
        if (thread < stride) {
            sums[thread] = dw_add(sums[thread], sums[thread + stride]);
        }
    }
    workgroupBarrier();
    if (thread == 0u) {
        search.passes++;
        if (params.begins != 0u) {
            search.closed = 0u;
            search.failures = 0u;
            search.excess_low = 1.0;
            search.excess_high = -1.0;
            narrow(params.range_low, params.range_high);
        } else {
            narrow(phase.bracket_low, phase.bracket_high);
        }
        plan();
    }
    workgroupBarrier();
    // The first pass of a search has the candidates of one workgroup.
    let count = select(params.next, CANDIDATES, how == DRIFT);
    if (thread < count) {
        search.candidates[thread] = candidate(thread, count);
    }
}
