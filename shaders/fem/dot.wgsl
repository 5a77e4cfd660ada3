// A workgroup's share of a.b, both of degrees of freedom: plain sums of a thread, double-word ones of a
// workgroup. Twin: fem/vectors.rs, dot(). Traffic per degree of freedom: 8 bytes.
struct Params {
    len: u32,
    slab: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> state: SolveState;
@group(0) @binding(2) var<storage, read> left: array<f32>;
@group(0) @binding(3) var<storage, read> right: array<f32>;
@group(0) @binding(4) var<storage, read_write> partials: array<vec2<f32>>;

var<workgroup> sums: array<vec2<f32>, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (state.done != 0u) {
        return;
    }
    let end = min((group.x + 1u) * params.slab, params.len);
    var sum = vec2<f32>(0.0);
    for (var i = group.x * params.slab + thread; i < end; i += THREADS) {
        sum = dw_fma(sum, left[i], right[i]);
    }
    sums[thread] = dw_normalize(sum);
    block_sum(thread);
    if (thread == 0u) {
        partials[group.x] = sums[0];
    }
}
