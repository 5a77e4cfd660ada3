// Finds how far the potential falls along the projected step, and prepares the next step. One workgroup.
// Twins: minimize() in engine/cpu/potential.rs, and HigherOrder in surrogate/higher_order.rs. Precision: f32,
// but for the sums that f32 would spoil.
struct Params {
    // The number of learned directions, and the curvature outside them.
    rank: u32,
    outside: f32,
    // Terms beyond the quadratic: their order, and how many samples they are made of (0: none).
    order: u32,
    samples: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> phase: PhaseState;
// The products d.d, d.slope and Q d.
@group(0) @binding(2) var<storage, read> totals: array<vec2<f32>>;
// The curvatures; then, row by row, the samples' points, their slopes, and their values.
@group(0) @binding(3) var<storage, read> learned: array<f32>;
// The step's share t, or -1 once the phase has ended; the coordinates z = Q s, and the gradient with respect
// to them on top of `outside`.
@group(0) @binding(4) var<storage, read_write> model: array<f32>;

const BISECTIONS: u32 = 40u;
var<workgroup> ended: u32;
var<workgroup> share: f32;
// Per sample, what it adds to the second to fourth derivative along the step; then its point's and its
// slope's factor in the gradient.
var<workgroup> added: array<vec3<f32>, THREADS>;

// The first derivative of kappa(u) = u^2/2 + ... + u^n/n!, and the next three.
fn kernel(u: f32) -> vec4<f32> {
    let third = select(0.0, 1.0, params.order >= 3u);
    let fourth = select(0.0, 1.0, params.order >= 4u);
    return vec4<f32>(
        u * (1.0 + u * (third / 2.0 + u * fourth / 6.0)),
        1.0 + u * (third + u * fourth / 2.0),
        third + u * fourth,
        fourth,
    );
}

fn point(k: u32, i: u32) -> f32 {
    return learned[params.rank * (1u + k) + i];
}

fn slope(k: u32, i: u32) -> f32 {
    return learned[params.rank * (1u + params.samples + k) + i];
}

fn value(k: u32) -> f32 {
    return learned[params.rank * (1u + 2u * params.samples) + k];
}

fn projection(i: u32) -> f32 {
    return totals[2u + i].x + totals[2u + i].y;
}

// The value and the slope at t of the polynomial with these derivatives at 0, and the value 0 at 0.
fn polynomial(derivatives: vec4<f32>, t: f32) -> vec2<f32> {
    let d = derivatives;
    return vec2<f32>(
        t * (d.x + t * (d.y / 2.0 + t * (d.z / 6.0 + t * d.w / 24.0))),
        d.x + t * (d.y + t * (d.z / 2.0 + t * d.w / 6.0)),
    );
}

// The point in (0, 1] at which the polynomial is least.
fn minimum_along(derivatives: vec4<f32>) -> f32 {
    let whole = polynomial(derivatives, 1.0);
    if (!(whole.y > 0.0 || whole.x >= 0.0)) {
        return 1.0;
    }
    var low = 0.0;
    var high = 1.0;
    for (var n = 0u; n < BISECTIONS; n++) {
        let middle = 0.5 * (low + high);
        let there = polynomial(derivatives, middle);
        if (there.y > 0.0 || there.x >= 0.0) {
            high = middle;
        } else {
            low = middle;
        }
    }
    return low;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) thread: u32) {
    if (thread < params.samples) {
        var u = 0.0;
        var v = 0.0;
        var alpha = 0.0;
        var beta = 0.0;
        for (var i = 0u; i < params.rank; i++) {
            let z = model[1u + i];
            let c = projection(i);
            u += point(thread, i) * z;
            v += point(thread, i) * c;
            alpha += slope(thread, i) * z;
            beta += slope(thread, i) * c;
        }
        let k = kernel(u);
        let b = value(thread);
        added[thread] = vec3<f32>(
            v * (b * k.y * v + 2.0 * beta * k.y + alpha * k.z * v),
            v * v * (b * k.z * v + 3.0 * beta * k.z + alpha * k.w * v),
            v * v * v * k.w * (b * v + 4.0 * beta),
        );
    }
    workgroupBarrier();
    if (thread == 0u) {
        ended = phase.ended;
        let square = totals[0].x + totals[0].y;
        let along = totals[1];
        let first = along.x + along.y;
        if (ended == ENDED_NO && !(first < 0.0)) {
            ended = ENDED_MINIMUM;
            phase.ended = select(ENDED_NON_FINITE, ENDED_MINIMUM, is_finite(along.x));
        }
        if (ended == ENDED_NO) {
            var curvature = vec2<f32>(params.outside * square, 0.0);
            for (var i = 0u; i < params.rank; i++) {
                let z = projection(i);
                curvature = dw_fma(curvature, learned[i] * z, z);
            }
            var higher = vec3<f32>(0.0);
            for (var k = 0u; k < params.samples; k++) {
                higher += added[k];
            }
            var second = curvature.x + curvature.y + higher.x;
            share = 1.0;
            if (params.samples > 0u) {
                let derivatives = vec4<f32>(first, second, higher.yz);
                share = minimum_along(derivatives);
                // From here on `second` is the mean second derivative over the step.
                second += share * (higher.y / 2.0 + share * higher.z / 6.0);
            } else if (second > 0.0) {
                share = min(-first / second, 1.0);
            }
            phase.rate = 1.0 / params.outside;
            if (second > 0.0) {
                phase.rate = square / second;
            }
            // The change of the value, which differs from that of a quadratic with the same mean curvature in
            // the last two terms.
            let rest = 0.5 * second - share * (higher.y / 12.0 + share * higher.z / 24.0);
            var change = dw_fma(vec2<f32>(0.0), share, along.x);
            change.y += share * along.y;
            phase.predicted = dw_add(phase.predicted, dw_add_word(change, share * share * rest));
            phase.steps += 1u;
            model[0] = share;
        } else {
            model[0] = -1.0;
        }
    }
    if (workgroupUniformLoad(&ended) != ENDED_NO) {
        return;
    }
    for (var i = thread; i < params.rank; i += THREADS) {
        model[1u + i] += share * projection(i);
    }
    storageBarrier();
    if (thread < params.samples) {
        var u = 0.0;
        var alpha = 0.0;
        for (var i = 0u; i < params.rank; i++) {
            let z = model[1u + i];
            u += point(thread, i) * z;
            alpha += slope(thread, i) * z;
        }
        let k = kernel(u);
        added[thread] = vec3<f32>(value(thread) * k.x + alpha * k.y, k.x, 0.0);
    }
    workgroupBarrier();
    for (var i = thread; i < params.rank; i += THREADS) {
        var g = learned[i] * model[1u + i];
        for (var k = 0u; k < params.samples; k++) {
            g += added[k].x * point(k, i) + added[k].y * slope(k, i);
        }
        model[1u + params.rank + i] = g;
    }
}
