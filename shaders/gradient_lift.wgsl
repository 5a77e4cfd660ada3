// The predicted gradient decode(T^T w, x). Twin: engine/cpu/kernels.rs, gradient_lift().
// Traffic: the table once, x read, 4 bytes written per unknown.
struct Params {
    len: u32,
    slab: u32,
    // Rows of the table T; 0: the weights are the gradient itself, this segment's from `first` on.
    rows: u32,
    first: u32,
    // 0: identity; 1: g = -exp(y) max(x, floor)^(-a).
    log_damped: u32,
    damping: f32,
    iterate_floor: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> phase: PhaseState;
@group(0) @binding(2) var<storage, read> table: array<f32>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read> iterate: array<f32>;
@group(0) @binding(5) var<storage, read_write> gradient: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (phase.ended != 0u) {
        return;
    }
    let end = min((group.x + 1u) * params.slab, params.len);
    for (var i = group.x * params.slab + thread; i < end; i += 256u) {
        var y = 0.0;
        if (params.rows == 0u) {
            y = weights[params.first + i];
        }
        for (var j = 0u; j < params.rows; j++) {
            y += weights[j] * table[j * params.len + i];
        }
        if (params.log_damped != 0u) {
            y = -exp(y - params.damping * log(max(iterate[i], params.iterate_floor)));
        }
        gradient[i] = y;
    }
}
