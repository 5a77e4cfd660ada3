// The product K u on the first coarse mesh, whose elements are sums of eight children, and what is made of
// it, as in product.wgsl. The matrix of a regular element couples the representations s and s xor k by the
// k-th Walsh-Hadamard mode of its children's moduli, times constants; those of other elements are in
// `source`, and the plan has, after the nodes' masks, their places there. Twin: fem/coarse.rs, multiply() of
// ByChildren. Traffic per element: 32 bytes of moduli, 12 of u, 12 of the result, 12 of b; some 1500 flops.
struct Params {
    nx: u32,
    ny: u32,
    nz: u32,
    layers: u32,
    mode: u32,
    damping: f32,
    entries: u32,
    fine_x: u32,
    fine_y: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> state: SolveState;
@group(0) @binding(2) var<uniform> coupling: array<vec4<f32>, COUPLING_VECTORS>;
@group(0) @binding(3) var<storage, read> moduli: array<f32>;
@group(0) @binding(4) var<storage, read> plan: array<u32>;
@group(0) @binding(5) var<storage, read> source: array<f32>;
@group(0) @binding(6) var<storage, read> displacement: array<f32>;
@group(0) @binding(7) var<storage, read> right_side: array<f32>;
@group(0) @binding(8) var<storage, read> inverse: array<f32>;
@group(0) @binding(9) var<storage, read_write> result: array<f32>;

fn coupled_row(k: u32, row: u32, half: u32, x: vec4<f32>, y: vec4<f32>, z: vec4<f32>) -> vec4<f32> {
    let at = 18u * k + 9u * half + 3u * row;
    return coupling[at] * x + coupling[at + 1u] * y + coupling[at + 2u] * z;
}

fn coupled(k: u32, row: u32, u: Directions) -> Eight {
    return Eight(coupled_row(k, row, 0u, u.x.low, u.y.low, u.z.low),
        coupled_row(k, row, 1u, u.x.high, u.y.high, u.z.high));
}

fn plus(a: Eight, factor: f32, b: Eight) -> Eight {
    return Eight(a.low + factor * b.low, a.high + factor * b.high);
}

// The force f and what the k-th mode of the moduli adds to it, `u` being ordered by s xor k.
fn with_mode(f: Directions, k: u32, modulus: f32, u: Directions) -> Directions {
    return Directions(plus(f.x, modulus, coupled(k, 0u, u)), plus(f.y, modulus, coupled(k, 1u, u)),
        plus(f.z, modulus, coupled(k, 2u, u)));
}

// The order s becomes s xor 1, s xor 2 and s xor 4.
fn flipped_x(u: Directions) -> Directions {
    return Directions(Eight(u.x.low.yxwz, u.x.high.yxwz), Eight(u.y.low.yxwz, u.y.high.yxwz),
        Eight(u.z.low.yxwz, u.z.high.yxwz));
}

fn flipped_y(u: Directions) -> Directions {
    return Directions(Eight(u.x.low.zwxy, u.x.high.zwxy), Eight(u.y.low.zwxy, u.y.high.zwxy),
        Eight(u.z.low.zwxy, u.z.high.zwxy));
}

fn flipped_z(u: Directions) -> Directions {
    return Directions(Eight(u.x.high, u.x.low), Eight(u.y.high, u.y.low), Eight(u.z.high, u.z.low));
}

// The force of an element whose matrix is in `source`.
fn pushes_of_single(low: Face, high: Face, place: u32) -> Pushes {
    var u: array<f32, 24>;
    for (var k = 0u; k < 4u; k++) {
        u[3u * k] = low.x[k];
        u[3u * k + 1u] = low.y[k];
        u[3u * k + 2u] = low.z[k];
        u[3u * k + 12u] = high.x[k];
        u[3u * k + 13u] = high.y[k];
        u[3u * k + 14u] = high.z[k];
    }
    var f: array<f32, 24>;
    for (var i = 0u; i < 24u; i++) {
        var sum = 0.0;
        for (var j = 0u; j < 24u; j++) {
            sum += stored_entry(place, i, j) * u[j];
        }
        f[i] = sum;
    }
    return Pushes(
        Face(vec4<f32>(f[0], f[3], f[6], f[9]), vec4<f32>(f[1], f[4], f[7], f[10]),
            vec4<f32>(f[2], f[5], f[8], f[11])),
        Face(vec4<f32>(f[12], f[15], f[18], f[21]), vec4<f32>(f[13], f[16], f[19], f[22]),
            vec4<f32>(f[14], f[17], f[20], f[23])),
        0.0,
    );
}

struct Material {
    place: u32,
    modes: Eight,
}

fn material_of(at: vec3<u32>) -> Material {
    let nodes = (params.nx + 1u) * (params.ny + 1u) * (params.nz + 1u);
    let place = plan[nodes + at.x + params.nx * (at.y + params.ny * at.z)];
    var modes: Eight;
    if (place == NO_ROW) {
        let children = children_of(at);
        modes = walsh(Eight(vec4<f32>(children[0], children[1], children[2], children[3]),
            vec4<f32>(children[4], children[5], children[6], children[7])));
    }
    return Material(place, modes);
}

fn element_pushes(low: Face, high: Face, material: Material) -> Pushes {
    if (material.place != NO_ROW) {
        return pushes_of_single(low, high, material.place);
    }
    let modulus = material.modes;
    let u = by_representation(deformation(low.x, high.x), deformation(low.y, high.y),
        deformation(low.z, high.z));
    // Every k differs from the one before in one bit.
    let zero = Eight(vec4<f32>(0.0), vec4<f32>(0.0));
    var f = with_mode(Directions(zero, zero, zero), 0u, modulus.low.x, u);
    var turned = flipped_x(u);
    f = with_mode(f, 1u, modulus.low.y, turned);
    turned = flipped_y(turned);
    f = with_mode(f, 3u, modulus.low.w, turned);
    turned = flipped_x(turned);
    f = with_mode(f, 2u, modulus.low.z, turned);
    turned = flipped_z(turned);
    f = with_mode(f, 6u, modulus.high.z, turned);
    turned = flipped_x(turned);
    f = with_mode(f, 7u, modulus.high.w, turned);
    turned = flipped_y(turned);
    f = with_mode(f, 5u, modulus.high.y, turned);
    turned = flipped_x(turned);
    f = with_mode(f, 4u, modulus.high.x, turned);
    return pushes_of(by_representation(f.x, f.y, f.z), 1.0, 0.0);
}

struct Known {
    held: u32,
    right_side: vec3<f32>,
    inverse: vec3<f32>,
}

fn known_of(i: u32, nodes: u32) -> Known {
    var known = Known(plan[i], vec3<f32>(0.0), vec3<f32>(0.0));
    if (params.mode != MAKE_PRODUCT) {
        known.right_side = vec3<f32>(right_side[i], right_side[nodes + i], right_side[2u * nodes + i]);
    }
    if (params.mode == MAKE_SMOOTH) {
        known.inverse = vec3<f32>(inverse[i], inverse[nodes + i], inverse[2u * nodes + i]);
    }
    return known;
}

fn finish(i: u32, nodes: u32, here: vec3<f32>, known: Known, force: vec3<f32>, moduli_around: f32) -> f32 {
    let made = made_of(here, force, known.right_side, known.inverse, known.held);
    result[i] = made.x;
    result[nodes + i] = made.y;
    result[2u * nodes + i] = made.z;
    return 0.0;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (state.done != 0u) {
        return;
    }
    // Nothing is summed up on a coarse mesh.
    _ = go_up(group, thread);
}
