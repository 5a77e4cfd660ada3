// Computes the lift's weights from the projection: z, then the monomials, then w = Xi^T Theta(z). One
// workgroup. Ends the phase when x has left the trust radius or a number is not finite. Twin:
// engine/cpu/phase.rs, Field::weights().
struct Params {
    rank: u32,
    // The number of monomials, and of factors per monomial; with 0 factors the monomials are there already.
    features: u32,
    order: u32,
    // The number of weights, which is the number of columns of Xi.
    outputs: u32,
    // The factor 1/sigma, and the history's radius.
    inverse_scale: f32,
    radius: f32,
    // The trust radius in history radii; negative for none.
    trust: f32,
    // 1: this prediction begins a surrogate step; 0: it is a later stage of one.
    counts: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> phase: PhaseState;
@group(0) @binding(2) var<storage, read> projection: array<vec2<f32>>;
// `order` indices per monomial: 0 stands for the factor 1, i for z_i.
@group(0) @binding(3) var<storage, read> terms: array<u32>;
@group(0) @binding(4) var<storage, read> coefficients: array<vec2<f32>>;
@group(0) @binding(5) var<storage, read_write> monomials: array<vec2<f32>>;
@group(0) @binding(6) var<storage, read_write> weights: array<f32>;

var<workgroup> ended: u32;
var<workgroup> bad: array<u32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) thread: u32) {
    if (thread == 0u) {
        ended = phase.ended;
    }
    if (workgroupUniformLoad(&ended) != ENDED_NO) {
        return;
    }
    for (var p = thread; p < params.features; p += THREADS) {
        var product = vec2<f32>(1.0, 0.0);
        for (var k = 0u; k < params.order; k++) {
            let index = terms[p * params.order + k];
            if (index > 0u) {
                let z = dw_mul(projection[index - 1u], vec2<f32>(params.inverse_scale, 0.0));
                product = dw_mul(product, z);
            }
        }
        if (params.order > 0u) {
            monomials[p] = product;
        }
    }
    storageBarrier();
    workgroupBarrier();
    var not_finite = 0u;
    for (var j = thread; j < params.outputs; j += THREADS) {
        var sum = vec2<f32>(0.0);
        for (var p = 0u; p < params.features; p += UNROLLED) {
            for (var u = 0u; u < UNROLLED; u++) {
                if (p + u < params.features) {
                    sum = dw_add(sum, dw_mul(coefficients[(p + u) * params.outputs + j], monomials[p + u]));
                }
            }
        }
        weights[j] = sum.x + sum.y;
        if (!is_finite(weights[j])) {
            not_finite = 1u;
        }
    }
    bad[thread] = not_finite;
    workgroupBarrier();
    if (thread == 0u) {
        let square = projection[params.rank].x;
        phase.distance = sqrt(max(square, 0.0));
        var any_bad = select(0u, 1u, !is_finite(square));
        for (var t = 0u; t < THREADS; t++) {
            any_bad |= bad[t];
        }
        if (any_bad != 0u) {
            phase.ended = ENDED_NON_FINITE;
            // At a later stage the step has been counted already, and it is not taken.
            phase.steps -= 1u - params.counts;
        } else if (params.trust >= 0.0 && phase.distance > params.trust * params.radius) {
            phase.ended = ENDED_RADIUS;
        } else {
            phase.steps += params.counts;
        }
    }
}
