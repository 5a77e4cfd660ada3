// x <- x + U^T (y - y(start)); in the full space x <- y. Twin: engine/cpu/basis.rs, add_combination().
// Traffic: U once, x read and written.
struct Params {
    len: u32,
    slab: u32,
    // The number of directions; 0: the full space, where this segment's unknowns begin at `first` of `rank`
    // many.
    rows: u32,
    first: u32,
    rank: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
// The difference y - y(start), then y.
@group(0) @binding(1) var<storage, read> work: array<f32>;
@group(0) @binding(2) var<storage, read> basis: array<Word>;
@group(0) @binding(3) var<storage, read_write> iterate: array<f32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let end = min((group.x + 1u) * params.slab, params.len);
    for (var i = group.x * params.slab + thread; i < end; i += THREADS) {
        if (params.rows == 0u) {
            iterate[i] = work[params.rank + params.first + i];
        } else {
            var sum = 0.0;
            for (var j = 0u; j < params.rows; j++) {
                sum += work[j] * entry(1u, basis[entry_at(1u, j, params.len, i)], i);
            }
            iterate[i] += sum;
        }
    }
}
