// The inner products of the features of x with those of every sample, from power sums: complete homogeneous
// symmetric polynomials. One thread per sample. Twin: surrogate/space.rs, implicit_kernel().
struct Params {
    rows: u32,
    // The order of the library, 1 to 3.
    order: u32,
    bias: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> phase: PhaseState;
// The power sums p1, p2, p3 of each sample.
@group(0) @binding(2) var<storage, read> power_sums: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> products: array<vec2<f32>>;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let sample = id.x;
    if (phase.ended != ENDED_NO || sample >= params.rows) {
        return;
    }
    let p1 = power_sums[3u * sample];
    let p2 = power_sums[3u * sample + 1u];
    let p3 = power_sums[3u * sample + 2u];
    var sum = dw_add(vec2<f32>(params.bias, 0.0), p1);
    if (params.order > 1u) {
        let square = dw_mul(p1, p1);
        sum = dw_add(sum, 0.5 * dw_add(square, p2));
        if (params.order > 2u) {
            // h3 = (p1^3 + 3 p1 p2 + 2 p3)/6
            let mixed = dw_mul(p1, dw_add(square, dw_mul(vec2<f32>(3.0, 0.0), p2)));
            // The factor 1/6 is double-word: rounding it to a word would lose digits of the low word.
            sum = dw_add(sum, dw_mul(dw_add(mixed, 2.0 * p3), vec2<f32>(0.16666667, -4.967054e-9)));
        }
    }
    products[sample] = sum;
}
