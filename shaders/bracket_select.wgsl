// Narrows the bracket of multipliers to the candidates around the volume bound. One workgroup.
// Twin: flow/optimality_criteria.rs, volume_scale().
struct Params {
    slabs: u32,
    // The volume bound, double-word.
    volume_high: f32,
    volume_low: f32,
    // 1: the volume falls as the multiplier grows; 0: it grows.
    falling: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> phase: PhaseState;
@group(0) @binding(2) var<storage, read> partials: array<vec2<f32>>;

var<workgroup> ended: u32;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) thread: u32) {
    if (thread == 0u) {
        ended = phase.ended;
    }
    if (workgroupUniformLoad(&ended) != 0u) {
        return;
    }
    let candidate = thread % 32u;
    var sum = vec2<f32>(0.0);
    for (var slab = thread / 32u; slab < params.slabs; slab += 8u) {
        sum = dw_add(sum, partials[slab * 32u + candidate]);
    }
    bracket_sums(thread, sum);
    if (thread == 0u) {
        let low = phase.bracket_low;
        let high = phase.bracket_high;
        var new_low = low;
        var new_high = high;
        // The first candidate on the far side of the bound closes the bracket.
        for (var k = 0u; k < 32u; k++) {
            let excess = dw_add(sums[k], vec2<f32>(-params.volume_high, -params.volume_low));
            let bits = bracket_candidate(low, high, k);
            if ((excess.x > 0.0) == (params.falling == 0u)) {
                new_high = min(new_high, bits);
            } else if (bits < new_high) {
                new_low = bits;
            }
        }
        phase.bracket_low = new_low;
        phase.bracket_high = new_high;
    }
}
