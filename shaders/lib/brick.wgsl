// The Walsh-Hadamard modes of a brick's eight corners, and its stiffness as blocks in them. Corner k has the
// coordinates of its bits (x: 1, y: 2, z: 4); the corners 0 to 3 are in one vector and 4 to 7 in another, and
// so are the modes. Mode m of direction d belongs to the representation s = m xor 2^d, and the blocks couple
// equal s. For kernels that bind `blocks`. Twins: walsh_yz() in
// fem/lanes.rs and multiply() in fem/operator.rs.

// The values of one direction at the eight corners, or in the eight modes.
struct Eight {
    low: vec4<f32>,
    high: vec4<f32>,
}

fn walsh_plane(a: vec4<f32>) -> vec4<f32> {
    let rows = vec4<f32>(a.xy + a.zw, a.xy - a.zw);
    return vec4<f32>(rows.x + rows.y, rows.x - rows.y, rows.z + rows.w, rows.z - rows.w);
}

// From corners to modes, and from modes to corners.
fn walsh(a: Eight) -> Eight {
    return Eight(walsh_plane(a.low + a.high), walsh_plane(a.low - a.high));
}

struct Directions {
    x: Eight,
    y: Eight,
    z: Eight,
}

// The modes of three directions, ordered by representation.
fn by_representation(x: Eight, y: Eight, z: Eight) -> Directions {
    return Directions(
        Eight(x.low.yxwz, x.high.yxwz),
        Eight(y.low.zwxy, y.high.zwxy),
        Eight(z.high, z.low),
    );
}

fn block_row(row: u32, half: u32, x: vec4<f32>, y: vec4<f32>, z: vec4<f32>) -> vec4<f32> {
    let at = 9u * half + 3u * row;
    return blocks[at] * x + blocks[at + 1u] * y + blocks[at + 2u] * z;
}

// The stiffness times a displacement, both by representation.
fn stiffen(u: Directions) -> Directions {
    return Directions(
        Eight(block_row(0u, 0u, u.x.low, u.y.low, u.z.low), block_row(0u, 1u, u.x.high, u.y.high, u.z.high)),
        Eight(block_row(1u, 0u, u.x.low, u.y.low, u.z.low), block_row(1u, 1u, u.x.high, u.y.high, u.z.high)),
        Eight(block_row(2u, 0u, u.x.low, u.y.low, u.z.low), block_row(2u, 1u, u.x.high, u.y.high, u.z.high)),
    );
}
