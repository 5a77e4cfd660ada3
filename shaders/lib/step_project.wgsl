// The pass that moves x. It adds up g.dx and, on the way, what the next prediction is made from, so that neither x nor a table is read again for it:
// U (x - c) and |x - mean|^2 at the new x. Twin: the pass of flow_step() in engine/cpu/phase.rs. Precision: double-word sums.
//
// For kernels with 128 threads that bind `iterate`, `partials` and `basis`, whose row `rank` is the mean. Their parameters have len, slab, first_slab, and
// rank: directions;
// centered: 1: c is the mean; 0: c is 0;
// values: partial sums per slab: the projection's, the square and, last, g.dx; 1: g.dx alone, without a projection (rank 0).
// Their advance(i, x, rows) gives (g, next x) of an unknown; `rows` are the basis's first eight there.
const THREADS: u32 = 128u;
// Of more than eight directions the others are projected on after each stretch of so many unknowns, while the caches hold what moving them has read.
const STRETCH: u32 = 512u;
var<workgroup> sums: array<vec2<f32>, 640>;

fn step_and_project(group: u32, thread: u32) {
    let begin = group * params.slab;
    let end = min(begin + params.slab, params.len);
    let to = (params.first_slab + group) * params.values;
    // Not as a loop of one turn: a loop about barriers costs Mesa's software rasteriser half its speed.
    if (params.rank <= 8u) {
        step_stretch(thread, begin, end, to, true);
        return;
    }
    for (var start = begin; start < end; start += STRETCH) {
        let stop = min(start + STRETCH, end);
        step_stretch(thread, start, stop, to, start == begin);
        for (var first = 8u; first < params.rank; first += 8u) {
            project_stretch(thread, start, stop, first, to, start == begin);
        }
    }
}

// Moves x and projects it on the first eight directions.
fn step_stretch(thread: u32, start: u32, stop: u32, to: u32, begins: bool) {
    var change = vec2<f32>(0.0);
    var square = vec2<f32>(0.0);
    var sum = array<vec2<f32>, 8>();
    for (var i = start + thread; i < stop; i += THREADS) {
        // Without branches, so that the reads are under way together: what is beyond the last direction reads the mean, and counts as 0.
        var rows = array<f32, 8>();
        for (var t = 0u; t < 8u; t++) {
            rows[t] = select(0.0, basis[min(t, params.rank) * params.len + i], t < params.rank);
        }
        let x = iterate[i];
        let moved = advance(i, x, &rows);
        let next = moved.y;
        iterate[i] = next;
        change = dw_fma(change, moved.x, next - x);
        if (params.values > 1u) {
            let off_mean = next - basis[params.rank * params.len + i];
            square = dw_fma(square, off_mean, off_mean);
            let about = select(next, off_mean, params.centered != 0u);
            for (var t = 0u; t < 8u; t++) {
                sum[t] = dw_fma(sum[t], rows[t], about);
            }
        }
    }
    workgroup_add(thread, 0u, change);
    if (params.values > 1u) {
        workgroup_add(thread, 1u, square);
        for (var t = 0u; t < 8u; t++) {
            workgroup_add(thread, 2u + t, sum[t]);
        }
    }
    tree_sums(thread, min(params.values, 10u));
    if (thread == 0u) {
        partial_add(to + params.values - 1u, 0u, begins);
    }
    if (thread == 1u && params.values > 1u) {
        partial_add(to + params.rank, 1u, begins);
    }
    if (thread >= 2u && thread < 10u && thread - 2u < params.rank) {
        partial_add(to + thread - 2u, thread, begins);
    }
    // The sums are used again.
    workgroupBarrier();
}

// Projects x on eight directions from `first` on.
fn project_stretch(thread: u32, start: u32, stop: u32, first: u32, to: u32, begins: bool) {
    var sum = array<vec2<f32>, 8>();
    for (var i = start + thread; i < stop; i += THREADS) {
        let next = iterate[i];
        let about = select(next, next - basis[params.rank * params.len + i], params.centered != 0u);
        for (var t = 0u; t < 8u; t++) {
            sum[t] = dw_fma(sum[t], basis[min(first + t, params.rank) * params.len + i], about);
        }
    }
    for (var t = 0u; t < 8u; t++) {
        workgroup_add(thread, t, sum[t]);
    }
    tree_sums(thread, 8u);
    if (thread < 8u && first + thread < params.rank) {
        partial_add(to + first + thread, thread, begins);
    }
    workgroupBarrier();
}

// Puts what two threads each have of value `t` where tree_sums() takes it.
fn workgroup_add(thread: u32, t: u32, share: vec2<f32>) {
    let at = 64u * t + thread % 64u;
    if (thread >= 64u) {
        sums[at] = dw_normalize(share);
    }
    workgroupBarrier();
    if (thread < 64u) {
        sums[at] = dw_add(dw_normalize(share), sums[at]);
    }
}

// Adds a stretch's sum of value `t` to the slab's.
fn partial_add(at: u32, t: u32, begins: bool) {
    var total = sums[64u * t];
    if (!begins) {
        total = dw_add(partials[at], total);
    }
    partials[at] = total;
}
