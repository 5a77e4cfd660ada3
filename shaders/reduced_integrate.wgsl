// Any number of surrogate iterations of a flow whose state is the reduced coordinate alone: y' = -Xi^T
// Theta(y/sigma), y = sigma z the coordinates in units of x. One workgroup, one dispatch; the cost does not
// depend on d. Explicit Runge-Kutta with the tableau in `constants`; with an error row, steps of its own size
// inside each iteration. Twin: engine/cpu/phase.rs, integrate_reduced().
struct Params {
    rank: u32,
    features: u32,
    order: u32,
    // The number of iterations, and their length in flow time.
    steps: u32,
    h: f32,
    // The factor 1/sigma, and the history's radius.
    inverse_scale: f32,
    radius: f32,
    // The trust radius in history radii; negative for none.
    trust: f32,
    // The number of stages of the rule; the tolerances, with rtol < 0 without step control; the least step as
    // a fraction of h.
    stages: u32,
    rtol: f32,
    atol: f32,
    smallest: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> phase: PhaseState;
// The projection U (x - c) at the start, then |x - mean|^2.
@group(0) @binding(2) var<storage, read> projection: array<vec2<f32>>;
// `order` indices per monomial: 0 stands for the factor 1, i for z_i.
@group(0) @binding(3) var<storage, read> terms: array<u32>;
@group(0) @binding(4) var<storage, read> coefficients: array<vec2<f32>>;
// Stage weights (stages x stages), result weights, error weights, then the samples' mean in y.
@group(0) @binding(5) var<storage, read> constants: array<f32>;
// y - y(start) at the end; then y, the trial, a stage's y, the slopes, the monomials.
@group(0) @binding(6) var<storage, read_write> work: array<f32>;

var<workgroup> sums: array<vec2<f32>, THREADS>;
var<workgroup> flag: u32;

fn y_at() -> u32 {
    return params.rank;
}
fn trial_at() -> u32 {
    return 2u * params.rank;
}
fn stage_at() -> u32 {
    return 3u * params.rank;
}
fn slope_at(s: u32) -> u32 {
    return (4u + s) * params.rank;
}
fn monomial_at() -> u32 {
    return (4u + params.stages) * params.rank;
}

fn fence() {
    storageBarrier();
    workgroupBarrier();
}

// The sum over the workgroup, the same for all threads.
fn reduce(thread: u32, value: vec2<f32>) -> vec2<f32> {
    workgroupBarrier();
    sums[thread] = value;
    for (var stride = THREADS / 2u; stride > 0u; stride /= 2u) {
        workgroupBarrier();
        if (thread < stride) {
            sums[thread] = dw_add(sums[thread], sums[thread + stride]);
        }
    }
    workgroupBarrier();
    return workgroupUniformLoad(&sums[0]);
}

// The slope of stage s at the stage's y.
fn derivative(thread: u32, s: u32) {
    for (var p = thread; p < params.features; p += THREADS) {
        var product = 1.0;
        for (var k = 0u; k < params.order; k++) {
            let index = terms[p * params.order + k];
            if (index > 0u) {
                product *= work[stage_at() + index - 1u] * params.inverse_scale;
            }
        }
        work[monomial_at() + p] = product;
    }
    fence();
    for (var j = thread; j < params.rank; j += THREADS) {
        var sum = vec2<f32>(0.0);
        for (var p = 0u; p < params.features; p += UNROLLED) {
            for (var u = 0u; u < UNROLLED; u++) {
                if (p + u < params.features) {
                    let xi = coefficients[(p + u) * params.rank + j];
                    sum = dw_fma(sum, xi.x, work[monomial_at() + p + u]);
                    sum.y += xi.y * work[monomial_at() + p + u];
                }
            }
        }
        work[slope_at(s) + j] = -(sum.x + sum.y);
    }
    fence();
}

// One step of length h from y to the trial; returns the scaled squared error (0 without an estimate),
// negative if something is not finite.
fn step(thread: u32, h: f32) -> f32 {
    for (var s = 0u; s < params.stages; s++) {
        for (var j = thread; j < params.rank; j += THREADS) {
            var y = 0.0;
            for (var t = 0u; t < s; t++) {
                y += constants[s * params.stages + t] * work[slope_at(t) + j];
            }
            work[stage_at() + j] = work[y_at() + j] + h * y;
        }
        fence();
        derivative(thread, s);
    }
    var error = vec2<f32>(0.0);
    var bad = 0.0;
    for (var j = thread; j < params.rank; j += THREADS) {
        var slope = 0.0;
        var estimate = 0.0;
        for (var t = 0u; t < params.stages; t++) {
            slope += constants[params.stages * params.stages + t] * work[slope_at(t) + j];
            estimate += constants[params.stages * (params.stages + 1u) + t] * work[slope_at(t) + j];
        }
        let old = work[y_at() + j];
        let trial = old + h * slope;
        work[trial_at() + j] = trial;
        if (!is_finite(trial)) {
            bad = 1.0;
        } else if (params.rtol >= 0.0 && estimate != 0.0) {
            let e = h * estimate / (params.atol + params.rtol * max(abs(old), abs(trial)));
            error.x += e * e;
        }
    }
    let any_bad = reduce(thread, vec2<f32>(bad, 0.0));
    let total = reduce(thread, error);
    return select(total.x / f32(params.rank), -1.0, any_bad.x > 0.0 || !is_finite(total.x));
}

fn accept(thread: u32) {
    for (var j = thread; j < params.rank; j += THREADS) {
        work[y_at() + j] = work[trial_at() + j];
    }
    fence();
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) thread: u32) {
    if (thread == 0u) {
        flag = phase.ended;
    }
    if (workgroupUniformLoad(&flag) != ENDED_NO) {
        // An earlier dispatch has ended the phase, so nothing moves any more.
        for (var j = thread; j < params.rank; j += THREADS) {
            work[j] = 0.0;
        }
        return;
    }
    let mean_at = params.stages * (params.stages + 2u);
    var start_square = vec2<f32>(0.0);
    for (var j = thread; j < params.rank; j += THREADS) {
        let y = projection[j].x + projection[j].y;
        work[y_at() + j] = y;
        let off = y - constants[mean_at + j];
        start_square = dw_fma(start_square, off, off);
    }
    fence();
    let in_span = reduce(thread, start_square);
    let outside = projection[params.rank].x - in_span.x;
    var inner = params.h;
    var ended = ENDED_NO;
    var taken = 0u;
    for (var k = 0u; k < params.steps; k++) {
        var square = vec2<f32>(0.0);
        for (var j = thread; j < params.rank; j += THREADS) {
            let off = work[y_at() + j] - constants[mean_at + j];
            square = dw_fma(square, off, off);
        }
        let total = reduce(thread, square);
        let distance = sqrt(max(total.x + outside, 0.0));
        if (params.trust >= 0.0 && distance > params.trust * params.radius) {
            ended = ENDED_RADIUS;
            break;
        }
        var left = params.h;
        var change = vec2<f32>(0.0);
        // y at the iteration's start is kept in the memory of the difference.
        for (var j = thread; j < params.rank; j += THREADS) {
            work[j] = work[y_at() + j];
        }
        fence();
        var failed = false;
        loop {
            if (left <= 0.0) {
                break;
            }
            let last = inner >= left * 0.99999;
            let size = select(inner, left, last);
            let error = step(thread, size);
            if (params.rtol < 0.0) {
                failed = error < 0.0;
                if (!failed) {
                    accept(thread);
                }
                left = 0.0;
            } else if (error >= 0.0 && error <= 1.0) {
                accept(thread);
                left = select(left - size, 0.0, last);
                inner = min(size * clamp(0.9 * pow(max(sqrt(error), 1e-10), -0.2), 0.2, 5.0), params.h);
            } else {
                let shrunk = clamp(0.9 * pow(max(sqrt(max(error, 0.0)), 1e-10), -0.2), 0.1, 0.9);
                let factor = select(shrunk, 0.5, error < 0.0);
                inner = size * factor;
                if (inner < params.smallest * params.h) {
                    failed = true;
                    left = 0.0;
                }
            }
        }
        if (failed) {
            ended = ENDED_NON_FINITE;
            break;
        }
        // g.dx of the iteration, g = -slope at its start, evaluated once more: the inner steps have
        // overwritten it.
        for (var j = thread; j < params.rank; j += THREADS) {
            work[stage_at() + j] = work[j];
        }
        fence();
        derivative(thread, 0u);
        for (var j = thread; j < params.rank; j += THREADS) {
            change = dw_fma(change, -work[slope_at(0u) + j], work[y_at() + j] - work[j]);
        }
        let step_change = reduce(thread, change);
        if (thread == 0u) {
            phase.predicted = dw_add(phase.predicted, step_change);
        }
        taken += 1u;
    }
    for (var j = thread; j < params.rank; j += THREADS) {
        work[j] = work[y_at() + j] - (projection[j].x + projection[j].y);
    }
    if (thread == 0u) {
        phase.ended = ended;
        phase.steps += taken;
    }
}
