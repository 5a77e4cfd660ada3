// The flows whose unknowns move by themselves: one step of one unknown. Twins: update() in
// flow/gradient_descent.rs, flow/momentum.rs and flow/adam.rs. For kernels that bind `auxiliary`, the flow's
// own vectors one after another: momentum's m; ADAM's m, v and, for AMSGrad, the running maximum of v.
struct FlowRule {
    // RULE_DESCENT, RULE_MOMENTUM or RULE_ADAM.
    rule: u32,
    rate: f32,
    // Momentum: mu = 1 - c h, and whether the step is Nesterov's.
    decay: f32,
    nesterov: u32,
    beta1: f32,
    beta2: f32,
    // The differences 1 - beta, rounded from f64: 1 - 0.999 in f32 would lose four digits.
    one_minus_beta1: f32,
    one_minus_beta2: f32,
    epsilon: f32,
    // The bias corrections 1 - beta^k of this step.
    correction1: f32,
    correction2: f32,
    amsgrad: u32,
}

// The next value of unknown i of `len`, from x with gradient g.
fn flow_update(flow: FlowRule, len: u32, i: u32, x: f32, g: f32) -> f32 {
    if (flow.rule == RULE_DESCENT) {
        return x - flow.rate * g;
    }
    if (flow.rule == RULE_MOMENTUM) {
        let m = flow.decay * auxiliary[i] - flow.rate * g;
        auxiliary[i] = m;
        return x + flow.rate * select(m, flow.decay * m - flow.rate * g, flow.nesterov != 0u);
    }
    let m = flow.beta1 * auxiliary[i] + flow.one_minus_beta1 * g;
    let v = flow.beta2 * auxiliary[len + i] + flow.one_minus_beta2 * g * g;
    auxiliary[i] = m;
    auxiliary[len + i] = v;
    var second = v;
    if (flow.amsgrad != 0u) {
        second = max(auxiliary[2u * len + i], v);
        auxiliary[2u * len + i] = second;
    }
    return x - flow.rate * (m / flow.correction1) / (sqrt(second / flow.correction2) + flow.epsilon);
}
