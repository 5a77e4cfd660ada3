// Batched ridge least squares, one workgroup per problem (column of Y): argmin |Theta xi - y|^2 + ridge |xi|^2.
//
// With K rows and P features, A is the (K+P) x min(K,P) ridge-augmented matrix. Both cases are one symmetric system,
//   r + A x = b,  A^T r = c:
//   P <= K: A = [Theta; root I],   b = [y; 0], c = 0: least squares, xi = x;
//   P >  K: A = [Theta^T; root I], b = 0, c = y:      least norm, xi = the first P entries of r.
// It is solved with A = Q R (Householder) and refined by Bjorck's iteration on the pair (r, x) with double-word residuals, so that neither
// the condition number's digits nor, in the second case, the null space's component are lost (Higham, Accuracy and Stability of
// Numerical Algorithms, ch. 20 and 21). A pivot below rounding counts as zero: never a division by it.
// Twin: surrogate/regression.rs, solve().
struct Params {
    rows: u32,
    features: u32,
    // Problems: columns of Y.
    problems: u32,
    // Square root of the ridge.
    root: f32,
    // Solves, the first included.
    rounds: u32,
    // Floats of work space per problem.
    stride: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
// rows x features
@group(0) @binding(1) var<storage, read> matrix: array<f32>;
// rows x problems
@group(0) @binding(2) var<storage, read> targets: array<f32>;
@group(0) @binding(3) var<storage, read_write> work: array<f32>;
// features x problems, double-word
@group(0) @binding(4) var<storage, read_write> coefficients: array<vec2<f32>>;
// rows x problems
@group(0) @binding(5) var<storage, read_write> predictions: array<f32>;

const THREADS: u32 = 64u;
var<workgroup> sums: array<f32, 64>;

fn is_wide() -> bool {
    return params.features > params.rows;
}

fn tall() -> u32 {
    return params.rows + params.features;
}

fn narrow() -> u32 {
    return min(params.rows, params.features);
}

// Entry (i, j) of A.
fn augmented(i: u32, j: u32) -> f32 {
    let data = max(params.rows, params.features);
    if (i >= data) {
        return select(0.0, params.root, i - data == j);
    }
    if (is_wide()) {
        return matrix[j * params.features + i];
    }
    return matrix[i * params.features + j];
}

// Sum over the workgroup, the same for all threads.
fn reduce(thread: u32, value: f32) -> f32 {
    workgroupBarrier();
    sums[thread] = value;
    for (var stride = THREADS / 2u; stride > 0u; stride /= 2u) {
        workgroupBarrier();
        if (thread < stride) {
            sums[thread] += sums[thread + stride];
        }
    }
    workgroupBarrier();
    return sums[0];
}

fn fence() {
    storageBarrier();
    workgroupBarrier();
}

// Work space of this problem: the reflections and R column by column, then the vectors.
fn factor_at(base: u32, i: u32, j: u32) -> u32 {
    return base + j * tall() + i;
}
fn diagonal_at(base: u32) -> u32 {
    return base + tall() * narrow();
}
fn beta_at(base: u32) -> u32 {
    return diagonal_at(base) + narrow();
}
// A vector of length tall that Q is applied to.
fn vector_at(base: u32) -> u32 {
    return beta_at(base) + narrow();
}
// A vector of length narrow that R is solved with.
fn small_at(base: u32) -> u32 {
    return vector_at(base) + tall();
}
// The solution and the residual, double-word, length tall each.
fn solution_at(base: u32) -> u32 {
    return small_at(base) + narrow();
}
fn residual_at(base: u32) -> u32 {
    return solution_at(base) + 2u * tall();
}

fn load_pair(at: u32, i: u32) -> vec2<f32> {
    return vec2<f32>(work[at + 2u * i], work[at + 2u * i + 1u]);
}
fn store_pair(at: u32, i: u32, v: vec2<f32>) {
    work[at + 2u * i] = v.x;
    work[at + 2u * i + 1u] = v.y;
}

fn factorize(thread: u32, base: u32) {
    let m = tall();
    let n = narrow();
    for (var j = 0u; j < n; j++) {
        var square = 0.0;
        for (var i = j + thread; i < m; i += THREADS) {
            let a = work[factor_at(base, i, j)];
            square += a * a;
        }
        square = reduce(thread, square);
        let norm = sqrt(square);
        let pivot = work[factor_at(base, j, j)];
        let size = square + abs(pivot) * norm;
        // A zero column gets a zero reflection.
        let beta = select(1.0 / size, 0.0, size <= 0.0);
        let r = select(norm, -norm, pivot >= 0.0);
        fence();
        if (thread == 0u) {
            work[factor_at(base, j, j)] = pivot - r;
            work[diagonal_at(base) + j] = r;
            work[beta_at(base) + j] = beta;
        }
        fence();
        for (var c = j + 1u + thread; c < n; c += THREADS) {
            var dot = 0.0;
            for (var i = j; i < m; i++) {
                dot += work[factor_at(base, i, j)] * work[factor_at(base, i, c)];
            }
            dot *= beta;
            for (var i = j; i < m; i++) {
                work[factor_at(base, i, c)] -= dot * work[factor_at(base, i, j)];
            }
        }
        fence();
    }
    // Pivots that are rounding: less than m eps times the largest.
    var largest = 0.0;
    for (var j = 0u; j < n; j++) {
        largest = max(largest, abs(work[diagonal_at(base) + j]));
    }
    fence();
    for (var j = thread; j < n; j += THREADS) {
        if (abs(work[diagonal_at(base) + j]) <= f32(m) * 1.1920929e-7 * largest) {
            work[diagonal_at(base) + j] = 0.0;
        }
    }
    fence();
}

fn reflect(thread: u32, base: u32, j: u32) {
    let m = tall();
    var dot = 0.0;
    for (var i = j + thread; i < m; i += THREADS) {
        dot += work[factor_at(base, i, j)] * work[vector_at(base) + i];
    }
    dot = reduce(thread, dot) * work[beta_at(base) + j];
    for (var i = j + thread; i < m; i += THREADS) {
        work[vector_at(base) + i] -= dot * work[factor_at(base, i, j)];
    }
    fence();
}

// vector <- Q^T vector
fn apply_transposed(thread: u32, base: u32) {
    for (var j = 0u; j < narrow(); j++) {
        reflect(thread, base, j);
    }
}

// vector <- Q vector
fn apply(thread: u32, base: u32) {
    for (var j = narrow(); j > 0u; j--) {
        reflect(thread, base, j - 1u);
    }
}

fn quotient(v: f32, r: f32) -> f32 {
    return select(v / r, 0.0, r == 0.0);
}

// small <- R^-1 small
fn solve_upper(thread: u32, base: u32) {
    for (var k = narrow(); k > 0u; k--) {
        let j = k - 1u;
        let v = quotient(work[small_at(base) + j], work[diagonal_at(base) + j]);
        fence();
        if (thread == 0u) {
            work[small_at(base) + j] = v;
        }
        for (var i = thread; i < j; i += THREADS) {
            work[small_at(base) + i] -= v * work[factor_at(base, i, j)];
        }
        fence();
    }
}

// small <- R^-T small
fn solve_lower(thread: u32, base: u32) {
    let n = narrow();
    for (var j = 0u; j < n; j++) {
        let v = quotient(work[small_at(base) + j], work[diagonal_at(base) + j]);
        fence();
        if (thread == 0u) {
            work[small_at(base) + j] = v;
        }
        for (var i = j + 1u + thread; i < n; i += THREADS) {
            work[small_at(base) + i] -= v * work[factor_at(base, j, i)];
        }
        fence();
    }
}

// The errors of r and x, and their correction.
fn refine(thread: u32, base: u32, problem: u32) {
    let m = tall();
    let n = narrow();
    // f = b - r - A x
    for (var i = thread; i < m; i += THREADS) {
        var f = vec2<f32>(0.0);
        if (!is_wide() && i < params.rows) {
            f.x = targets[i * params.problems + problem];
        }
        f = dw_add(f, -load_pair(residual_at(base), i));
        for (var j = 0u; j < n; j++) {
            let x = load_pair(solution_at(base), j);
            let a = -augmented(i, j);
            f = dw_fma(f, a, x.x);
            f.y += a * x.y;
        }
        work[vector_at(base) + i] = f.x + f.y;
    }
    // g = c - A^T r
    for (var j = thread; j < n; j += THREADS) {
        var g = vec2<f32>(0.0);
        if (is_wide()) {
            g.x = targets[j * params.problems + problem];
        }
        for (var i = 0u; i < m; i++) {
            let r = load_pair(residual_at(base), i);
            let a = -augmented(i, j);
            g = dw_fma(g, a, r.x);
            g.y += a * r.y;
        }
        work[small_at(base) + j] = g.x + g.y;
    }
    fence();
    // h = R^-T g; dx = R^-1 (d1 - h); dr = Q [h; d2] with d = Q^T f
    solve_lower(thread, base);
    apply_transposed(thread, base);
    for (var j = thread; j < n; j += THREADS) {
        let h = work[small_at(base) + j];
        work[small_at(base) + j] = work[vector_at(base) + j] - h;
        work[vector_at(base) + j] = h;
    }
    fence();
    solve_upper(thread, base);
    apply(thread, base);
    for (var i = thread; i < m; i += THREADS) {
        store_pair(residual_at(base), i, dw_add(load_pair(residual_at(base), i), vec2<f32>(work[vector_at(base) + i], 0.0)));
        if (i < n) {
            store_pair(solution_at(base), i, dw_add(load_pair(solution_at(base), i), vec2<f32>(work[small_at(base) + i], 0.0)));
        }
    }
    fence();
}

// Coefficient p of the solved problem.
fn coefficient(base: u32, p: u32) -> vec2<f32> {
    if (is_wide()) {
        return load_pair(residual_at(base), p);
    }
    return load_pair(solution_at(base), p);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let problem = group.x;
    let base = problem * params.stride;
    let m = tall();
    let n = narrow();
    for (var i = thread; i < m; i += THREADS) {
        for (var j = 0u; j < n; j++) {
            work[factor_at(base, i, j)] = augmented(i, j);
        }
        store_pair(solution_at(base), i, vec2<f32>(0.0));
        store_pair(residual_at(base), i, vec2<f32>(0.0));
    }
    fence();
    factorize(thread, base);
    for (var round = 0u; round < params.rounds; round++) {
        refine(thread, base, problem);
    }
    for (var p = thread; p < params.features; p += THREADS) {
        coefficients[p * params.problems + problem] = coefficient(base, p);
    }
    for (var k = thread; k < params.rows; k += THREADS) {
        var sum = vec2<f32>(0.0);
        for (var p = 0u; p < params.features; p++) {
            let xi = coefficient(base, p);
            let a = matrix[k * params.features + p];
            sum = dw_fma(sum, a, xi.x);
            sum.y += a * xi.y;
        }
        predictions[k * params.problems + problem] = sum.x + sum.y;
    }
}
