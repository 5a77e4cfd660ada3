// The matrices of a coarse mesh's elements, by corners. Level 1 has no stored matrices: a regular element's
// is the sum of its eight children's moduli times constant matrices; those of other elements are in `source`,
// as all are from level 2 on. For kernels that bind `table` (the stiffness of an element of the given mesh,
// then the eight constants), `moduli`, `plan` and `source` and whose parameters have nx, ny, nz, by_children
// (1 on level 1), entries (the number of matrices in `source`), and fine_x and fine_y, elements of the given
// mesh. The plan has a node's mask, then, on level 1, an element's place in `source` or NO_ROW. Twin:
// fem/coarse.rs, ByChildren and Stored.
const MATRIX: u32 = 576u;

// Entry (i, j) of a symmetric matrix in `source`, of which the lower triangle is stored.
fn stored_entry(place: u32, i: u32, j: u32) -> f32 {
    let high = max(i, j);
    return source[(high * (high + 1u) / 2u + min(i, j)) * params.entries + place];
}

// The place of element `e` in `source`, or NO_ROW.
fn place_of(e: u32, nodes: u32) -> u32 {
    if (params.by_children == 0u) {
        return e;
    }
    return plan[nodes + e];
}

// The moduli of a regular element's eight children.
fn children_of(at: vec3<u32>) -> array<f32, 8> {
    var children: array<f32, 8>;
    for (var c = 0u; c < 8u; c++) {
        let child = 2u * at + vec3<u32>(c & 1u, c >> 1u & 1u, c >> 2u);
        children[c] = moduli[child.x + params.fine_x * (child.y + params.fine_y * child.z)];
    }
    return children;
}

fn regular_entry(children: ptr<function, array<f32, 8>>, i: u32, j: u32) -> f32 {
    var sum = 0.0;
    for (var c = 0u; c < 8u; c++) {
        sum += (*children)[c] * table[(c + 1u) * MATRIX + 24u * i + j];
    }
    return sum;
}
