// x <- W^T W b on the coarsest mesh, W being the inverse of the Cholesky factor, which is in the lower
// triangle of `inverse` and once more in the upper one, so that threads side by side read what lies side by
// side. One workgroup; PARTS threads share a row. b is 0 where the mesh is held, and so is x. Twin:
// fem/direct.rs, solve().
struct Params {
    n: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> state: SolveState;
@group(0) @binding(2) var<storage, read> inverse: array<f32>;
@group(0) @binding(3) var<storage, read> right_side: array<f32>;
@group(0) @binding(4) var<storage, read_write> result: array<f32>;

const ROWS: u32 = 64u;
const PARTS: u32 = THREADS / ROWS;
var<workgroup> values: array<f32, MOST_COARSEST>;
// The share of part p in row i is at p MOST_COARSEST + i.
var<workgroup> shares: array<f32, PARTS * MOST_COARSEST>;

fn total(i: u32) -> f32 {
    var sum = shares[i];
    for (var part = 1u; part < PARTS; part++) {
        sum += shares[part * MOST_COARSEST + i];
    }
    return sum;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) thread: u32) {
    if (state.done != 0u) {
        return;
    }
    let n = params.n;
    let nodes = n / 3u;
    // Degree of freedom i of the matrix is node i / 3, axis i % 3.
    let place = (thread % 3u) * nodes + thread / 3u;
    if (thread < n) {
        values[thread] = right_side[place];
    }
    workgroupBarrier();
    let part = thread / ROWS;
    for (var i = thread % ROWS; i < n; i += ROWS) {
        // Row i of W: its entry j is at (j, i) as well.
        var sum = 0.0;
        for (var j = part; j <= i; j += PARTS) {
            sum += inverse[j * n + i] * values[j];
        }
        shares[part * MOST_COARSEST + i] = sum;
    }
    workgroupBarrier();
    if (thread < n) {
        values[thread] = total(thread);
    }
    workgroupBarrier();
    for (var i = thread % ROWS; i < n; i += ROWS) {
        var sum = 0.0;
        for (var j = i + (part + PARTS - i % PARTS) % PARTS; j < n; j += PARTS) {
            sum += inverse[j * n + i] * values[j];
        }
        shares[part * MOST_COARSEST + i] = sum;
    }
    workgroupBarrier();
    if (thread < n) {
        result[place] = total(thread);
    }
}
