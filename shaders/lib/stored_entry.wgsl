// Entry (i, j) of a symmetric matrix in `source`, of which the lower triangle is stored, one entry of all
// matrices after another. For kernels that bind `source` and whose parameters have entries, the number of
// matrices. Twin: fem/coarse.rs, Stored.
fn stored_entry(place: u32, i: u32, j: u32) -> f32 {
    let high = max(i, j);
    return source[(high * (high + 1u) / 2u + min(i, j)) * params.entries + place];
}
