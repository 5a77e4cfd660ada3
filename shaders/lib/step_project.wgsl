// The pass that moves x. It adds up g.dx and, on the way, what the next prediction is made from, so that
// neither x nor a table is read again for it: U (x - c), on the first DIRECTIONS directions, and
// |x - mean|^2 at the new x. (More would not stay in registers: state_project has the others.) Twin: the pass
// of flow_step() in engine/cpu/phase.rs. Precision: double-word sums.
//
// For kernels with 2 TREE_WIDTH threads that bind `iterate`, `partials` and `basis`, whose row `rank` is the
// mean.
// Their parameters have len, slab, first_slab, and rank: directions; centered: 1: c is the mean; 0: c is 0;
// values: partial sums per slab: the projection's, the square and, last, g.dx; 1: g.dx alone, without a
// projection (rank 0). Their advance(i, x, rows) gives (g, next x) of an unknown; `rows` are the basis's
// first DIRECTIONS there.
const VALUES: u32 = DIRECTIONS + 2u;
var<workgroup> sums: array<vec2<f32>, TREE_WIDTH * VALUES>;

fn step_and_project(group: u32, thread: u32) {
    // The sums per thread: g.dx, the square, the directions.
    var shares = array<vec2<f32>, VALUES>();
    let end = min((group + 1u) * params.slab, params.len);
    for (var i = group * params.slab + thread; i < end; i += THREADS) {
        // The loop has no branches, so that the reads are in flight together: beyond the last direction it
        // reads the mean and counts it as 0.
        var rows = array<f32, DIRECTIONS>();
        for (var t = 0u; t < DIRECTIONS; t++) {
            let word = basis[entry_at(1u, min(t, params.rank), params.len, i)];
            rows[t] = select(0.0, entry(1u, word, i), t < params.rank);
        }
        let x = iterate[i];
        let moved = advance(i, x, &rows);
        let next = moved.y;
        iterate[i] = next;
        shares[0] = dw_fma(shares[0], moved.x, next - x);
        if (params.values > 1u) {
            let off_mean = next - mean_of(basis[mean_at(1u, params.rank, params.len, i)]);
            shares[1] = dw_fma(shares[1], off_mean, off_mean);
            let about = select(next, off_mean, params.centered != 0u);
            for (var t = 0u; t < DIRECTIONS; t++) {
                shares[2u + t] = dw_fma(shares[2u + t], rows[t], about);
            }
        }
    }
    // Two threads share each of the TREE_WIDTH sums of tree_sums().
    let count = min(params.values, VALUES);
    if (thread >= TREE_WIDTH) {
        for (var t = 0u; t < VALUES; t++) {
            sums[TREE_WIDTH * t + thread - TREE_WIDTH] = dw_normalize(shares[t]);
        }
    }
    workgroupBarrier();
    if (thread < TREE_WIDTH) {
        for (var t = 0u; t < VALUES; t++) {
            sums[TREE_WIDTH * t + thread] = dw_add(dw_normalize(shares[t]), sums[TREE_WIDTH * t + thread]);
        }
    }
    tree_sums(thread, count);
    let to = (params.first_slab + group) * params.values;
    if (thread == 0u) {
        partials[to + params.values - 1u] = sums[0];
    }
    if (thread == 1u && params.values > 1u) {
        partials[to + params.rank] = sums[TREE_WIDTH];
    }
    if (thread >= 2u && thread < VALUES && thread - 2u < params.rank) {
        partials[to + thread - 2u] = sums[TREE_WIDTH * thread];
    }
}
