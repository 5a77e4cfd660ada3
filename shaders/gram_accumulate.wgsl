// Inner products of the rows of [X - reference; Y] with each other: one 4x4 block of the Gram matrix per
// workgroup and slab of unknowns. Each workgroup writes its partial sums; partials_reduce adds them up. Twin:
// engine/cpu/kernels.rs, grams(). Traffic: the history is read once per block row, from cache beyond the
// first. Precision: double-word.
struct Params {
    // The number of unknowns in this segment, and of unknowns per slab.
    len: u32,
    slab: u32,
    // The number of this segment's first slab.
    first_slab: u32,
    // The number of rows of X, and of rows of [X; Y] (twice as many, or the same without Y).
    rows: u32,
    stacked: u32,
    // The row of X that is subtracted from the others, or NO_ROW.
    reference: u32,
    // The number of block pairs, which is the number of workgroups in x.
    blocks: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> iterates: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<f32>;
@group(0) @binding(3) var<storage, read_write> partials: array<vec2<f32>>;

// The number of entries of a block.
const BLOCK: u32 = GRAM_ROWS * GRAM_ROWS;
var<workgroup> sums: array<vec2<f32>, THREADS * BLOCK>;

fn entry(row: u32, i: u32) -> f32 {
    if (row >= params.stacked) {
        return 0.0;
    }
    if (row >= params.rows) {
        return targets[(row - params.rows) * params.len + i];
    }
    let x = iterates[row * params.len + i];
    if (params.reference == NO_ROW) {
        return x;
    }
    return x - iterates[params.reference * params.len + i];
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    // The pair of blocks (a <= b) with number group.x, counted along the rows of the upper triangle.
    let side = (params.stacked + GRAM_ROWS - 1u) / GRAM_ROWS;
    var a = 0u;
    var left = group.x;
    for (var row = 0u; row < side; row++) {
        let width = side - row;
        if (left >= width && row == a) {
            left -= width;
            a += 1u;
        }
    }
    let b = a + left;

    var sum: array<vec2<f32>, BLOCK>;
    for (var t = 0u; t < BLOCK; t++) {
        sum[t] = vec2<f32>(0.0);
    }
    let end = min((group.y + 1u) * params.slab, params.len);
    for (var i = group.y * params.slab + thread; i < end; i += THREADS) {
        var left_rows: array<f32, GRAM_ROWS>;
        var right_rows: array<f32, GRAM_ROWS>;
        for (var t = 0u; t < GRAM_ROWS; t++) {
            left_rows[t] = entry(GRAM_ROWS * a + t, i);
            right_rows[t] = entry(GRAM_ROWS * b + t, i);
        }
        for (var t = 0u; t < BLOCK; t++) {
            sum[t] = dw_fma(sum[t], left_rows[t / GRAM_ROWS], right_rows[t % GRAM_ROWS]);
        }
    }
    for (var t = 0u; t < BLOCK; t++) {
        sums[t * THREADS + thread] = dw_normalize(sum[t]);
    }
    tree_sums(thread, BLOCK);
    if (thread < BLOCK) {
        let to = ((params.first_slab + group.y) * params.blocks + group.x) * BLOCK;
        partials[to + thread] = sums[thread * THREADS];
    }
}
