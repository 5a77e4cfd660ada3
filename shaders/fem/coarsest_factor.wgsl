// The inverse W of the Cholesky factor L of the coarsest mesh's matrix, so that W^T W b is a solve: symmetric
// and positive whatever has been rounded. One workgroup, by panels of rows in its memory; a thread owns a
// column of the upper triangle, which becomes L^T in place, and then a column of W, which is written to the
// upper triangle as well. A pivot below a millionth of its diagonal is raised to that: it is one that single
// precision does not know. Twin: fem/direct.rs, factorize(). Flops: two thirds of n^3.
struct Params {
    n: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> matrix: array<f32>;
@group(0) @binding(2) var<storage, read_write> inverse: array<f32>;

const LEAST_PIVOT: f32 = 1e-6;
// Rows of a panel, and entries of a column that are in flight together.
const PANEL: u32 = 16u;
const BATCH: u32 = 4u;
var<workgroup> diagonal: array<f32, MOST_COARSEST>;
// Row p of the panel begins at p MOST_COARSEST.
var<workgroup> panel: array<f32, PANEL * MOST_COARSEST>;

// L^T from row `first` on, for the rows of one panel.
fn factor_panel(thread: u32, first: u32) {
    let n = params.n;
    let last = min(first + PANEL, n);
    for (var k = first; k < last; k++) {
        let p = (k - first) * MOST_COARSEST;
        workgroupBarrier();
        let pivot = sqrt(max(panel[p + k], LEAST_PIVOT * diagonal[k]));
        // All threads have read the pivot before one changes it.
        workgroupBarrier();
        if (thread >= k && thread < n) {
            panel[p + thread] = select(panel[p + thread] / pivot, pivot, thread == k);
        }
        workgroupBarrier();
        for (var i = k + 1u; i < last; i++) {
            if (thread >= i && thread < n) {
                panel[(i - first) * MOST_COARSEST + thread] -= panel[p + i] * panel[p + thread];
            }
        }
    }
    workgroupBarrier();
}

// Takes the panel's share from the rows after it.
fn update_rest(thread: u32, first: u32) {
    let n = params.n;
    var own: array<f32, PANEL>;
    for (var p = 0u; p < PANEL; p++) {
        own[p] = panel[p * MOST_COARSEST + thread];
    }
    for (var i = first + PANEL; i <= thread; i += BATCH) {
        var rest: array<f32, BATCH>;
        for (var t = 0u; t < BATCH; t++) {
            rest[t] = matrix[min(i + t, thread) * n + thread];
        }
        for (var t = 0u; t < BATCH; t++) {
            for (var p = 0u; p < PANEL; p++) {
                rest[t] -= panel[p * MOST_COARSEST + min(i + t, thread)] * own[p];
            }
        }
        for (var t = 0u; t < BATCH; t++) {
            if (i + t <= thread) {
                matrix[(i + t) * n + thread] = rest[t];
            }
        }
    }
}

// The rows of W from `first` on, for the column of this thread; the panel has the rows of L.
fn invert_panel(thread: u32, first: u32) {
    let n = params.n;
    var sums: array<f32, PANEL>;
    for (var p = 0u; p < PANEL; p++) {
        sums[p] = select(0.0, 1.0, first + p == thread);
    }
    for (var k = 0u; k < first; k += BATCH) {
        // The entries above the diagonal of W are zeros.
        var above: array<f32, BATCH>;
        for (var t = 0u; t < BATCH; t++) {
            above[t] = select(0.0, inverse[(k + t) * n + thread], k + t >= thread);
        }
        for (var t = 0u; t < BATCH; t++) {
            for (var p = 0u; p < PANEL; p++) {
                sums[p] -= panel[p * MOST_COARSEST + k + t] * above[t];
            }
        }
    }
    for (var p = 0u; p < PANEL; p++) {
        let i = first + p;
        if (i < n) {
            sums[p] /= panel[p * MOST_COARSEST + i];
            for (var q = p + 1u; q < PANEL; q++) {
                sums[q] -= panel[q * MOST_COARSEST + i] * sums[p];
            }
            if (i >= thread) {
                inverse[i * n + thread] = sums[p];
                inverse[thread * n + i] = sums[p];
            }
        }
    }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) thread: u32) {
    let n = params.n;
    if (thread < n) {
        diagonal[thread] = matrix[thread * n + thread];
    }
    for (var first = 0u; first < n; first += PANEL) {
        storageBarrier();
        workgroupBarrier();
        for (var p = 0u; p < PANEL; p++) {
            if (first + p < n && thread < n) {
                panel[p * MOST_COARSEST + thread] = matrix[(first + p) * n + thread];
            }
        }
        factor_panel(thread, first);
        if (thread < n) {
            for (var p = 0u; p < PANEL; p++) {
                if (first + p <= thread) {
                    matrix[(first + p) * n + thread] = panel[p * MOST_COARSEST + thread];
                }
            }
            update_rest(thread, first);
        }
    }
    for (var first = 0u; first < n; first += PANEL) {
        storageBarrier();
        workgroupBarrier();
        for (var p = 0u; p < PANEL; p++) {
            if (thread <= first + p && first + p < n) {
                panel[p * MOST_COARSEST + thread] = matrix[thread * n + first + p];
            }
        }
        workgroupBarrier();
        if (thread < n) {
            invert_panel(thread, first);
        }
    }
}
