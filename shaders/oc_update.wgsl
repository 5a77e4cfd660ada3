// OC, last pass: x <- clip(growth s). Twin: flow/optimality_criteria.rs, clip(). Traffic: 12 bytes read, 4 written per unknown.
struct Params {
    len: u32,
    slab: u32,
    first_slab: u32,
    reach: f32,
    lower: f32,
    upper: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> phase: PhaseState;
@group(0) @binding(2) var<storage, read> gradient: array<f32>;
@group(0) @binding(3) var<storage, read> growth: array<f32>;
@group(0) @binding(4) var<storage, read_write> iterate: array<f32>;
@group(0) @binding(5) var<storage, read_write> partials: array<vec2<f32>>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (phase.ended != 0u) {
        return;
    }
    let scale = bitcast<f32>(phase.bracket_low);
    var change = vec2<f32>(0.0);
    let end = min((group.x + 1u) * params.slab, params.len);
    for (var i = group.x * params.slab + thread; i < end; i += 256u) {
        let x = iterate[i];
        let next = clamp(growth[i] * scale, max(x - params.reach, params.lower), min(x + params.reach, params.upper));
        iterate[i] = next;
        change = dw_fma(change, gradient[i], next - x);
    }
    change_store(thread, params.first_slab + group.x, change);
}
