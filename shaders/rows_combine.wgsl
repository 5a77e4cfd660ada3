// Directions U = B (X - reference) + offset reference and the samples' mean, eight directions per workgroup: differences to a sample first, so
// that large entries of B do not cancel against the size of x. Twin: engine/cpu/kernels.rs, rows_combine().
// Traffic: the history is read once per eight directions; 4 bytes written per direction and unknown. Precision: double-word, rounded once: the
// terms of a weak direction are as large as the leading direction's and cancel.
struct Params {
    len: u32,
    slab: u32,
    rows: u32,
    // Directions.
    rank: u32,
    // Row of X that is subtracted from the others.
    reference: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> iterates: array<f32>;
// B and the offsets, rank x (rows + 1).
@group(0) @binding(2) var<storage, read> combination: array<vec2<f32>>;
// The directions, then the mean.
@group(0) @binding(3) var<storage, read_write> basis: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let first = 8u * group.y;
    let end = min((group.x + 1u) * params.slab, params.len);
    for (var i = group.x * params.slab + thread; i < end; i += 256u) {
        let about = iterates[params.reference * params.len + i];
        var sum: array<vec2<f32>, 8>;
        for (var t = 0u; t < 8u; t++) {
            sum[t] = vec2<f32>(0.0);
        }
        var shift = 0.0;
        for (var j = 0u; j < params.rows; j++) {
            let x = iterates[j * params.len + i] - about;
            shift += x;
            for (var t = 0u; t < 8u; t++) {
                if (first + t < params.rank) {
                    let weight = combination[(first + t) * (params.rows + 1u) + j];
                    sum[t] = dw_fma(sum[t], weight.x, x);
                    sum[t].y += weight.y * x;
                }
            }
        }
        for (var t = 0u; t < 8u; t++) {
            if (first + t < params.rank) {
                let offset = combination[(first + t) * (params.rows + 1u) + params.rows];
                let total = dw_fma(sum[t], offset.x, about);
                basis[(first + t) * params.len + i] = total.x + (total.y + offset.y * about);
            }
        }
        if (group.y == 0u) {
            basis[params.rank * params.len + i] = about + shift / f32(params.rows);
        }
    }
}
