// The bounds of an unknown: the one pair of the parameters, or, where every unknown has its own, two rows of
// `domain`. For kernels that bind `domain` and whose parameters have len, lower, upper, and bounds_row: the
// row of the lower bounds, which that of the upper ones follows, or NO_ROW for the one pair. Twin: Intervals
// in engine/cpu/bounds.rs. Traffic: 8 bytes read per unknown with bounds of its own.
fn bounds_of(i: u32) -> vec2<f32> {
    if (params.bounds_row == NO_ROW) {
        return vec2<f32>(params.lower, params.upper);
    }
    let at = params.bounds_row * params.len + i;
    return vec2<f32>(domain[at], domain[at + params.len]);
}
