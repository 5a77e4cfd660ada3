// Theta <- Theta / scales, double-word, in place: a quotient with its remainder. Twin:
// surrogate/regression.rs, the first line of solve().
struct Params {
    rows: u32,
    features: u32,
    // The number of pairs of words before the scales, which follow the matrix.
    scales_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> data: array<vec2<f32>>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let feature = THREADS * group.x + thread;
    if (feature >= params.features) {
        return;
    }
    let at = group.y * params.features + feature;
    let scale = data[params.scales_at + feature].x;
    let quotient = data[at].x / scale;
    let rest = dw_add(data[at], -two_prod(quotient, scale));
    data[at] = fast_two_sum(quotient, (rest.x + rest.y) / scale);
}
