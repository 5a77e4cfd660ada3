// Access to tables whose rows are all in f32. The variant basis_f16.wgsl has the basis's directions in half
// precision.
alias Word = f32;
// The number of unknowns in a word of a direction.
const PER_WORD: u32 = 1u;

// The index of unknown i in row `row` of a table, the basis or another, of `len` unknowns.
fn entry_at(of_basis: u32, row: u32, len: u32, i: u32) -> u32 {
    return row * len + i;
}

// The value of an unknown, from the word at its index.
fn entry(of_basis: u32, word: Word, i: u32) -> f32 {
    return word;
}

// The samples' mean comes after the basis's `rank` directions, as one more row.
fn mean_at(of_basis: u32, rank: u32, len: u32, i: u32) -> u32 {
    return rank * len + i;
}

fn mean_of(word: Word) -> f32 {
    return word;
}

// A word of a direction, which is one unknown here.
fn direction_word(first: f32, second: f32) -> Word {
    return first;
}

fn mean_word(value: f32) -> Word {
    return value;
}
