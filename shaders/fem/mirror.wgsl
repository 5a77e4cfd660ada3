// Every value and that of the element's mirror image along an axis become their mean. A thread owns a pair.
// Twin: topology/symmetry.rs, symmetrize(). Traffic per element: 4 bytes read, 4 written.
struct Params {
    nx: u32,
    ny: u32,
    nz: u32,
    axis: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> values: array<f32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let e = id.x + THREADS * MOST_GROUPS * id.y;
    let size = vec3<u32>(params.nx, params.ny, params.nz);
    if (e >= size.x * size.y * size.z) {
        return;
    }
    var at = vec3<u32>(e % size.x, e / size.x % size.y, e / (size.x * size.y));
    at[params.axis] = size[params.axis] - 1u - at[params.axis];
    let image = at.x + size.x * (at.y + size.y * at.z);
    if (e < image) {
        let mean = 0.5 * (values[e] + values[image]);
        values[e] = mean;
        values[image] = mean;
    }
}
