// A workgroup's share of f.u, u being in double-word. Twin: fem/vectors.rs, dot(). Traffic per degree of
// freedom: 12 bytes.
struct Params {
    len: u32,
    slab: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> load: array<f32>;
@group(0) @binding(2) var<storage, read> displacement: array<f32>;
@group(0) @binding(3) var<storage, read_write> partials: array<vec2<f32>>;

var<workgroup> sums: array<vec2<f32>, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let end = min((group.x + 1u) * params.slab, params.len);
    var sum = vec2<f32>(0.0);
    for (var i = group.x * params.slab + thread; i < end; i += THREADS) {
        sum = dw_fma(sum, load[i], displacement[i]);
        sum = dw_add_word(sum, load[i] * displacement[params.len + i]);
    }
    sums[thread] = dw_normalize(sum);
    block_sum(thread);
    if (thread == 0u) {
        partials[group.x] = sums[0];
    }
}
