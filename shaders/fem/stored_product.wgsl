// The product K u on a coarse mesh with stored matrices, and what is made of it, as in product.wgsl. A
// workgroup owns NODES nodes; PARTS threads share a node, two for each of its elements, and their shares are
// added in a fixed order. Twin: fem/coarse.rs, multiply() of Stored. Traffic per element: 1200 bytes of the
// matrix, 12 of u, 12 of the result, 12 of b.
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

const PARTS: u32 = 16u;
const NODES: u32 = THREADS / PARTS;
// The share of a part along axis d in the force on a node is at (3 part + d) NODES + node.
var<workgroup> shares: array<f32, 3u * THREADS>;

fn at_node(i: u32, nodes: u32) -> vec3<f32> {
    return vec3<f32>(displacement[i], displacement[nodes + i], displacement[2u * nodes + i]);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (state.done != 0u) {
        return;
    }
    let row = params.nx + 1u;
    let plane = row * (params.ny + 1u);
    let nodes = plane * (params.nz + 1u);
    let lane = thread % NODES;
    let part = thread / NODES;
    // The element at whose corner k the node is; its corners 0 to 3 or 4 to 7 push the node.
    let k = part % 8u;
    let half = part / 8u;
    let i = (group.x + MOST_GROUPS * group.y) * NODES + lane;
    let node = vec3<u32>(i % row, i / row % (params.ny + 1u), i / plane);
    let bits = vec3<u32>(k & 1u, k >> 1u & 1u, k >> 2u);
    let at = node - bits;
    var share = vec3<f32>(0.0);
    if (i < nodes && all(node >= bits) && at.x < params.nx && at.y < params.ny && at.z < params.nz) {
        let place = at.x + params.nx * (at.y + params.ny * at.z);
        let first = at.x + row * at.y + plane * at.z;
        for (var corner = 0u; corner < 4u; corner++) {
            let j = 4u * half + corner;
            let u = at_node(first + (j & 1u) + row * (j >> 1u & 1u) + plane * half, nodes);
            for (var d = 0u; d < 3u; d++) {
                let at_row = 3u * k + d;
                let entries = vec3<f32>(stored_entry(place, at_row, 3u * j),
                    stored_entry(place, at_row, 3u * j + 1u), stored_entry(place, at_row, 3u * j + 2u));
                share[d] += dot(entries, u);
            }
        }
    }
    for (var d = 0u; d < 3u; d++) {
        shares[(3u * part + d) * NODES + lane] = share[d];
    }
    workgroupBarrier();
    if (part == 0u && i < nodes) {
        for (var other = 1u; other < PARTS; other++) {
            let begin = 3u * other * NODES + lane;
            share += vec3<f32>(shares[begin], shares[begin + NODES], shares[begin + 2u * NODES]);
        }
        let b = vec3<f32>(right_side[i], right_side[nodes + i], right_side[2u * nodes + i]);
        let diagonal = vec3<f32>(inverse[i], inverse[nodes + i], inverse[2u * nodes + i]);
        let made = made_of(at_node(i, nodes), share, b, diagonal, plan[i]);
        result[i] = made.x;
        result[nodes + i] = made.y;
        result[2u * nodes + i] = made.z;
    }
}
