// The inverse W of the Cholesky factor L of the coarsest mesh's matrix, so that W^T W b is a solve: symmetric
// and positive whatever has been rounded. One workgroup; a thread owns a column of the upper triangle, which
// becomes L^T in place, and then a column of W, which is written to the upper triangle as well. A pivot below
// a millionth of its diagonal is raised to that: it is one that single precision does not know. Twin:
// fem/direct.rs, factorize(). Flops: two thirds of n^3.
struct Params {
    n: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> matrix: array<f32>;
@group(0) @binding(2) var<storage, read_write> inverse: array<f32>;

const LEAST_PIVOT: f32 = 1e-6;
var<workgroup> diagonal: array<f32, MOST_COARSEST>;
// Row k of L^T.
var<workgroup> line: array<f32, MOST_COARSEST>;

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
            line[thread] = select(matrix[k * n + thread] / pivot, pivot, thread == k);
        }
        // The pivot is read above by all threads and changed below by one.
        storageBarrier();
        workgroupBarrier();
        if (thread >= k && thread < n) {
            matrix[k * n + thread] = line[thread];
            for (var i = k + 1u; i <= thread; i++) {
                matrix[i * n + thread] -= line[i] * line[thread];
            }
        }
    }
    storageBarrier();
    workgroupBarrier();
    // Column j of W, by forward substitution; the entries above its diagonal are zeros.
    if (thread < n) {
        let j = thread;
        for (var i = 0u; i < n; i++) {
            var sum = select(0.0, 1.0, i == j);
            for (var k = 0u; k < i; k++) {
                // Threads side by side read the same entry of L and neighbours of W.
                if (k >= j) {
                    sum -= matrix[k * n + i] * inverse[k * n + j];
                }
            }
            if (i >= j) {
                inverse[i * n + j] = sum / matrix[i * n + i];
            }
        }
    }
    storageBarrier();
    workgroupBarrier();
    if (thread < n) {
        for (var i = thread + 1u; i < n; i++) {
            inverse[thread * n + i] = inverse[i * n + thread];
        }
    }
}
