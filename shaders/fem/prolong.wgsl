// x <- x + P y on the free degrees of freedom, y being the next coarser mesh's correction. A thread owns a
// fine node. Twin: fem/transfer.rs, prolong(). Traffic per fine node: 24 bytes of x, 4 of the mask, and an
// eighth of 12 of y.
struct Params {
    nx: u32,
    ny: u32,
    nz: u32,
    coarse_x: u32,
    coarse_y: u32,
    coarse_z: u32,
    weights_x: u32,
    weights_y: u32,
    weights_z: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> state: SolveState;
@group(0) @binding(2) var<storage, read> plan: array<u32>;
@group(0) @binding(3) var<storage, read> correction: array<f32>;
@group(0) @binding(4) var<storage, read_write> result: array<f32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = params.nx + 1u;
    let plane = row * (params.ny + 1u);
    let nodes = plane * (params.nz + 1u);
    let i = id.x + THREADS * MOST_GROUPS * id.y;
    if (state.done != 0u || i >= nodes) {
        return;
    }
    let coarse_row = params.coarse_x + 1u;
    let coarse_plane = coarse_row * (params.coarse_y + 1u);
    let coarse_nodes = coarse_plane * (params.coarse_z + 1u);
    let x = lower_of(0u, i % row);
    let y = lower_of(1u, i / row % (params.ny + 1u));
    let z = lower_of(2u, i / plane);
    let first = x.node + coarse_row * y.node + coarse_plane * z.node;
    var sum = vec3<f32>(0.0);
    for (var q = 0u; q < 8u; q++) {
        let bits = vec3<u32>(q & 1u, q >> 1u & 1u, q >> 2u);
        let ups = vec3<f32>(x.up, y.up, z.up);
        let weights = select(1.0 - ups, ups, bits == vec3<u32>(1u));
        let at = first + bits.x + coarse_row * bits.y + coarse_plane * bits.z;
        let values =
            vec3<f32>(correction[at], correction[coarse_nodes + at], correction[2u * coarse_nodes + at]);
        sum += weights.x * weights.y * weights.z * values;
    }
    for (var d = 0u; d < 3u; d++) {
        if ((plan[i] >> d & 1u) == 0u) {
            result[d * nodes + i] += sum[d];
        }
    }
}
