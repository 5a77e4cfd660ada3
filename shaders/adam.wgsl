// One step of ADAM. Twin: flow/adam.rs, update(). Traffic: 16 bytes read, 12 written per unknown; AMSGrad 4 more each.
struct Params {
    len: u32,
    slab: u32,
    first_slab: u32,
    rate: f32,
    beta1: f32,
    beta2: f32,
    // 1 - beta, rounded from f64: 1 - 0.999 in f32 would lose four digits.
    one_minus_beta1: f32,
    one_minus_beta2: f32,
    epsilon: f32,
    // 1 - beta^k of this step.
    correction1: f32,
    correction2: f32,
    amsgrad: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> phase: PhaseState;
@group(0) @binding(2) var<storage, read> gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> iterate: array<f32>;
@group(0) @binding(4) var<storage, read_write> first_moment: array<f32>;
@group(0) @binding(5) var<storage, read_write> second_moment: array<f32>;
// AMSGrad's running maximum; not touched otherwise.
@group(0) @binding(6) var<storage, read_write> maximum: array<f32>;
@group(0) @binding(7) var<storage, read_write> partials: array<vec2<f32>>;

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
        let m = params.beta1 * first_moment[i] + params.one_minus_beta1 * g;
        let v = params.beta2 * second_moment[i] + params.one_minus_beta2 * g * g;
        first_moment[i] = m;
        second_moment[i] = v;
        var second = v;
        if (params.amsgrad != 0u) {
            second = max(maximum[i], v);
            maximum[i] = second;
        }
        let next = x - params.rate * (m / params.correction1) / (sqrt(second / params.correction2) + params.epsilon);
        iterate[i] = next;
        change = dw_fma(change, g, next - x);
    }
    change_store(thread, params.first_slab + group.x, change);
}
