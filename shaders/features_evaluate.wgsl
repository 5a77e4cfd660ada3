// The feature matrix: monomials of every sample's coordinates, double-word, one thread per entry. Twin:
// surrogate/library.rs, evaluate().
struct Params {
    rows: u32,
    variables: u32,
    features: u32,
    order: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
// rows x variables
@group(0) @binding(1) var<storage, read> coordinates: array<vec2<f32>>;
// `order` indices per monomial: 0 stands for the factor 1, i for z_i.
@group(0) @binding(2) var<storage, read> terms: array<u32>;
// rows x features
@group(0) @binding(3) var<storage, read_write> matrix: array<vec2<f32>>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let feature = THREADS * group.x + thread;
    if (feature >= params.features) {
        return;
    }
    var product = vec2<f32>(1.0, 0.0);
    for (var k = 0u; k < params.order; k++) {
        let index = terms[feature * params.order + k];
        if (index > 0u) {
            product = dw_mul(product, coordinates[group.y * params.variables + index - 1u]);
        }
    }
    matrix[group.y * params.features + feature] = product;
}
