// The moduli of a regular element's eight children; for kernels that bind `moduli` and whose parameters have
// fine_x and fine_y, elements of the given mesh. Twin: fem/coarse.rs, ByChildren.
fn children_of(at: vec3<u32>) -> array<f32, 8> {
    var children: array<f32, 8>;
    for (var c = 0u; c < 8u; c++) {
        let child = 2u * at + vec3<u32>(c & 1u, c >> 1u & 1u, c >> 2u);
        children[c] = moduli[child.x + params.fine_x * (child.y + params.fine_y * child.z)];
    }
    return children;
}
