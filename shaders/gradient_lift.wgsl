// The predicted gradient as a vector, for the kernels that need it as one. Traffic: the table once, x read, 4
// bytes written per unknown.
struct Params {
    // The rule of the lift; with 0 rows the weights are the gradient itself, this segment's from `first` on.
    lift: LiftRule,
    len: u32,
    slab: u32,
    first: u32,
    // Whether the table is the basis (1) or another table (0).
    lifts_basis: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> phase: PhaseState;
@group(0) @binding(2) var<storage, read> table: array<Word>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read> iterate: array<f32>;
@group(0) @binding(5) var<storage, read_write> gradient: array<f32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (phase.ended != ENDED_NO) {
        return;
    }
    let end = min((group.x + 1u) * params.slab, params.len);
    for (var i = group.x * params.slab + thread; i < end; i += THREADS) {
        var y = 0.0;
        if (params.lift.rows == 0u) {
            y = weights[params.first + i];
        }
        let lifted = lift_rows(params.lift, params.lifts_basis, y, 0u, params.len, i);
        gradient[i] = lift_decode(params.lift, lifted, iterate[i]);
    }
}
