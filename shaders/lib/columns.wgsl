// The forces of a mesh's elements on its nodes, column by column. A thread owns a column of elements along z
// and, but for the first ones along x and y of a workgroup, the column of nodes at their corner 0. It goes up
// through the layers of its workgroup, keeps what an element pushes its upper nodes with until the next
// element's lower ones are known, and hands the shares of the other three corners to the threads beside it.
// A node adds its shares in a fixed order, whatever workgroup it is in. What a layer needs is read while the
// layer below it is computed. For kernels that bind `displacement` and whose parameters have nx, ny, nz and
// layers, the planes of nodes of a workgroup; they need the modes of brick.wgsl and have Material and
// material_of(), what is known of an element; element_pushes(), what it does to its nodes; Known and
// known_of(), what is known of a node; and finish(), what becomes of the sum there. Twin: fem/rows.rs,
// product().
const SIDE: u32 = 16u;
const DEPTH: u32 = THREADS / SIDE;

// The values of three directions at the four corners of a face: (0, 0), (1, 0), (0, 1) and (1, 1).
struct Face {
    x: vec4<f32>,
    y: vec4<f32>,
    z: vec4<f32>,
}

// The forces of an element on the corners of its lower and its upper face, and its modulus.
struct Pushes {
    low: Face,
    high: Face,
    modulus: f32,
}

// What the threads of a workgroup hand to each other: nine shares of forces, and moduli.
var<workgroup> shares: array<f32, 10u * THREADS>;

// Forces in modes, by direction, times a factor, as forces on the corners of an element's two faces.
fn pushes_of(f: Directions, factor: f32, modulus: f32) -> Pushes {
    return Pushes(
        Face(factor * walsh_plane(f.x.low + f.x.high), factor * walsh_plane(f.y.low + f.y.high),
            factor * walsh_plane(f.z.low + f.z.high)),
        Face(factor * walsh_plane(f.x.low - f.x.high), factor * walsh_plane(f.y.low - f.y.high),
            factor * walsh_plane(f.z.low - f.z.high)),
        modulus,
    );
}

// The nodes beside a column's first one: how far they are along x and y, 0 beyond the last node.
struct Beside {
    x: u32,
    y: u32,
}

fn corners(first: u32, beside: Beside) -> vec4<f32> {
    return vec4<f32>(displacement[first], displacement[first + beside.x], displacement[first + beside.y],
        displacement[first + beside.y + beside.x]);
}

fn face(first: u32, beside: Beside, nodes: u32) -> Face {
    return Face(corners(first, beside), corners(first + nodes, beside), corners(first + 2u * nodes, beside));
}

fn put(slot: u32, thread: u32, share: vec3<f32>) {
    shares[slot * THREADS + thread] = share.x;
    shares[(slot + 1u) * THREADS + thread] = share.y;
    shares[(slot + 2u) * THREADS + thread] = share.z;
}

fn share_of(slot: u32, thread: u32) -> vec3<f32> {
    return vec3<f32>(shares[slot * THREADS + thread], shares[(slot + 1u) * THREADS + thread],
        shares[(slot + 2u) * THREADS + thread]);
}

// Goes through all layers; the sum of what finish() has returned to this thread.
fn go_up(group: vec3<u32>, thread: u32) -> f32 {
    let row = params.nx + 1u;
    let plane = row * (params.ny + 1u);
    let nodes = plane * (params.nz + 1u);
    let place = vec2<u32>(thread % SIDE, thread / SIDE);
    // The node after the column's, so that no number is negative.
    let next = vec2<u32>(SIDE - 1u, DEPTH - 1u) * group.xy + place;
    let has_node = all(next > vec2<u32>(0u)) && next.x <= row && next.y <= params.ny + 1u;
    let is_column = has_node && next.x <= params.nx && next.y <= params.ny;
    let owns = has_node && all(place > vec2<u32>(0u));
    let column = max(next, vec2<u32>(1u)) - 1u;
    let foot = column.x + row * column.y;
    let beside = Beside(select(0u, 1u, column.x < params.nx), select(0u, row, column.y < params.ny));
    let begin = params.layers * group.z;
    let end = min(begin + params.layers, params.nz + 1u);
    var low: Face;
    var high: Face;
    var below: Face;
    var material: Material;
    var modulus_below = 0.0;
    if (has_node) {
        if (begin > 0u) {
            low = face(foot + plane * (begin - 1u), beside, nodes);
        }
        high = face(foot + plane * begin, beside, nodes);
    }
    if (is_column && begin > 0u) {
        material = material_of(vec3<u32>(column, begin - 1u));
    }
    var sum = 0.0;
    // The element between the planes up - 1 and up, then the nodes on the lower one of them.
    for (var up = begin; up <= end; up++) {
        var above: Face;
        var next_material: Material;
        var known: Known;
        let i = foot + plane * (max(up, 1u) - 1u);
        if (has_node && up < end && up < params.nz) {
            above = face(foot + plane * (up + 1u), beside, nodes);
        }
        if (is_column && up < end && up < params.nz) {
            next_material = material_of(vec3<u32>(column, up));
        }
        if (owns && up > begin) {
            known = known_of(i, nodes);
        }
        var pushes: Pushes;
        if (is_column && up > 0u && up <= params.nz) {
            pushes = element_pushes(low, high, material);
        }
        if (up > begin) {
            let x = below.x + pushes.low.x;
            let y = below.y + pushes.low.y;
            let z = below.z + pushes.low.z;
            let around = modulus_below + pushes.modulus;
            put(0u, thread, vec3<f32>(x.y, y.y, z.y));
            put(3u, thread, vec3<f32>(x.z, y.z, z.z));
            put(6u, thread, vec3<f32>(x.w, y.w, z.w));
            shares[9u * THREADS + thread] = around;
            workgroupBarrier();
            if (owns) {
                let left = thread - 1u;
                let front = thread - SIDE;
                let force = vec3<f32>(x.x, y.x, z.x) + share_of(0u, left) + share_of(3u, front)
                    + share_of(6u, front - 1u);
                let moduli_around = around + shares[9u * THREADS + left] + shares[9u * THREADS + front]
                    + shares[9u * THREADS + front - 1u];
                let here = vec3<f32>(low.x.x, low.y.x, low.z.x);
                sum += finish(i, nodes, here, known, force, moduli_around);
            }
            workgroupBarrier();
        }
        below = pushes.high;
        modulus_below = pushes.modulus;
        low = high;
        high = above;
        material = next_material;
    }
    return sum;
}
