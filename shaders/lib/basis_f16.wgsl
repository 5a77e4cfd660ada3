// The basis's directions in half precision, two unknowns to a word; its mean and all other tables are f32.
// The functions are those of basis_f32.wgsl.
alias Word = u32;
const PER_WORD: u32 = 2u;
// Directions have length 1, so no entry is larger; 1/sqrt(d) is typical. Times BASIS_SCALE the entries are
// normal halves, 6e-5 to 65504, for any d that fits into memory: devices may flush smaller numbers to 0.

fn direction_words(len: u32) -> u32 {
    return (len + 1u) / 2u;
}

fn entry_at(of_basis: u32, row: u32, len: u32, i: u32) -> u32 {
    if (of_basis == 0u) {
        return row * len + i;
    }
    return row * direction_words(len) + i / 2u;
}

fn entry(of_basis: u32, word: Word, i: u32) -> f32 {
    if (of_basis == 0u) {
        return bitcast<f32>(word);
    }
    return unpack2x16float(word >> (16u * (i % 2u))).x * (1.0 / BASIS_SCALE);
}

fn mean_at(of_basis: u32, rank: u32, len: u32, i: u32) -> u32 {
    return rank * select(len, direction_words(len), of_basis != 0u) + i;
}

fn mean_of(word: Word) -> f32 {
    return bitcast<f32>(word);
}

// Rounds to nearest, ties to even, and what would be subnormal to 0. It is written out because devices may
// choose how pack2x16float rounds and flushes. Twin: Half::from_f32() in scalar.rs.
fn half_round(value: f32) -> f32 {
    let scaled = clamp(value * BASIS_SCALE, -65504.0, 65504.0);
    let bits = bitcast<u32>(scaled);
    let rounded = bitcast<f32>((bits + 0xfffu + ((bits >> 13u) & 1u)) & 0xffffe000u);
    return select(rounded, 0.0, abs(scaled) < 6.103515625e-5);
}

fn direction_word(first: f32, second: f32) -> Word {
    return pack2x16float(vec2<f32>(half_round(first), half_round(second)));
}

fn mean_word(value: f32) -> Word {
    return bitcast<u32>(value);
}
