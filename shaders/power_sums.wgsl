// Partial sums over a slab of (x_i y_i)^j, j = 1, 2, 3, for the rows y of a table, four rows per workgroup,
// and of |x - mean|^2 (the last value). Twin: engine/cpu/kernels.rs, power_sums(). Traffic: the table and the
// mean once, x once per four rows. Precision: double-word.
struct Params {
    len: u32,
    slab: u32,
    first_slab: u32,
    // The number of rows of the table that are used.
    rows: u32,
    // The offset of x: the row of a table, or 0.
    row: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> phase: PhaseState;
@group(0) @binding(2) var<storage, read> samples: array<f32>;
@group(0) @binding(3) var<storage, read> mean: array<f32>;
@group(0) @binding(4) var<storage, read> iterate: array<f32>;
@group(0) @binding(5) var<storage, read_write> partials: array<vec2<f32>>;

// The partial sums: three per row, and the distance.
const VALUES: u32 = 3u * POWER_ROWS + 1u;
var<workgroup> sums: array<vec2<f32>, THREADS * VALUES>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (phase.ended != ENDED_NO) {
        return;
    }
    let first = POWER_ROWS * group.y;
    var sum: array<vec2<f32>, VALUES>;
    for (var t = 0u; t < VALUES; t++) {
        sum[t] = vec2<f32>(0.0);
    }
    let end = min((group.x + 1u) * params.slab, params.len);
    for (var i = group.x * params.slab + thread; i < end; i += THREADS) {
        let x = iterate[params.row * params.len + i];
        for (var t = 0u; t < POWER_ROWS; t++) {
            if (first + t < params.rows) {
                let w = two_prod(x, samples[(first + t) * params.len + i]);
                let square = dw_mul(w, w);
                sum[3u * t] = dw_add(sum[3u * t], w);
                sum[3u * t + 1u] = dw_add(sum[3u * t + 1u], square);
                sum[3u * t + 2u] = dw_add(sum[3u * t + 2u], dw_mul(square, w));
            }
        }
        let off_mean = x - mean[i];
        sum[VALUES - 1u] = dw_fma(sum[VALUES - 1u], off_mean, off_mean);
    }
    for (var t = 0u; t < VALUES; t++) {
        sums[t * THREADS + thread] = dw_normalize(sum[t]);
    }
    tree_sums(thread, VALUES);
    let here = (params.first_slab + group.x) * (3u * params.rows + 1u);
    if (thread < VALUES - 1u && first + thread / 3u < params.rows) {
        partials[here + 3u * first + thread] = sums[thread * THREADS];
    }
    if (thread == VALUES - 1u && group.y == 0u) {
        partials[here + 3u * params.rows] = sums[(VALUES - 1u) * THREADS];
    }
}
