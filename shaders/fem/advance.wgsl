// One step of conjugate gradients: the correction grows by step p, the residual falls by step K p; with the
// workgroup's share of the residual's square. Twin: fem/solver.rs, advance(). Traffic per degree of freedom:
// 16 bytes read, 8 written.
struct Params {
    len: u32,
    slab: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> state: SolveState;
@group(0) @binding(2) var<storage, read> direction: array<f32>;
@group(0) @binding(3) var<storage, read> product: array<f32>;
@group(0) @binding(4) var<storage, read_write> correction: array<f32>;
@group(0) @binding(5) var<storage, read_write> residual: array<f32>;
@group(0) @binding(6) var<storage, read_write> partials: array<vec2<f32>>;

var<workgroup> sums: array<vec2<f32>, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (state.done != 0u) {
        return;
    }
    let end = min((group.x + 1u) * params.slab, params.len);
    var sum = vec2<f32>(0.0);
    for (var i = group.x * params.slab + thread; i < end; i += THREADS) {
        correction[i] += state.step * direction[i];
        let r = residual[i] - state.step * product[i];
        residual[i] = r;
        sum = dw_fma(sum, r, r);
    }
    sums[thread] = dw_normalize(sum);
    block_sum(thread);
    if (thread == 0u) {
        partials[group.x] = sums[0];
    }
}
