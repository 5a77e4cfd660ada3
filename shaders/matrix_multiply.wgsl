// C = A B for small double-word matrices, one thread per entry of C. Twin: ndarray's dot().
struct Params {
    rows: u32,
    inner: u32,
    columns: u32,
    reserved: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
// rows x inner
@group(0) @binding(1) var<storage, read> left: array<vec2<f32>>;
// inner x columns
@group(0) @binding(2) var<storage, read> right: array<vec2<f32>>;
// rows x columns
@group(0) @binding(3) var<storage, read_write> product: array<vec2<f32>>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let column = THREADS * group.x + thread;
    if (column >= params.columns) {
        return;
    }
    var sum = vec2<f32>(0.0);
    for (var k = 0u; k < params.inner; k++) {
        sum = dw_add(sum, dw_mul(left[group.y * params.inner + k], right[k * params.columns + column]));
    }
    product[group.y * params.columns + column] = sum;
}
