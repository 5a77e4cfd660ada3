// Directions U = B (X - reference) + offset reference and the samples' mean, eight directions per workgroup:
// differences to a sample first, so that large entries of B do not cancel against the size of x. Twin:
// engine/cpu/kernels.rs, rows_combine(). Traffic: the history is read once per eight directions; 4 bytes, or
// 2, written per direction and unknown. Precision: double-word, rounded once: the terms of a weak direction
// are as large as the leading direction's and cancel.
struct Params {
    len: u32,
    slab: u32,
    rows: u32,
    // The number of directions.
    rank: u32,
    // The row of X that is subtracted from the others.
    reference: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> iterates: array<f32>;
// The matrix B and the offsets, rank x (rows + 1).
@group(0) @binding(2) var<storage, read> combination: array<vec2<f32>>;
// The directions, then the mean.
@group(0) @binding(3) var<storage, read_write> basis: array<Word>;

struct Combined {
    directions: array<f32, DIRECTIONS>,
    mean: f32,
}

fn combine(i: u32, first: u32) -> Combined {
    let about = iterates[params.reference * params.len + i];
    var sum: array<vec2<f32>, DIRECTIONS>;
    for (var t = 0u; t < DIRECTIONS; t++) {
        sum[t] = vec2<f32>(0.0);
    }
    var shift = 0.0;
    for (var j = 0u; j < params.rows; j++) {
        let x = iterates[j * params.len + i] - about;
        shift += x;
        for (var t = 0u; t < DIRECTIONS; t++) {
            if (first + t < params.rank) {
                let weight = combination[(first + t) * (params.rows + 1u) + j];
                sum[t] = dw_fma(sum[t], weight.x, x);
                sum[t].y += weight.y * x;
            }
        }
    }
    var out: Combined;
    for (var t = 0u; t < DIRECTIONS; t++) {
        if (first + t < params.rank) {
            let offset = combination[(first + t) * (params.rows + 1u) + params.rows];
            let total = dw_fma(sum[t], offset.x, about);
            out.directions[t] = total.x + (total.y + offset.y * about);
        }
    }
    out.mean = about + shift / f32(params.rows);
    return out;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let first = DIRECTIONS * group.y;
    let end = min((group.x + 1u) * params.slab, params.len);
    // The length of a slab is even.
    for (var i = group.x * params.slab + PER_WORD * thread; i < end; i += PER_WORD * THREADS) {
        let here = combine(i, first);
        var beside = here;
        let has_two = PER_WORD == 2u && i + 1u < end;
        if (has_two) {
            beside = combine(i + 1u, first);
        }
        for (var t = 0u; t < DIRECTIONS; t++) {
            if (first + t < params.rank) {
                let to = entry_at(1u, first + t, params.len, i);
                basis[to] = direction_word(here.directions[t], beside.directions[t]);
            }
        }
        if (group.y == 0u) {
            basis[mean_at(1u, params.rank, params.len, i)] = mean_word(here.mean);
            if (has_two) {
                basis[mean_at(1u, params.rank, params.len, i + 1u)] = mean_word(beside.mean);
            }
        }
    }
}
