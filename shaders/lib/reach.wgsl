// The bounds of a projected step on a learned potential: the box, cut down to the trust region. Twin: Reach
// in engine/cpu/potential.rs.
fn reach_clip(point: f32, center: f32, radius: f32, lower: f32, upper: f32) -> f32 {
    return min(max(point, max(center - radius, lower)), min(center + radius, upper));
}
