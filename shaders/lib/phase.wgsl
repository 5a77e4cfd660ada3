// The state of a surrogate phase, kept from step to step, one per run. Twin: engine/gpu/shared.rs,
// PhaseState.
struct PhaseState {
    // ENDED_NO: the phase goes on; ENDED_RADIUS: x has left the trust radius; ENDED_NON_FINITE: a number is
    // not finite; ENDED_MINIMUM: the learned potential has no lower value in the trust region.
    ended: u32,
    // The number of surrogate steps taken.
    steps: u32,
    // The sum of g.dx over all steps, double-word.
    predicted: vec2<f32>,
    // The bracket of the volume's multiplier (OC: of the scale s = 1/sqrt(lambda)), as bit patterns of
    // positive floats, which are ordered like the floats.
    bracket_low: u32,
    bracket_high: u32,
    // The distance from the history's mean at the last projection.
    distance: f32,
    // The length of the next projected step on a learned potential.
    rate: f32,
}
