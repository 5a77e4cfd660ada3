// x <- W^T W b on the coarsest mesh, W being the inverse of the Cholesky factor. One workgroup; b is 0 where
// the mesh is held, and so is x. Twin: fem/direct.rs, solve().
struct Params {
    n: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> state: SolveState;
@group(0) @binding(2) var<storage, read> inverse: array<f32>;
@group(0) @binding(3) var<storage, read> right_side: array<f32>;
@group(0) @binding(4) var<storage, read_write> result: array<f32>;

var<workgroup> values: array<f32, MOST_COARSEST>;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) thread: u32) {
    if (state.done != 0u) {
        return;
    }
    let n = params.n;
    let nodes = n / 3u;
    let place = (thread % 3u) * nodes + thread / 3u;
    if (thread < n) {
        values[thread] = right_side[place];
    }
    workgroupBarrier();
    var sum = 0.0;
    if (thread < n) {
        for (var j = 0u; j <= thread; j++) {
            sum += inverse[thread * n + j] * values[j];
        }
    }
    workgroupBarrier();
    if (thread < n) {
        values[thread] = sum;
    }
    workgroupBarrier();
    if (thread < n) {
        sum = 0.0;
        for (var i = thread; i < n; i++) {
            sum += inverse[i * n + thread] * values[i];
        }
        result[place] = sum;
    }
}
