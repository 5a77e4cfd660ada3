// OC, first pass: x sqrt(-g/w), what x becomes at multiplier 1 before clipping. Twin: flow/optimality_criteria.rs, growth().
// Traffic: 12 bytes read, 4 written per unknown.
struct Params {
    len: u32,
    slab: u32,
    gradient_floor: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> phase: PhaseState;
@group(0) @binding(2) var<storage, read> gradient: array<f32>;
@group(0) @binding(3) var<storage, read> iterate: array<f32>;
@group(0) @binding(4) var<storage, read> volume_weights: array<f32>;
@group(0) @binding(5) var<storage, read_write> growth: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (phase.ended != 0u) {
        return;
    }
    let end = min((group.x + 1u) * params.slab, params.len);
    for (var i = group.x * params.slab + thread; i < end; i += 256u) {
        growth[i] = iterate[i] * sqrt(max(-gradient[i], params.gradient_floor) / volume_weights[i]);
    }
}
