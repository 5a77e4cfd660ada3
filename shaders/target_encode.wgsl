// The transformed targets y = log(-g) + a log(max(x, floor)) of all samples. Twin: surrogate/transform.rs,
// encode(). Traffic: 8 bytes read and 4 written per sample and unknown.
struct Params {
    len: u32,
    slab: u32,
    rows: u32,
    damping: f32,
    gradient_floor: f32,
    iterate_floor: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> iterates: array<f32>;
@group(0) @binding(2) var<storage, read> gradients: array<f32>;
@group(0) @binding(3) var<storage, read_write> encoded: array<f32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let end = min((group.x + 1u) * params.slab, params.len);
    for (var i = group.x * params.slab + thread; i < end; i += THREADS) {
        let at = group.y * params.len + i;
        encoded[at] = log(max(-gradients[at], params.gradient_floor))
            + params.damping * log(max(iterates[at], params.iterate_floor));
    }
}
