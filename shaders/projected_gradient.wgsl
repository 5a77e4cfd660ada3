// x <- clip(x - rate g - mu w), mu from the bracket where there is a volume. Twin: flow/projected_gradient.rs, update().
// Traffic: 12 bytes read, 4 written per unknown.
struct Params {
    len: u32,
    slab: u32,
    first_slab: u32,
    rate: f32,
    lower: f32,
    upper: f32,
    // 1: bounds and volume; 0: bounds only.
    has_volume: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> phase: PhaseState;
@group(0) @binding(2) var<storage, read> gradient: array<f32>;
@group(0) @binding(3) var<storage, read> volume_weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> iterate: array<f32>;
@group(0) @binding(5) var<storage, read_write> partials: array<vec2<f32>>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (phase.ended != 0u) {
        return;
    }
    let mu = bitcast<f32>(phase.bracket_high);
    var change = vec2<f32>(0.0);
    let end = min((group.x + 1u) * params.slab, params.len);
    for (var i = group.x * params.slab + thread; i < end; i += 256u) {
        let x = iterate[i];
        let g = gradient[i];
        var next = x - params.rate * g;
        if (params.has_volume != 0u) {
            next -= mu * volume_weights[i];
        }
        next = clamp(next, params.lower, params.upper);
        iterate[i] = next;
        change = dw_fma(change, g, next - x);
    }
    change_store(thread, params.first_slab + group.x, change);
}
