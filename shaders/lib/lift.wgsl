// The predicted gradient decode(T^T w, x) of one unknown, for kernels that bind `table`, T, and `weights`, w.
// Twin: Field::lift() and Field::decode() in engine/cpu/phase.rs.
struct Lift {
    // Rows of T.
    rows: u32,
    // 0: identity; 1: g = -exp(y) max(x, floor)^(-a).
    log_damped: u32,
    damping: f32,
    iterate_floor: f32,
}

// Adds rows `first` and up to y, four at a time so that their reads are under way together.
fn lift_rows(lift: Lift, y: f32, first: u32, len: u32, i: u32) -> f32 {
    var sum = y;
    var j = first;
    for (; j + 4u <= lift.rows; j += 4u) {
        let at = j * len + i;
        sum += weights[j] * table[at];
        sum += weights[j + 1u] * table[at + len];
        sum += weights[j + 2u] * table[at + 2u * len];
        sum += weights[j + 3u] * table[at + 3u * len];
    }
    for (; j < lift.rows; j++) {
        sum += weights[j] * table[j * len + i];
    }
    return sum;
}

fn lift_decode(lift: Lift, y: f32, x: f32) -> f32 {
    if (lift.log_damped != 0u) {
        return -exp(y - lift.damping * log(max(x, lift.iterate_floor)));
    }
    return y;
}
