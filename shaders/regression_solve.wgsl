// Batched sequentially thresholded ridge least squares (STLSQ), one workgroup per problem (one column of Y
// with its own support): argmin |Theta xi - y|^2 + ridge |xi|^2 on the support, then support <- |xi| >=
// threshold. The support lives in the work space, and a problem whose support stays is settled. At the end it
// is solved once more without ridge, if asked for, and the results are written. One such phase is a sequence
// of units: load, factorise FACTOR_COLUMNS columns at a time, judge the pivots, refine a few times, finish. A
// dispatch runs as many of them as the host thinks good.
//
// With K rows and P features on the support, A is the (K+P) x min(K,P) ridge-augmented matrix. Both cases are
// one symmetric system, r + A x = b,  A^T r = c: P <= K: A = [Theta; root I],   b = [y; 0], c = 0: least
// squares, xi = x; P >  K: A = [Theta^T; root I], b = 0, c = y:      least norm, xi = the first P entries of
// r. It is solved with A = Q R (Householder) and refined by Bjorck's iteration on the pair (r, x) with
// double-word residuals, so that neither the condition number's digits nor, in the second case, the null
// space's component are lost (Higham, Accuracy and Stability of Numerical Algorithms, ch. 20 and 21). A pivot
// below its column's rounding counts as zero: never a division by it. Theta and y are double-word as well;
// the factorisation uses their high words, the residuals both. Refinement gets all digits back only where the
// ridge stands above the rounding of the factor. Below (a refit without ridge, plain least squares) nothing
// bounds the condition number, and that of a slow flow's iterates, which are nearly collinear, is beyond what
// f32 factors: there the factorisation and its solves are double-word too, at ten to twenty times the
// operations and twice the work space. Inner loops take sixteen rows per turn, or four if they are
// double-word: Mesa's software rasteriser ends loops, silently, after 65535 turns in all. Twin:
// surrogate/regression.rs, solve().
struct Params {
    // SOLVE_FIRST, SOLVE_LATER or SOLVE_LAST.
    phase: u32,
    // The units to run: 0 loads, 1 to `chunks` factorise, the next judges the pivots, `rounds` solve and
    // refine, and the last finishes.
    begin: u32,
    end: u32,
    chunks: u32,
    rounds: u32,
    // Whether a problem's factor is double-word (1) in this phase, or none is (0).
    doubles: u32,
}
// Offsets count pairs of words of `data`, words of `work`, and entries of the outputs.
struct Problem {
    rows: u32,
    features: u32,
    // Theta, rows x features, its columns divided by the scales; the scales (high words); y, with its stride.
    matrix_at: u32,
    scales_at: u32,
    target_at: u32,
    target_stride: u32,
    // Coefficients and support, with their stride; predictions, with theirs.
    coefficient_at: u32,
    coefficient_stride: u32,
    prediction_at: u32,
    prediction_stride: u32,
    work_at: u32,
    iterations: u32,
    refit: u32,
    // Square root of the ridge; it and the threshold act on scaled coefficients.
    root: f32,
    threshold: f32,
    // What stands for no ridge at the end.
    refit_root: f32,
    // Where the ridge's root is below this the factor is double-word.
    double_below: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> problems: array<Problem>;
@group(0) @binding(2) var<storage, read> data: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> work: array<f32>;
@group(0) @binding(4) var<storage, read_write> coefficients: array<vec2<f32>>;
@group(0) @binding(5) var<storage, read_write> predictions: array<f32>;
@group(0) @binding(6) var<storage, read_write> support: array<u32>;

// A sum over the workgroup is taken in two stages of so many terms.
const TERMS: u32 = 16u;
const_assert TERMS * TERMS == THREADS;
var<workgroup> sums: array<f32, THREADS>;
var<workgroup> pair_sums: array<vec2<f32>, THREADS>;
var<workgroup> count: u32;
var<workgroup> settled: u32;

// The ridge's root in the system being solved.
var<private> root: f32;
// How far behind a word of the factor, of its diagonal and scales, and of the two vectors it is solved with
// their low words are; 0 if there are none.
var<private> low: u32;

// Whether this problem's factor is double-word. The uniform comes first: adapters that run both sides of a
// branch are spared one.
fn is_double() -> bool {
    return params.doubles != 0u && low > 0u;
}

// The system being solved: which problem, and how many features its support has.
struct System {
    problem: u32,
    features: u32,
}

fn is_wide(s: System) -> bool {
    return s.features > problems[s.problem].rows;
}

fn tall(s: System) -> u32 {
    return problems[s.problem].rows + s.features;
}

fn narrow(s: System) -> u32 {
    return min(problems[s.problem].rows, s.features);
}

// Work space of this problem: the support, the reflections and R column by column, then the vectors. Sized
// for all s.features. First how many features the support has, and whether it is settled.
fn count_at(problem: u32) -> u32 {
    return problems[problem].work_at;
}
fn chosen_at(s: System) -> u32 {
    return problems[s.problem].work_at + 2u;
}
fn factor_at(s: System, i: u32, j: u32) -> u32 {
    return chosen_at(s) + problems[s.problem].features + j * tall(s) + i;
}
fn diagonal_at(s: System) -> u32 {
    let rows = problems[s.problem].rows;
    let features = problems[s.problem].features;
    return chosen_at(s) + features + (rows + features) * min(rows, features);
}
fn beta_at(s: System) -> u32 {
    return diagonal_at(s) + narrow(s);
}
// A vector of length tall that Q is applied to.
fn vector_at(s: System) -> u32 {
    return beta_at(s) + narrow(s);
}
// A vector of length narrow that R is solved with.
fn small_at(s: System) -> u32 {
    return vector_at(s) + tall(s);
}
// The solution and the residual, double-word, length tall each.
fn solution_at(s: System) -> u32 {
    return small_at(s) + narrow(s);
}
fn residual_at(s: System) -> u32 {
    return solution_at(s) + 2u * tall(s);
}

// Where the outputs have a feature of a problem.
fn coefficient_at(problem: u32, feature: u32) -> u32 {
    return problems[problem].coefficient_at + feature * problems[problem].coefficient_stride;
}

fn chosen(s: System, k: u32) -> u32 {
    return bitcast<u32>(work[chosen_at(s) + k]);
}

// Scaled Theta at row k and feature number j of the support.
fn theta(s: System, k: u32, j: u32) -> vec2<f32> {
    return data[problems[s.problem].matrix_at + k * problems[s.problem].features + chosen(s, j)];
}

fn target_value(s: System, k: u32) -> vec2<f32> {
    return data[problems[s.problem].target_at + k * problems[s.problem].target_stride];
}

// Entry (i, j) of A.
fn augmented(s: System, i: u32, j: u32) -> vec2<f32> {
    let size = max(problems[s.problem].rows, s.features);
    if (i >= size) {
        return vec2<f32>(select(0.0, root, i - size == j), 0.0);
    }
    if (is_wide(s)) {
        return theta(s, j, i);
    }
    return theta(s, i, j);
}

// Sum over the workgroup, the same for all threads.
fn reduce(thread: u32, value: f32) -> f32 {
    workgroupBarrier();
    sums[thread] = value;
    workgroupBarrier();
    if (thread < TERMS) {
        var sum = 0.0;
        for (var k = 0u; k < TERMS; k++) {
            sum += sums[thread + TERMS * k];
        }
        sums[thread] = sum;
    }
    workgroupBarrier();
    var total = 0.0;
    for (var k = 0u; k < TERMS; k++) {
        total += sums[k];
    }
    return total;
}

// The same of double-word numbers.
fn reduce_pairs(thread: u32, value: vec2<f32>) -> vec2<f32> {
    workgroupBarrier();
    pair_sums[thread] = value;
    workgroupBarrier();
    if (thread < TERMS) {
        var sum = vec2<f32>(0.0);
        for (var k = 0u; k < TERMS; k++) {
            sum = dw_add(sum, pair_sums[thread + TERMS * k]);
        }
        pair_sums[thread] = sum;
    }
    workgroupBarrier();
    var total = vec2<f32>(0.0);
    for (var k = 0u; k < TERMS; k++) {
        total = dw_add(total, pair_sums[k]);
    }
    return total;
}

fn fence() {
    storageBarrier();
    workgroupBarrier();
}

fn load_pair(at: u32, i: u32) -> vec2<f32> {
    return vec2<f32>(work[at + 2u * i], work[at + 2u * i + 1u]);
}
fn store_pair(at: u32, i: u32, v: vec2<f32>) {
    work[at + 2u * i] = v.x;
    work[at + 2u * i + 1u] = v.y;
}

// A word with its low word, 0 where there are no low words.
fn load_word(at: u32) -> vec2<f32> {
    if (is_double()) {
        return vec2<f32>(work[at], work[at + low]);
    }
    return vec2<f32>(work[at], 0.0);
}

// Sets a word, and its low word where there are low words.
fn store_word(at: u32, v: vec2<f32>) {
    work[at] = v.x;
    if (is_double()) {
        work[at + low] = v.y;
    }
}

// A double-word number as the solves take it: as it is, or rounded to a word.
fn rounded(v: vec2<f32>) -> vec2<f32> {
    if (is_double()) {
        return dw_normalize(v);
    }
    return vec2<f32>(v.x + v.y, 0.0);
}

// The double-word quotient a / b: two digits of it, each with the remainder of the one before.
fn dw_divide(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
    let first = a.x / b.x;
    let rest = dw_add(a, -dw_mul(b, vec2<f32>(first, 0.0)));
    return fast_two_sum(first, (rest.x + rest.y) / b.x);
}

// The double-word square root of a > 0: one step of Newton's method from the high word's root.
fn dw_root(a: vec2<f32>) -> vec2<f32> {
    let first = sqrt(a.x);
    let rest = dw_add(a, -two_prod(first, first));
    return fast_two_sum(first, (rest.x + rest.y) / (2.0 * first));
}

// The sum plus v w at row i, if there is such a row.
fn add_row(sum: vec2<f32>, v: u32, w: u32, i: u32, end: u32) -> vec2<f32> {
    if (i >= end) {
        return sum;
    }
    return dw_add(sum, dw_mul(load_word(v + i), load_word(w + i)));
}

// w <- w - factor v at row i, if there is such a row.
fn subtract_row(factor: vec2<f32>, v: u32, w: u32, i: u32, end: u32) {
    if (i < end) {
        store_word(w + i, dw_add(load_word(w + i), -dw_mul(factor, load_word(v + i))));
    }
}

// Reflects columns `first` to `first` + FACTOR_COLUMNS in double-word.
fn factorize_double(s: System, thread: u32, first: u32) {
    let m = tall(s);
    let n = narrow(s);
    for (var j = first; j < min(first + FACTOR_COLUMNS, n); j++) {
        let v = factor_at(s, 0u, j);
        var part = vec2<f32>(0.0);
        for (var i = j + thread; i < m; i += THREADS) {
            part = add_row(part, v, v, i, m);
        }
        let square = reduce_pairs(thread, part);
        let pivot = load_word(v + j);
        var norm = vec2<f32>(0.0);
        var beta = vec2<f32>(0.0);
        // A zero column gets a zero reflection.
        if (square.x > 0.0) {
            norm = dw_root(square);
            let size = dw_add(square, dw_mul(select(pivot, -pivot, pivot.x < 0.0), norm));
            beta = dw_divide(vec2<f32>(1.0, 0.0), size);
        }
        let r = select(norm, -norm, pivot.x >= 0.0);
        fence();
        if (thread == 0u) {
            store_word(v + j, dw_add(pivot, -r));
            store_word(diagonal_at(s) + j, r);
            store_word(beta_at(s) + j, beta);
        }
        fence();
        for (var c = j + 1u + thread; c < n; c += THREADS) {
            let w = factor_at(s, 0u, c);
            var dot = vec2<f32>(0.0);
            for (var i = j; i < m; i += DOUBLE_ROWS) {
                dot = add_row(dot, v, w, i, m);
                dot = add_row(dot, v, w, i + 1u, m);
                dot = add_row(dot, v, w, i + 2u, m);
                dot = add_row(dot, v, w, i + 3u, m);
            }
            dot = dw_mul(dot, beta);
            for (var i = j; i < m; i += DOUBLE_ROWS) {
                subtract_row(dot, v, w, i, m);
                subtract_row(dot, v, w, i + 1u, m);
                subtract_row(dot, v, w, i + 2u, m);
                subtract_row(dot, v, w, i + 3u, m);
            }
        }
        fence();
    }
}

// Reflects columns `first` to `first` + FACTOR_COLUMNS.
fn factorize(s: System, thread: u32, first: u32) {
    let m = tall(s);
    let n = narrow(s);
    for (var j = first; j < min(first + FACTOR_COLUMNS, n); j++) {
        var square = 0.0;
        for (var i = j + thread; i < m; i += THREADS) {
            let a = work[factor_at(s, i, j)];
            square += a * a;
        }
        square = reduce(thread, square);
        let norm = sqrt(square);
        let pivot = work[factor_at(s, j, j)];
        let size = square + abs(pivot) * norm;
        // A zero column gets a zero reflection.
        let beta = select(1.0 / size, 0.0, size <= 0.0);
        let r = select(norm, -norm, pivot >= 0.0);
        fence();
        if (thread == 0u) {
            work[factor_at(s, j, j)] = pivot - r;
            work[diagonal_at(s) + j] = r;
            work[beta_at(s) + j] = beta;
        }
        fence();
        for (var c = j + 1u + thread; c < n; c += THREADS) {
            let v = factor_at(s, 0u, j);
            let w = factor_at(s, 0u, c);
            var dot = 0.0;
            for (var i = j; i < m; i += UNROLLED) {
                for (var u = 0u; u < UNROLLED; u++) {
                    if (i + u < m) {
                        dot += work[v + i + u] * work[w + i + u];
                    }
                }
            }
            dot *= beta;
            for (var i = j; i < m; i += UNROLLED) {
                for (var u = 0u; u < UNROLLED; u++) {
                    if (i + u < m) {
                        work[w + i + u] -= dot * work[v + i + u];
                    }
                }
            }
        }
        fence();
    }
}

// A pivot that is rounding against its own column counts as zero (rounding errors of m operations grow as
// sqrt(m): Higham & Mary, SISC 41:A2815, 2019); the column's norm is kept by its reflections. One operation
// in f32 errs by up to 2^-24. A double-word product errs by up to 7 times 2^-48, a sum by 3 times 2^-48 of
// its terms (Joldes, Muller & Popescu, ACM TOMS 44:15, 2017), so that its pivot is held against 2^-44.
fn judge_pivots(s: System, thread: u32) {
    let m = tall(s);
    let n = narrow(s);
    let rounding = select(1.1920929e-7, 5.684342e-14, is_double());
    for (var j = thread; j < n; j += THREADS) {
        var square = 0.0;
        for (var i = 0u; i < m; i += UNROLLED) {
            for (var u = 0u; u < UNROLLED; u++) {
                if (i + u < m) {
                    let a = augmented(s, i + u, j).x;
                    square += a * a;
                }
            }
        }
        if (abs(work[diagonal_at(s) + j]) <= 2.0 * sqrt(f32(m) * square) * rounding) {
            work[diagonal_at(s) + j] = 0.0;
        }
    }
    fence();
}

fn reflect(s: System, thread: u32, j: u32) {
    let m = tall(s);
    if (is_double()) {
        let v = factor_at(s, 0u, j);
        var part = vec2<f32>(0.0);
        for (var i = j + thread; i < m; i += THREADS) {
            part = add_row(part, v, vector_at(s), i, m);
        }
        let factor = dw_mul(reduce_pairs(thread, part), load_word(beta_at(s) + j));
        for (var i = j + thread; i < m; i += THREADS) {
            subtract_row(factor, v, vector_at(s), i, m);
        }
        fence();
        return;
    }
    var dot = 0.0;
    for (var i = j + thread; i < m; i += THREADS) {
        dot += work[factor_at(s, i, j)] * work[vector_at(s) + i];
    }
    dot = reduce(thread, dot) * work[beta_at(s) + j];
    for (var i = j + thread; i < m; i += THREADS) {
        work[vector_at(s) + i] -= dot * work[factor_at(s, i, j)];
    }
    fence();
}

// vector <- Q^T vector
fn apply_transposed(s: System, thread: u32) {
    for (var j = 0u; j < narrow(s); j++) {
        reflect(s, thread, j);
    }
}

// vector <- Q vector
fn apply(s: System, thread: u32) {
    for (var j = narrow(s); j > 0u; j--) {
        reflect(s, thread, j - 1u);
    }
}

// Entry j of the small vector over the diagonal's, 0 where that counts as zero.
fn quotient(s: System, j: u32) -> vec2<f32> {
    let v = small_at(s) + j;
    let r = diagonal_at(s) + j;
    if (work[r] == 0.0) {
        return vec2<f32>(0.0);
    }
    if (is_double()) {
        return dw_divide(load_word(v), load_word(r));
    }
    return vec2<f32>(work[v] / work[r], 0.0);
}

// Entry i of the small vector less v times an entry of the factor.
fn eliminate(s: System, i: u32, v: vec2<f32>, entry: u32) {
    if (is_double()) {
        let at = small_at(s) + i;
        store_word(at, dw_add(load_word(at), -dw_mul(v, load_word(entry))));
    } else {
        work[small_at(s) + i] -= v.x * work[entry];
    }
}

// small <- R^-1 small
fn solve_upper(s: System, thread: u32) {
    for (var k = narrow(s); k > 0u; k--) {
        let j = k - 1u;
        let v = quotient(s, j);
        fence();
        if (thread == 0u) {
            store_word(small_at(s) + j, v);
        }
        for (var i = thread; i < j; i += THREADS) {
            eliminate(s, i, v, factor_at(s, i, j));
        }
        fence();
    }
}

// small <- R^-T small
fn solve_lower(s: System, thread: u32) {
    let n = narrow(s);
    for (var j = 0u; j < n; j++) {
        let v = quotient(s, j);
        fence();
        if (thread == 0u) {
            store_word(small_at(s) + j, v);
        }
        for (var i = j + 1u + thread; i < n; i += THREADS) {
            eliminate(s, i, v, factor_at(s, j, i));
        }
        fence();
    }
}

// f - a b, double-word but for the product of the low words.
fn subtract_product(f: vec2<f32>, a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
    var sum = dw_fma(f, -a.x, b.x);
    sum.y -= a.x * b.y + a.y * b.x;
    return sum;
}

// The errors of r and x, and their correction.
fn refine(s: System, thread: u32) {
    let m = tall(s);
    let n = narrow(s);
    // f = b - r - A x
    for (var i = thread; i < m; i += THREADS) {
        var f = vec2<f32>(0.0);
        if (!is_wide(s) && i < problems[s.problem].rows) {
            f = target_value(s, i);
        }
        f = dw_add(f, -load_pair(residual_at(s), i));
        for (var j = 0u; j < n; j += UNROLLED) {
            for (var u = 0u; u < UNROLLED; u++) {
                if (j + u < n) {
                    f = subtract_product(f, augmented(s, i, j + u), load_pair(solution_at(s), j + u));
                }
            }
        }
        store_word(vector_at(s) + i, rounded(f));
    }
    // g = c - A^T r
    for (var j = thread; j < n; j += THREADS) {
        var g = vec2<f32>(0.0);
        if (is_wide(s)) {
            g = target_value(s, j);
        }
        for (var i = 0u; i < m; i += UNROLLED) {
            for (var u = 0u; u < UNROLLED; u++) {
                if (i + u < m) {
                    g = subtract_product(g, augmented(s, i + u, j), load_pair(residual_at(s), i + u));
                }
            }
        }
        store_word(small_at(s) + j, rounded(g));
    }
    fence();
    // h = R^-T g; dx = R^-1 (d1 - h); dr = Q [h; d2] with d = Q^T f
    solve_lower(s, thread);
    apply_transposed(s, thread);
    for (var j = thread; j < n; j += THREADS) {
        let h = load_word(small_at(s) + j);
        let d = load_word(vector_at(s) + j);
        var difference = vec2<f32>(d.x - h.x, 0.0);
        if (is_double()) {
            difference = dw_add(d, -h);
        }
        store_word(small_at(s) + j, difference);
        store_word(vector_at(s) + j, h);
    }
    fence();
    solve_upper(s, thread);
    apply(s, thread);
    for (var i = thread; i < m; i += THREADS) {
        let dr = load_word(vector_at(s) + i);
        store_pair(residual_at(s), i, dw_add(load_pair(residual_at(s), i), dr));
        if (i < n) {
            let dx = load_word(small_at(s) + i);
            store_pair(solution_at(s), i, dw_add(load_pair(solution_at(s), i), dx));
        }
    }
    fence();
}

// Coefficient number p of the solved system, scaled.
fn coefficient(s: System, p: u32) -> vec2<f32> {
    if (is_wide(s)) {
        return load_pair(residual_at(s), p);
    }
    return load_pair(solution_at(s), p);
}

// A on the current support, and nothing solved yet.
fn load(s: System, thread: u32) {
    let m = tall(s);
    let n = narrow(s);
    for (var i = thread; i < m; i += THREADS) {
        for (var j = 0u; j < n; j++) {
            store_word(factor_at(s, i, j), augmented(s, i, j));
        }
        store_pair(solution_at(s), i, vec2<f32>(0.0));
        store_pair(residual_at(s), i, vec2<f32>(0.0));
    }
    fence();
}

// Coefficients below the threshold become zero and leave the support; the list of the others closes up.
fn threshold(s: System, thread: u32) {
    for (var k = thread; k < s.features; k += THREADS) {
        let xi = coefficient(s, k);
        let at = coefficient_at(s.problem, chosen(s, k));
        coefficients[at] = select(vec2<f32>(0.0), xi, abs(xi.x + xi.y) >= problems[s.problem].threshold);
    }
    fence();
    if (thread == 0u) {
        var next = 0u;
        for (var k = 0u; k < s.features; k++) {
            let feature = chosen(s, k);
            let xi = coefficient(s, k);
            if (abs(xi.x + xi.y) >= problems[s.problem].threshold) {
                work[chosen_at(s) + next] = bitcast<f32>(feature);
                next += 1u;
            }
        }
        work[count_at(s.problem)] = bitcast<f32>(next);
        work[count_at(s.problem) + 1u] = select(0.0, 1.0, next == s.features);
    }
}

// Coefficients of the last solve, supports, predictions, and the scaling undone.
fn write(s: System, thread: u32, all: u32) {
    let problem = s.problem;
    if (problems[problem].refit != 0u) {
        for (var k = thread; k < s.features; k += THREADS) {
            coefficients[coefficient_at(problem, chosen(s, k))] = coefficient(s, k);
        }
        fence();
    }
    for (var p = thread; p < all; p += THREADS) {
        support[coefficient_at(problem, p)] = 0u;
    }
    fence();
    for (var k = thread; k < s.features; k += THREADS) {
        support[coefficient_at(problem, chosen(s, k))] = 1u;
    }
    for (var k = thread; k < problems[problem].rows; k += THREADS) {
        var sum = vec2<f32>(0.0);
        for (var j = 0u; j < s.features; j += UNROLLED) {
            for (var u = 0u; u < UNROLLED; u++) {
                if (j + u < s.features) {
                    let xi = coefficients[coefficient_at(problem, chosen(s, j + u))];
                    sum = subtract_product(sum, theta(s, k, j + u), -xi);
                }
            }
        }
        let to = problems[problem].prediction_at + k * problems[problem].prediction_stride;
        predictions[to] = sum.x + sum.y;
    }
    fence();
    // Undo the scaling: a quotient with its remainder.
    for (var p = thread; p < all; p += THREADS) {
        let at = coefficient_at(problem, p);
        let xi = dw_normalize(coefficients[at]);
        let scale = data[problems[problem].scales_at + p].x;
        let quotient = xi.x / scale;
        let rest = dw_add(xi, -two_prod(quotient, scale));
        coefficients[at] = vec2<f32>(quotient, (rest.x + rest.y) / scale);
    }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let all = problems[group.x].features;
    var s = System(group.x, all);
    root = select(problems[group.x].root, problems[group.x].refit_root, params.phase == SOLVE_LAST);
    if (params.doubles != 0u && root < problems[group.x].double_below) {
        // As many words again follow those of the problem.
        low = residual_at(s) + 2u * tall(s) - problems[group.x].work_at;
    }
    if (params.phase == SOLVE_FIRST && params.begin == 0u) {
        for (var p = thread; p < all; p += THREADS) {
            work[chosen_at(s) + p] = bitcast<f32>(p);
            coefficients[coefficient_at(group.x, p)] = vec2<f32>(0.0);
        }
        if (thread == 0u) {
            work[count_at(group.x)] = bitcast<f32>(all);
            work[count_at(group.x) + 1u] = 0.0;
        }
        fence();
    }
    if (thread == 0u) {
        count = bitcast<u32>(work[count_at(group.x)]);
        settled = u32(work[count_at(group.x) + 1u]);
    }
    s.features = workgroupUniformLoad(&count);
    if (params.phase != SOLVE_LAST && workgroupUniformLoad(&settled) != 0u) {
        return;
    }
    let pivots = params.chunks + 1u;
    let finish = pivots + params.rounds + 1u;
    if (params.phase != SOLVE_LAST || problems[group.x].refit != 0u) {
        for (var unit = params.begin; unit < min(params.end, finish); unit++) {
            if (unit == 0u) {
                load(s, thread);
            } else if (unit < pivots) {
                let first = FACTOR_COLUMNS * (unit - 1u);
                if (is_double()) {
                    factorize_double(s, thread, first);
                } else {
                    factorize(s, thread, first);
                }
            } else if (unit == pivots) {
                judge_pivots(s, thread);
            } else {
                refine(s, thread);
            }
        }
    }
    if (params.end <= finish) {
        return;
    }
    if (params.phase != SOLVE_LAST) {
        threshold(s, thread);
    } else {
        write(s, thread, all);
    }
}
