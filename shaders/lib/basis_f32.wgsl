// Tables as every kernel finds them: all rows in f32. The other form, basis_f16.wgsl, has the basis's
// directions in halves.
alias Word = f32;
// Unknowns in a word of a direction.
const PER_WORD: u32 = 1u;

// Where unknown i is in row `row` of a table, the basis or another, of `len` unknowns.
fn entry_at(of_basis: u32, row: u32, len: u32, i: u32) -> u32 {
    return row * len + i;
}

// Its value, from the word there.
fn entry(of_basis: u32, word: Word, i: u32) -> f32 {
    return word;
}

// The samples' mean comes after the basis's `rank` directions, as another table's row does.
fn mean_at(of_basis: u32, rank: u32, len: u32, i: u32) -> u32 {
    return rank * len + i;
}

fn mean_of(word: Word) -> f32 {
    return word;
}

// A word of a direction: here of one unknown.
fn direction_word(first: f32, second: f32) -> Word {
    return first;
}

fn mean_word(value: f32) -> Word {
    return value;
}
