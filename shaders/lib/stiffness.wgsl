// The product of an element's stiffness with modes; for kernels that bind `blocks`. Twin: fem/operator.rs,
// multiply().
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
