// The energy u K0 u of every element for a modulus of 1, added to those of other load cases, and the work of
// a unit of its own weight on it; with the workgroup's share of the sum of modulus times energy. A thread
// owns an element at a time, a workgroup a slab of them. Twins: fem/operator.rs, energies(), and
// fem/compliance.rs, add_weight_slope(). Traffic per element: 24 bytes of u, 4 of the modulus, 16 of the
// results.
struct Params {
    nx: u32,
    ny: u32,
    nz: u32,
    body_x: f32,
    body_y: f32,
    body_z: f32,
    // 0: the results begin with this load case.
    adds: u32,
    slab: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> blocks: array<vec4<f32>, BLOCK_VECTORS>;
@group(0) @binding(2) var<storage, read> moduli: array<f32>;
@group(0) @binding(3) var<storage, read> displacement: array<f32>;
@group(0) @binding(4) var<storage, read_write> energies: array<f32>;
@group(0) @binding(5) var<storage, read_write> partials: array<vec2<f32>>;

var<workgroup> sums: array<vec2<f32>, THREADS>;

fn corners_at(first: u32, row: u32, plane: u32) -> Eight {
    let high = first + plane;
    return Eight(
        vec4<f32>(displacement[first], displacement[first + 1u], displacement[first + row],
            displacement[first + row + 1u]) - displacement[first],
        vec4<f32>(displacement[high], displacement[high + 1u], displacement[high + row],
            displacement[high + row + 1u]) - displacement[first],
    );
}

// The values at the corners relative to the first one's: differences of double-word numbers, whose low words
// come after the high ones, and which single precision holds.
fn corners(first: u32, row: u32, plane: u32, dofs: u32) -> Eight {
    let values = corners_at(first, row, plane);
    let errors = corners_at(dofs + first, row, plane);
    return Eight(values.low + errors.low, values.high + errors.high);
}

// A row of the stiffness times modes, every sum in double-word: rounded entries would give an element that
// turns as a whole an energy, beside which that of a soft one is nothing. The entries' errors come after
// them.
fn exact_row(row: u32, half: u32, x: vec4<f32>, y: vec4<f32>, z: vec4<f32>) -> vec4<f32> {
    let at = 9u * half + 3u * row;
    let errors = blocks[at + 18u] * x + blocks[at + 19u] * y + blocks[at + 20u] * z;
    var force = vec4<f32>(0.0);
    for (var i = 0u; i < 4u; i++) {
        var sum = dw_fma(vec2<f32>(0.0), blocks[at][i], x[i]);
        sum = dw_fma(sum, blocks[at + 1u][i], y[i]);
        sum = dw_fma(sum, blocks[at + 2u][i], z[i]);
        force[i] = sum.x + (sum.y + errors[i]);
    }
    return force;
}

fn exact_rows(row: u32, u: Directions) -> Eight {
    return Eight(exact_row(row, 0u, u.x.low, u.y.low, u.z.low),
        exact_row(row, 1u, u.x.high, u.y.high, u.z.high));
}

fn stiffen_exactly(u: Directions) -> Directions {
    return Directions(exact_rows(0u, u), exact_rows(1u, u), exact_rows(2u, u));
}

fn along(a: Eight, b: Eight) -> f32 {
    return dot(a.low, b.low) + dot(a.high, b.high);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = params.nx + 1u;
    let plane = row * (params.ny + 1u);
    let nodes = plane * (params.nz + 1u);
    let elements = params.nx * params.ny * params.nz;
    let end = min((group.x + 1u) * params.slab, elements);
    var share = vec2<f32>(0.0);
    for (var e = group.x * params.slab + thread; e < end; e += THREADS) {
        let first = e % params.nx + row * (e / params.nx % params.ny) + plane * (e / (params.nx * params.ny));
        let x = walsh(corners(first, row, plane, 3u * nodes));
        let y = walsh(corners(nodes + first, row, plane, 3u * nodes));
        let z = walsh(corners(2u * nodes + first, row, plane, 3u * nodes));
        let u = by_representation(x, y, z);
        let f = stiffen_exactly(u);
        // The transform and its transpose, which the blocks stand between, are the same.
        let energy = along(u.x, f.x) + along(u.y, f.y) + along(u.z, f.z);
        // The first mode is the sum over the corners.
        let weight = params.body_x * (x.low.x + 8.0 * displacement[first])
            + params.body_y * (y.low.x + 8.0 * displacement[nodes + first])
            + params.body_z * (z.low.x + 8.0 * displacement[2u * nodes + first]);
        if (params.adds == 1u) {
            energies[e] += energy;
            energies[elements + e] += weight;
        } else {
            energies[e] = energy;
            energies[elements + e] = weight;
        }
        share = dw_fma(share, moduli[e], energy);
    }
    sums[thread] = dw_normalize(share);
    block_sum(thread);
    if (thread == 0u) {
        partials[group.x] = sums[0];
    }
}
