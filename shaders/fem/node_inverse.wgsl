// One over the sum of the moduli of the elements around each node of the given mesh. Twin: fem/hierarchy.rs,
// make_inverse(). Traffic per element: 4 bytes of the modulus, 4 of the result.
struct Params {
    nx: u32,
    ny: u32,
    nz: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> moduli: array<f32>;
@group(0) @binding(2) var<storage, read_write> inverse: array<f32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = params.nx + 1u;
    let plane = row * (params.ny + 1u);
    let i = id.x + THREADS * MOST_GROUPS * id.y;
    if (i >= plane * (params.nz + 1u)) {
        return;
    }
    let node = vec3<u32>(i % row, i / row % (params.ny + 1u), i / plane);
    var sum = 0.0;
    for (var k = 0u; k < 8u; k++) {
        let bits = vec3<u32>(k & 1u, k >> 1u & 1u, k >> 2u);
        let at = node - bits;
        if (all(node >= bits) && at.x < params.nx && at.y < params.ny && at.z < params.nz) {
            sum += moduli[at.x + params.nx * (at.y + params.ny * at.z)];
        }
    }
    inverse[i] = 1.0 / sum;
}
