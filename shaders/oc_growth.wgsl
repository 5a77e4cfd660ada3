// OC, first pass: the gradient, where it is lifted, and x sqrt(-g/w), the value of x at multiplier 1 before
// clipping. Twin: flow/optimality_criteria.rs, growth(). Traffic: the table, if any, and 12 bytes read, 4
// written per unknown (8 read, 8 written with a table).
struct Params {
    // The rule of the lift; with 0 rows the gradient buffer has the gradient already.
    lift: LiftRule,
    len: u32,
    slab: u32,
    gradient_floor: f32,
    // Whether the table is the basis (1) or another table (0).
    lifts_basis: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> phase: PhaseState;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> table: array<Word>;
@group(0) @binding(4) var<storage, read> iterate: array<f32>;
@group(0) @binding(5) var<storage, read> volume_weights: array<f32>;
@group(0) @binding(6) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(7) var<storage, read_write> growth: array<f32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (phase.ended != ENDED_NO) {
        return;
    }
    let end = min((group.x + 1u) * params.slab, params.len);
    for (var i = group.x * params.slab + thread; i < end; i += THREADS) {
        let x = iterate[i];
        var g = 0.0;
        if (params.lift.rows == 0u) {
            g = gradient[i];
        } else {
            let y = lift_rows(params.lift, params.lifts_basis, 0.0, 0u, params.len, i);
            g = lift_decode(params.lift, y, x);
            gradient[i] = g;
        }
        growth[i] = x * sqrt(max(-g, params.gradient_floor) / volume_weights[i]);
    }
}
