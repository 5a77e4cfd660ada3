// Projection onto trust region and volume: partial sums of the volume at 32 candidate multipliers mu, of clip(z - rate slope - mu w). Eight threads share
// a candidate; 256 unknowns at a time are staged in workgroup memory. Twin: multiplier() in engine/cpu/potential.rs.
// Traffic: 16 bytes read per unknown for 32 candidates. Precision: double-word sums.
struct Params {
    len: u32,
    slab: u32,
    first_slab: u32,
    radius: f32,
    lower: f32,
    upper: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> phase: PhaseState;
@group(0) @binding(2) var<storage, read> iterate: array<f32>;
@group(0) @binding(3) var<storage, read> slope: array<f32>;
@group(0) @binding(4) var<storage, read> center: array<f32>;
@group(0) @binding(5) var<storage, read> volume_weights: array<f32>;
@group(0) @binding(6) var<storage, read_write> partials: array<vec2<f32>>;

// (z - rate slope, weight, center)
var<workgroup> tile: array<vec3<f32>, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (phase.ended != 0u) {
        return;
    }
    let rate = phase.rate;
    let candidate = thread % 32u;
    let lane = thread / 32u;
    let mu = bitcast<f32>(bracket_candidate(phase.bracket_low, phase.bracket_high, candidate));
    var sum = vec2<f32>(0.0);
    let begin = group.x * params.slab;
    let end = min(begin + params.slab, params.len);
    for (var start = begin; start < end; start += 256u) {
        let i = start + thread;
        if (i < end) {
            tile[thread] = vec3<f32>(iterate[i] - rate * slope[i], volume_weights[i], center[i]);
        }
        workgroupBarrier();
        let filled = min(256u, end - start);
        for (var k = lane; k < filled; k += 8u) {
            let t = tile[k];
            sum = dw_fma(sum, t.y, reach_clip(t.x - mu * t.y, t.z, params.radius, params.lower, params.upper));
        }
        workgroupBarrier();
    }
    bracket_sums(thread, dw_normalize(sum));
    if (thread < 32u) {
        partials[(params.first_slab + group.x) * 32u + thread] = sums[thread];
    }
}
