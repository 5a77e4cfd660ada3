// The right-hand side of the next coarser mesh, P^T r, 0 where that is held. A thread owns one axis of a
// coarse node and goes through the fine ones around it. Twin: fem/transfer.rs, restrict(). Traffic per fine
// node: 12 bytes of r, and an eighth of 12 of the result.
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

// Fine nodes along an axis that may take part: the last coarse element may have three fine ones.
const REACH: u32 = 5u;

// The weights of coarse node `coarse` at the fine nodes 2 coarse - 1 to 2 coarse + 3, 0 outside of the mesh.
fn weights_along(axis: u32, coarse: u32, last: u32) -> array<f32, REACH> {
    var weights: array<f32, REACH>;
    for (var t = 0u; t < REACH; t++) {
        let next = 2u * coarse + t;
        if (next > 0u && next <= last + 1u) {
            weights[t] = weight_of(axis, next - 1u, coarse);
        }
    }
    return weights;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let coarse_row = params.coarse_x + 1u;
    let coarse_plane = coarse_row * (params.coarse_y + 1u);
    let coarse_nodes = coarse_plane * (params.coarse_z + 1u);
    let at = id.x + THREADS * MOST_GROUPS * id.y;
    if (state.done != 0u || at >= 3u * coarse_nodes) {
        return;
    }
    let i = at % coarse_nodes;
    let axis = at / coarse_nodes;
    let row = params.nx + 1u;
    let plane = row * (params.ny + 1u);
    let nodes = plane * (params.nz + 1u);
    let node = vec3<u32>(i % coarse_row, i / coarse_row % (params.coarse_y + 1u), i / coarse_plane);
    let x = weights_along(0u, node.x, params.nx);
    let y = weights_along(1u, node.y, params.ny);
    let z = weights_along(2u, node.z, params.nz);
    var sum = 0.0;
    if ((coarse_plan[i] >> axis & 1u) == 0u) {
        for (var c = 0u; c < REACH; c++) {
            if (z[c] == 0.0) {
                continue;
            }
            for (var b = 0u; b < REACH; b++) {
                if (y[b] == 0.0) {
                    continue;
                }
                let first = axis * nodes + row * (2u * node.y + b - 1u) + plane * (2u * node.z + c - 1u);
                var line = 0.0;
                for (var a = 0u; a < REACH; a++) {
                    if (x[a] != 0.0) {
                        line += x[a] * residual[first + 2u * node.x + a - 1u];
                    }
                }
                sum += z[c] * y[b] * line;
            }
        }
    }
    right_side[at] = sum;
}
