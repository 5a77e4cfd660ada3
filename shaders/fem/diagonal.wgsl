// One over the diagonal of K at the free degrees of freedom of a coarse mesh, 0 at the others. A thread owns
// a node. Twin: fem/hierarchy.rs, make_inverse().
struct Params {
    nx: u32,
    ny: u32,
    nz: u32,
    by_children: u32,
    entries: u32,
    fine_x: u32,
    fine_y: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read> moduli: array<f32>;
@group(0) @binding(3) var<storage, read> plan: array<u32>;
@group(0) @binding(4) var<storage, read> source: array<f32>;
@group(0) @binding(5) var<storage, read_write> inverse: array<f32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = params.nx + 1u;
    let plane = row * (params.ny + 1u);
    let nodes = plane * (params.nz + 1u);
    let i = id.x + THREADS * MOST_GROUPS * id.y;
    if (i >= nodes) {
        return;
    }
    let node = vec3<u32>(i % row, i / row % (params.ny + 1u), i / plane);
    var diagonal = vec3<f32>(0.0);
    for (var k = 0u; k < 8u; k++) {
        let bits = vec3<u32>(k & 1u, k >> 1u & 1u, k >> 2u);
        let at = node - bits;
        if (any(node < bits) || at.x >= params.nx || at.y >= params.ny || at.z >= params.nz) {
            continue;
        }
        let place = place_of(at.x + params.nx * (at.y + params.ny * at.z), nodes);
        var children: array<f32, 8>;
        if (place == NO_ROW) {
            children = children_of(at);
        }
        for (var d = 0u; d < 3u; d++) {
            let entry = 3u * k + d;
            if (place == NO_ROW) {
                diagonal[d] += regular_entry(&children, entry, entry);
            } else {
                diagonal[d] += stored_entry(place, entry, entry);
            }
        }
    }
    for (var d = 0u; d < 3u; d++) {
        let free = (plan[i] >> d & 1u) == 0u && diagonal[d] > 0.0;
        inverse[d * nodes + i] = select(0.0, 1.0 / diagonal[d], free);
    }
}
