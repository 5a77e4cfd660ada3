// x <- the end of a Runge-Kutta step, with the account of g.dx; AMSGrad's maximum is raised. Twin:
// engine/cpu/equation.rs, equation_step().
struct Params {
    len: u32,
    slab: u32,
    first_slab: u32,
    amsgrad: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> phase: PhaseState;
// The gradient at the step's start.
@group(0) @binding(2) var<storage, read> gradient: array<f32>;
@group(0) @binding(3) var<storage, read> end_iterate: array<f32>;
// The moments m and v at the step's start, one after another.
@group(0) @binding(4) var<storage, read> end_moments: array<f32>;
@group(0) @binding(5) var<storage, read_write> iterate: array<f32>;
// The flow's own vectors.
@group(0) @binding(6) var<storage, read_write> auxiliary: array<f32>;
@group(0) @binding(7) var<storage, read_write> partials: array<vec2<f32>>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (phase.ended != ENDED_NO) {
        return;
    }
    var change = vec2<f32>(0.0);
    let end = min((group.x + 1u) * params.slab, params.len);
    for (var i = group.x * params.slab + thread; i < end; i += THREADS) {
        let next = end_iterate[i];
        change = dw_fma(change, gradient[i], next - iterate[i]);
        iterate[i] = next;
        if (params.amsgrad != 0u) {
            let at = 2u * params.len + i;
            auxiliary[at] = max(auxiliary[at], end_moments[params.len + i]);
        }
    }
    change_store(thread, params.first_slab + group.x, change);
}
