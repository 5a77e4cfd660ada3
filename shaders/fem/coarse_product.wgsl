// The product K u on a coarse mesh, and what is made of it, as in product.wgsl. A thread owns a node and goes
// through its eight elements in a fixed order. Twin: fem/hierarchy.rs, product() of a coarse level. Traffic
// per element: on level 1 32 bytes of moduli, from level 2 on up to 2304 of matrices; 24 of u and the result.
struct Params {
    nx: u32,
    ny: u32,
    nz: u32,
    mode: u32,
    damping: f32,
    by_children: u32,
    entries: u32,
    fine_x: u32,
    fine_y: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> state: SolveState;
@group(0) @binding(2) var<storage, read> table: array<f32>;
@group(0) @binding(3) var<storage, read> moduli: array<f32>;
@group(0) @binding(4) var<storage, read> plan: array<u32>;
@group(0) @binding(5) var<storage, read> source: array<f32>;
@group(0) @binding(6) var<storage, read> displacement: array<f32>;
@group(0) @binding(7) var<storage, read> right_side: array<f32>;
@group(0) @binding(8) var<storage, read_write> result: array<f32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = params.nx + 1u;
    let plane = row * (params.ny + 1u);
    let nodes = plane * (params.nz + 1u);
    let i = id.x + THREADS * MOST_GROUPS * id.y;
    if (state.done != 0u || i >= nodes) {
        return;
    }
    let node = vec3<u32>(i % row, i / row % (params.ny + 1u), i / plane);
    var force = vec3<f32>(0.0);
    var diagonal = vec3<f32>(0.0);
    for (var k = 0u; k < 8u; k++) {
        let bits = vec3<u32>(k & 1u, k >> 1u & 1u, k >> 2u);
        let at = node - bits;
        if (any(node < bits) || at.x >= params.nx || at.y >= params.ny || at.z >= params.nz) {
            continue;
        }
        let place = place_of(at.x + params.nx * (at.y + params.ny * at.z), nodes);
        let first = at.x + row * at.y + plane * at.z;
        var children: array<f32, 8>;
        if (place == NO_ROW) {
            children = children_of(at);
        }
        for (var j = 0u; j < 8u; j++) {
            let other = first + (j & 1u) + row * (j >> 1u & 1u) + plane * (j >> 2u);
            let u = vec3<f32>(displacement[other], displacement[nodes + other],
                displacement[2u * nodes + other]);
            // The columns of the block that couples node i with the element's corner j.
            var block = mat3x3<f32>(vec3<f32>(0.0), vec3<f32>(0.0), vec3<f32>(0.0));
            if (place == NO_ROW) {
                for (var c = 0u; c < 8u; c++) {
                    // The matrices are symmetric: a row of the other corner is a column of this one.
                    let entry = (c + 1u) * MATRIX + 72u * j + 3u * k;
                    block[0] += children[c] * vec3<f32>(table[entry], table[entry + 1u], table[entry + 2u]);
                    block[1] += children[c]
                        * vec3<f32>(table[entry + 24u], table[entry + 25u], table[entry + 26u]);
                    block[2] += children[c]
                        * vec3<f32>(table[entry + 48u], table[entry + 49u], table[entry + 50u]);
                }
            } else {
                for (var b = 0u; b < 3u; b++) {
                    block[b] = vec3<f32>(stored_entry(place, 3u * k, 3u * j + b),
                        stored_entry(place, 3u * k + 1u, 3u * j + b),
                        stored_entry(place, 3u * k + 2u, 3u * j + b));
                }
            }
            force += block[0] * u.x + block[1] * u.y + block[2] * u.z;
            if (j == k) {
                diagonal += vec3<f32>(block[0].x, block[1].y, block[2].z);
            }
        }
    }
    for (var d = 0u; d < 3u; d++) {
        let at = d * nodes + i;
        let free = (plan[i] >> d & 1u) == 0u;
        if (params.mode == MAKE_PRODUCT) {
            result[at] = select(0.0, force[d], free);
        } else if (params.mode == MAKE_RESIDUAL) {
            result[at] = select(0.0, right_side[at] - force[d], free);
        } else {
            let step = params.damping * (right_side[at] - force[d]) / diagonal[d];
            result[at] = displacement[at] + select(0.0, step, free && diagonal[d] > 0.0);
        }
    }
}
