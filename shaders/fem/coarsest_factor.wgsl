// The inverse W of the Cholesky factor L of the coarsest mesh's matrix, so that W^T W b is a solve: symmetric
// and positive whatever has been rounded. One workgroup; the matrix becomes L in place. A pivot below a
// millionth of its diagonal is raised to that: it is one that single precision does not know. Twin:
// fem/direct.rs, factorize(). Flops: two thirds of n^3.
struct Params {
    n: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> matrix: array<f32>;
@group(0) @binding(2) var<storage, read_write> inverse: array<f32>;

const LEAST_PIVOT: f32 = 1e-6;
var<workgroup> diagonal: array<f32, MOST_COARSEST>;
var<workgroup> column: array<f32, MOST_COARSEST>;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) thread: u32) {
    let n = params.n;
    if (thread < n) {
        diagonal[thread] = matrix[thread * n + thread];
    }
    for (var k = 0u; k < n; k++) {
        storageBarrier();
        workgroupBarrier();
        let pivot = sqrt(max(matrix[k * n + k], LEAST_PIVOT * diagonal[k]));
        if (thread >= k && thread < n) {
            column[thread] = select(matrix[thread * n + k] / pivot, pivot, thread == k);
        }
        workgroupBarrier();
        if (thread >= k && thread < n) {
            matrix[thread * n + k] = column[thread];
            for (var j = k + 1u; j <= thread; j++) {
                matrix[thread * n + j] -= column[thread] * column[j];
            }
        }
    }
    storageBarrier();
    workgroupBarrier();
    // Column j of W, by forward substitution.
    if (thread < n) {
        let j = thread;
        for (var i = 0u; i < j; i++) {
            inverse[i * n + j] = 0.0;
        }
        inverse[j * n + j] = 1.0 / matrix[j * n + j];
        for (var i = j + 1u; i < n; i++) {
            var sum = 0.0;
            for (var k = j; k < i; k++) {
                sum += matrix[i * n + k] * inverse[k * n + j];
            }
            inverse[i * n + j] = -sum / matrix[i * n + i];
        }
    }
}
