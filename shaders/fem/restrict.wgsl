// The right-hand side of the next coarser mesh, P^T r, 0 where that is held. A thread owns a coarse node and
// goes through the fine ones around it. Twin: fem/transfer.rs, restrict(). Traffic per fine node: 12 bytes
// of r, and an eighth of 12 of the result.
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
@group(0) @binding(3) var<storage, read> coarse_plan: array<u32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> right_side: array<f32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let coarse_row = params.coarse_x + 1u;
    let coarse_plane = coarse_row * (params.coarse_y + 1u);
    let coarse_nodes = coarse_plane * (params.coarse_z + 1u);
    let i = id.x + THREADS * MOST_GROUPS * id.y;
    if (state.done != 0u || i >= coarse_nodes) {
        return;
    }
    let row = params.nx + 1u;
    let plane = row * (params.ny + 1u);
    let nodes = plane * (params.nz + 1u);
    let node = vec3<u32>(i % coarse_row, i / coarse_row % (params.coarse_y + 1u), i / coarse_plane);
    let begin = max(2u * node, vec3<u32>(1u)) - 1u;
    // The last coarse element may have three fine ones along an axis, or one.
    let end = min(2u * node + 3u, vec3<u32>(params.nx, params.ny, params.nz));
    var sum = vec3<f32>(0.0);
    for (var z = begin.z; z <= end.z; z++) {
        let weight_z = weight_of(2u, z, node.z);
        if (weight_z == 0.0) {
            continue;
        }
        for (var y = begin.y; y <= end.y; y++) {
            let weight_y = weight_z * weight_of(1u, y, node.y);
            if (weight_y == 0.0) {
                continue;
            }
            for (var x = begin.x; x <= end.x; x++) {
                let at = x + row * y + plane * z;
                let values = vec3<f32>(residual[at], residual[nodes + at], residual[2u * nodes + at]);
                sum += weight_y * weight_of(0u, x, node.x) * values;
            }
        }
    }
    for (var d = 0u; d < 3u; d++) {
        right_side[d * coarse_nodes + i] = select(0.0, sum[d], (coarse_plan[i] >> d & 1u) == 0u);
    }
}
