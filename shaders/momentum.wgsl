// One step of heavy ball or Nesterov momentum. Twin: flow/momentum.rs, update(). Traffic: 12 bytes read, 8 written per unknown.
struct Params {
    len: u32,
    slab: u32,
    first_slab: u32,
    // h and mu = 1 - c h.
    rate: f32,
    decay: f32,
    nesterov: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> phase: PhaseState;
@group(0) @binding(2) var<storage, read> gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> iterate: array<f32>;
@group(0) @binding(4) var<storage, read_write> moment: array<f32>;
@group(0) @binding(5) var<storage, read_write> partials: array<vec2<f32>>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (phase.ended != 0u) {
        return;
    }
    var change = vec2<f32>(0.0);
    let end = min((group.x + 1u) * params.slab, params.len);
    for (var i = group.x * params.slab + thread; i < end; i += 256u) {
        let x = iterate[i];
        let g = gradient[i];
        let m = params.decay * moment[i] - params.rate * g;
        moment[i] = m;
        let next = x + params.rate * select(m, params.decay * m - params.rate * g, params.nesterov != 0u);
        iterate[i] = next;
        change = dw_fma(change, g, next - x);
    }
    change_store(thread, params.first_slab + group.x, change);
}
