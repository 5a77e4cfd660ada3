// The double-word displacement grows by the correction, which becomes 0. Twin: fem/solver.rs, advance(),
// whose displacement is f64. Traffic per degree of freedom: 12 bytes read, 12 written.
struct Params {
    len: u32,
    slab: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> displacement: array<f32>;
@group(0) @binding(2) var<storage, read_write> correction: array<f32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let end = min((group.x + 1u) * params.slab, params.len);
    for (var i = group.x * params.slab + thread; i < end; i += THREADS) {
        let before = vec2<f32>(displacement[i], displacement[params.len + i]);
        let sum = dw_add(before, vec2<f32>(correction[i], 0.0));
        displacement[i] = sum.x;
        displacement[params.len + i] = sum.y;
        correction[i] = 0.0;
    }
}
