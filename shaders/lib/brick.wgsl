// The Walsh-Hadamard modes of a brick's eight corners, and its stiffness as blocks in them. Corner k has the
// coordinates of its bits (x: 1, y: 2, z: 4); the corners 0 to 3 are in one vector and 4 to 7 in another, and
// so are the modes. Mode m of direction d belongs to the representation s = m xor 2^d, and the blocks couple
// equal s. Twins: walsh_yz() in fem/lanes.rs and multiply() in fem/operator.rs.

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

// The modes of a displacement given at the corners of the lower and of the upper face, without the first one,
// a translation, which makes no force. Every mode is a sum of differences of displacements, so that rounding
// is relative to how much the element deforms and not to how far it moves.
fn deformation(low: vec4<f32>, high: vec4<f32>) -> Eight {
    let along = low - high;
    let above = bend(high);
    let below = bend(low);
    return Eight(below + above, vec4<f32>((along.x + along.y) + (along.z + along.w), 0.0, 0.0, 0.0)
        + (below - above));
}

// The modes 1 to 3 of the corners of a face.
fn bend(a: vec4<f32>) -> vec4<f32> {
    let x = a.xz - a.yw;
    let y = a.xy - a.zw;
    return vec4<f32>(0.0, x.x + x.y, y.x + y.y, x.x - x.y);
}

struct Directions {
    x: Eight,
    y: Eight,
    z: Eight,
}

// The modes of three directions, ordered by representation; the other way as well.
fn by_representation(x: Eight, y: Eight, z: Eight) -> Directions {
    return Directions(
        Eight(x.low.yxwz, x.high.yxwz),
        Eight(y.low.zwxy, y.high.zwxy),
        Eight(z.high, z.low),
    );
}
