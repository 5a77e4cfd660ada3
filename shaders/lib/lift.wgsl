// The predicted gradient decode(T^T w, x) of one unknown, for kernels that bind `table`, T, the basis or
// another, and `weights`, w. Twin: FieldChunk::lift() and Field::decode() in engine/cpu/phase.rs.
struct LiftRule {
    // The number of rows of T.
    rows: u32,
    // 0: identity; 1: g = -exp(y) max(x, floor)^(-a).
    log_damped: u32,
    damping: f32,
    iterate_floor: f32,
}

// Adds rows `first` and up to y, four at a time so that their reads are under way together.
fn lift_rows(lift: LiftRule, of_basis: u32, y: f32, first: u32, len: u32, i: u32) -> f32 {
    var sum = y;
    let fours = first + (max(lift.rows, first) - first) / 4u * 4u;
    for (var j = first; j < fours; j += 4u) {
        sum += weights[j] * entry(of_basis, table[entry_at(of_basis, j, len, i)], i);
        sum += weights[j + 1u] * entry(of_basis, table[entry_at(of_basis, j + 1u, len, i)], i);
        sum += weights[j + 2u] * entry(of_basis, table[entry_at(of_basis, j + 2u, len, i)], i);
        sum += weights[j + 3u] * entry(of_basis, table[entry_at(of_basis, j + 3u, len, i)], i);
    }
    for (var j = fours; j < lift.rows; j++) {
        sum += weights[j] * entry(of_basis, table[entry_at(of_basis, j, len, i)], i);
    }
    return sum;
}

fn lift_decode(lift: LiftRule, y: f32, x: f32) -> f32 {
    if (lift.log_damped != 0u) {
        return -exp(y - lift.damping * log(max(x, lift.iterate_floor)));
    }
    return y;
}
