// The product K u on a coarse mesh with stored matrices, and what is made of it, as in product.wgsl. A
// workgroup owns NODES nodes; eight threads share a node, one for each of its elements, and add their shares
// in a fixed order. Twin: fem/coarse.rs, multiply() of Stored. Traffic per element: 1200 bytes of the matrix,
// 12 of u, 12 of the result, 12 of b.
struct Params {
    nx: u32,
    ny: u32,
    nz: u32,
    mode: u32,
    damping: f32,
    entries: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> state: SolveState;
@group(0) @binding(2) var<storage, read> plan: array<u32>;
@group(0) @binding(3) var<storage, read> source: array<f32>;
@group(0) @binding(4) var<storage, read> displacement: array<f32>;
@group(0) @binding(5) var<storage, read> right_side: array<f32>;
@group(0) @binding(6) var<storage, read> inverse: array<f32>;
@group(0) @binding(7) var<storage, read_write> result: array<f32>;

const NODES: u32 = THREADS / 8u;
// The share of element k along axis d in the force on a node is at (3 k + d) NODES + node.
var<workgroup> shares: array<f32, 3u * THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (state.done != 0u) {
        return;
    }
    let row = params.nx + 1u;
    let plane = row * (params.ny + 1u);
    let nodes = plane * (params.nz + 1u);
    let lane = thread % NODES;
    let k = thread / NODES;
    let i = (group.x + MOST_GROUPS * group.y) * NODES + lane;
    let node = vec3<u32>(i % row, i / row % (params.ny + 1u), i / plane);
    let bits = vec3<u32>(k & 1u, k >> 1u & 1u, k >> 2u);
    let at = node - bits;
    var share = vec3<f32>(0.0);
    if (i < nodes && all(node >= bits) && at.x < params.nx && at.y < params.ny && at.z < params.nz) {
        let place = at.x + params.nx * (at.y + params.ny * at.z);
        let first = at.x + row * at.y + plane * at.z;
        for (var j = 0u; j < 8u; j++) {
            let other = first + (j & 1u) + row * (j >> 1u & 1u) + plane * (j >> 2u);
            let u = vec3<f32>(displacement[other], displacement[nodes + other],
                displacement[2u * nodes + other]);
            for (var d = 0u; d < 3u; d++) {
                let entries = vec3<f32>(stored_entry(place, 3u * k + d, 3u * j),
                    stored_entry(place, 3u * k + d, 3u * j + 1u), stored_entry(place, 3u * k + d, 3u * j + 2u));
                share[d] += dot(entries, u);
            }
        }
    }
    for (var d = 0u; d < 3u; d++) {
        shares[(3u * k + d) * NODES + lane] = share[d];
    }
    workgroupBarrier();
    if (k == 0u && i < nodes) {
        for (var other = 1u; other < 8u; other++) {
            let begin = 3u * other * NODES + lane;
            share += vec3<f32>(shares[begin], shares[begin + NODES], shares[begin + 2u * NODES]);
        }
        finish_node(i, nodes, share);
    }
}
