// Partial sums of U (x - c), eight values per workgroup and slab, and of |x - mean|^2 (after the last
// direction's) in the first workgroup. Twin: engine/cpu/kernels.rs, state_project(). Traffic: U, x and the
// mean once. Precision: double-word.
struct Params {
    len: u32,
    slab: u32,
    first_slab: u32,
    // The number of directions, and the first one of this dispatch: the directions before it are done.
    rank: u32,
    first: u32,
    // The number of partial sums per slab.
    values: u32,
    // 1: c is the mean; 0: c is 0.
    centered: u32,
    // The offset of x: the row of a table, or 0.
    row: u32,
    // Whether the directions are the basis's (1) or another table's (0).
    of_basis: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> phase: PhaseState;
// The table of the directions; its row `rank` is the mean.
@group(0) @binding(2) var<storage, read> basis: array<Word>;
@group(0) @binding(3) var<storage, read> iterate: array<f32>;
@group(0) @binding(4) var<storage, read_write> partials: array<vec2<f32>>;

var<workgroup> sums: array<vec2<f32>, THREADS * (DIRECTIONS + 1u)>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (phase.ended != ENDED_NO) {
        return;
    }
    let first = params.first + DIRECTIONS * group.y;
    var sum: array<vec2<f32>, DIRECTIONS>;
    for (var t = 0u; t < DIRECTIONS; t++) {
        sum[t] = vec2<f32>(0.0);
    }
    var square = vec2<f32>(0.0);
    let end = min((group.x + 1u) * params.slab, params.len);
    for (var i = group.x * params.slab + thread; i < end; i += THREADS) {
        let x = iterate[params.row * params.len + i];
        let off_mean = x - mean_of(basis[mean_at(params.of_basis, params.rank, params.len, i)]);
        let about = select(x, off_mean, params.centered != 0u);
        for (var t = 0u; t < DIRECTIONS; t++) {
            if (first + t < params.rank) {
                let word = basis[entry_at(params.of_basis, first + t, params.len, i)];
                sum[t] = dw_fma(sum[t], entry(params.of_basis, word, i), about);
            }
        }
        if (first == 0u) {
            square = dw_fma(square, off_mean, off_mean);
        }
    }
    for (var t = 0u; t < DIRECTIONS; t++) {
        sums[t * THREADS + thread] = dw_normalize(sum[t]);
    }
    sums[DIRECTIONS * THREADS + thread] = dw_normalize(square);
    tree_sums(thread, DIRECTIONS + 1u);
    let to = (params.first_slab + group.x) * params.values;
    if (thread < DIRECTIONS && first + thread < params.rank) {
        partials[to + first + thread] = sums[thread * THREADS];
    }
    if (thread == DIRECTIONS && first == 0u) {
        partials[to + params.rank] = sums[DIRECTIONS * THREADS];
    }
}
