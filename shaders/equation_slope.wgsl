// The flow's differential equation: the derivative of (x, m, v) at one stage. Twins: velocity() in
// flow/momentum.rs and flow/adam.rs.
struct Params {
    len: u32,
    slab: u32,
    // RULE_DESCENT (x' = -g), RULE_MOMENTUM or RULE_ADAM.
    rule: u32,
    // Momentum: friction. ADAM: (1 - beta)/rate of both moments, the bias corrections at the stage's time,
    // epsilon, and whether the maximum counts.
    friction: f32,
    gain1: f32,
    gain2: f32,
    correction1: f32,
    correction2: f32,
    epsilon: f32,
    amsgrad: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> phase: PhaseState;
@group(0) @binding(2) var<storage, read> gradient: array<f32>;
// The stage's moments m and v, one after another; not touched where the equation has none.
@group(0) @binding(3) var<storage, read> moments: array<f32>;
// The flow's own vectors, of which the third, AMSGrad's maximum, is held during a step.
@group(0) @binding(4) var<storage, read> auxiliary: array<f32>;
@group(0) @binding(5) var<storage, read_write> slope_x: array<f32>;
@group(0) @binding(6) var<storage, read_write> slope_moments: array<f32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (phase.ended != ENDED_NO) {
        return;
    }
    let end = min((group.x + 1u) * params.slab, params.len);
    for (var i = group.x * params.slab + thread; i < end; i += THREADS) {
        let g = gradient[i];
        if (params.rule == RULE_DESCENT) {
            slope_x[i] = -g;
        } else if (params.rule == RULE_MOMENTUM) {
            slope_x[i] = moments[i];
            slope_moments[i] = -params.friction * moments[i] - g;
        } else {
            let m = moments[i];
            let v = moments[params.len + i];
            var second = v;
            if (params.amsgrad != 0u) {
                second = auxiliary[2u * params.len + i];
            }
            let scale = sqrt(max(second / params.correction2, 0.0)) + params.epsilon;
            slope_x[i] = -(m / params.correction1) / scale;
            slope_moments[i] = params.gain1 * (g - m);
            slope_moments[params.len + i] = params.gain2 * (g * g - v);
        }
    }
}
