// What a surrogate phase needs to remember from step to step; one per run. Twin: engine/gpu/kernels.rs,
// PhaseState.
struct PhaseState {
    // 0: goes on; 1: left the trust radius; 2: something is not finite.
    ended: u32,
    // Surrogate steps taken.
    steps: u32,
    // Sum of g.dx over all steps, double-word.
    predicted: vec2<f32>,
    // The bracket of the volume's multiplier (OC: of the scale s = 1/sqrt(lambda)), as bit patterns of
    // positive floats, which are ordered like the floats.
    bracket_low: u32,
    bracket_high: u32,
    // Distance from the history's mean at the last projection.
    distance: f32,
    // Length of the next projected step on a learned potential.
    rate: f32,
}
