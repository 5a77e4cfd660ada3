// The matrices of a coarse mesh's elements, by corners. Level 1 has no stored matrices: a regular element's
// is the sum of its eight children's moduli times constant matrices; those of other elements are in `source`,
// as all are from level 2 on. For kernels that bind `table` (the stiffness of an element of the given mesh,
// then the eight constants) and `plan` and whose parameters have by_children (1 on level 1). The plan has a
// node's mask, then, on level 1, an element's place in `source` or NO_ROW. Twin: fem/coarse.rs, ByChildren
// and Stored.
const MATRIX: u32 = 576u;

// The place of element `e` in `source`, or NO_ROW.
fn place_of(e: u32, nodes: u32) -> u32 {
    if (params.by_children == 0u) {
        return e;
    }
    return plan[nodes + e];
}

fn regular_entry(children: ptr<function, array<f32, 8>>, i: u32, j: u32) -> f32 {
    var sum = 0.0;
    for (var c = 0u; c < 8u; c++) {
        sum += (*children)[c] * table[(c + 1u) * MATRIX + 24u * i + j];
    }
    return sum;
}
