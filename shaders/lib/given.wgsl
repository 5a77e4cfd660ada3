// The density that an element has whatever the design is: sixteen elements a word, two bits each. For kernels
// that bind `given` and whose parameters have has_given, 0 where every element is designed. Twin:
// topology/passive.rs, PassiveElements.
fn given_of(e: u32) -> u32 {
    if (params.has_given == 0u) {
        return GIVEN_NONE;
    }
    return given[e / 16u] >> (2u * (e % 16u)) & 3u;
}
