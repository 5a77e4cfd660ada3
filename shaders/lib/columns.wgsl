// The forces of a mesh's elements on its nodes, column by column. A thread owns a column of elements along z
// and, but for the first ones along x and y of a workgroup, the column of nodes at their corner 0. It goes up
// through the layers of its workgroup, keeps what an element pushes its upper nodes with until the next
// element's lower ones are known, and hands the shares of the other three corners to the threads beside it.
// A node adds its shares in a fixed order, whatever workgroup it is in. For kernels that bind `displacement`
// and whose parameters have nx, ny, nz and layers, the planes of nodes of a workgroup; they have the functions
// element_pushes(), what an element does to its nodes, and finish(), what becomes of the sum at a node, and
// need the modes of brick.wgsl. Twin: fem/rows.rs, product().
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

fn corners(first: u32, row: u32) -> vec4<f32> {
    return vec4<f32>(displacement[first], displacement[first + 1u], displacement[first + row],
        displacement[first + row + 1u]);
}

fn face(first: u32, row: u32, nodes: u32) -> Face {
    return Face(corners(first, row), corners(first + nodes, row), corners(first + 2u * nodes, row));
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
    let is_column = all(next > vec2<u32>(0u)) && next.x <= params.nx && next.y <= params.ny;
    let owns = all(place > vec2<u32>(0u)) && next.x <= row && next.y <= params.ny + 1u;
    let column = max(next, vec2<u32>(1u)) - 1u;
    let foot = column.x + row * column.y;
    let begin = params.layers * group.z;
    let end = min(begin + params.layers, params.nz + 1u);
    var low: Face;
    var below: Face;
    var modulus_below = 0.0;
    if (is_column && begin > 0u) {
        low = face(foot + plane * (begin - 1u), row, nodes);
    }
    var sum = 0.0;
    // The element between the planes up - 1 and up, then the nodes on the lower one of them.
    for (var up = begin; up <= end; up++) {
        var high: Face;
        var pushes: Pushes;
        if (is_column && up <= params.nz) {
            high = face(foot + plane * up, row, nodes);
            if (up > 0u) {
                pushes = element_pushes(low, high, vec3<u32>(column, up - 1u));
            }
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
                sum += finish(foot + plane * (up - 1u), nodes, force, moduli_around);
            }
            workgroupBarrier();
        }
        below = pushes.high;
        modulus_below = pushes.modulus;
        low = high;
    }
    return sum;
}
