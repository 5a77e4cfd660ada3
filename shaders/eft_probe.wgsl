// Self-test: the error-free transforms of known pairs, alone and in a double-word inner product, where a
// compiler has more to reassociate. Twin: engine/gpu/self_test.rs checks them in f64.
struct Params {
    count: u32,
    // The number of terms per inner product, a uniform that steers control flow as in the other kernels.
    terms: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> pairs: array<vec2<f32>>;
// (sum, its error, product, its error)
@group(0) @binding(2) var<storage, read_write> results: array<vec4<f32>>;
// The inner product of the halves of the next `terms` pairs, wrapping around.
@group(0) @binding(3) var<storage, read_write> products: array<vec2<f32>>;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < params.count) {
        let pair = pairs[id.x];
        results[id.x] = vec4<f32>(two_sum(pair.x, pair.y), two_prod(pair.x, pair.y));
        var sum = vec2<f32>(0.0);
        for (var k = 0u; k < params.terms; k++) {
            let next = pairs[(id.x + k) % params.count];
            sum = dw_fma(sum, next.x, next.y);
        }
        products[id.x] = dw_add(vec2<f32>(0.0), dw_normalize(sum));
    }
}
