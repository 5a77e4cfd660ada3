// Between what an unknown that is x now may be after one step of OC: its bounds, cut down to the move limit.
// For kernels whose parameters have `reach` as well, the move limit of the one pair; where every unknown has
// bounds of its own, the row after them has the unknowns' move limits. Twin: flow/optimality_criteria.rs,
// clip(). Traffic: 12 bytes read per unknown with bounds of its own.
fn move_limits(i: u32, x: f32) -> vec2<f32> {
    let bounds = bounds_of(i);
    var reach = params.reach;
    if (params.bounds_row != NO_ROW) {
        reach = domain[(params.bounds_row + 2u) * params.len + i];
    }
    return vec2<f32>(max(x - reach, bounds.x), min(x + reach, bounds.y));
}
