// One step of a flow whose unknowns move by themselves: lifts the gradient, moves x and adds up the next
// step's projection. Traffic per unknown of a surrogate step: the basis and the table, which are read once if
// they are the same, and the mean; x and the flow's vectors read and written. Of a true step: the gradient, x
// and the flow's vectors.
struct Params {
    flow: FlowRule,
    // The rule of the lift; with 0 rows the table is the gradient itself.
    lift: LiftRule,
    len: u32,
    slab: u32,
    first_slab: u32,
    rank: u32,
    centered: u32,
    values: u32,
    // Whether the table is the basis (1) or another table (0).
    lifts_basis: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> phase: PhaseState;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> basis: array<Word>;
@group(0) @binding(4) var<storage, read> table: array<Word>;
@group(0) @binding(5) var<storage, read_write> iterate: array<f32>;
@group(0) @binding(6) var<storage, read_write> auxiliary: array<f32>;
@group(0) @binding(7) var<storage, read_write> partials: array<vec2<f32>>;

fn advance(i: u32, x: f32, rows: ptr<function, array<f32, DIRECTIONS>>) -> vec2<f32> {
    var y = 0.0;
    var first = 0u;
    if (params.lift.rows == 0u) {
        // A true step: the table is the gradient, one row, and not the basis.
        y = entry(0u, table[i], i);
    }
    if (params.lifts_basis != 0u && params.values > 1u) {
        for (var t = 0u; t < DIRECTIONS; t++) {
            if (t < params.lift.rows) {
                y += weights[t] * (*rows)[t];
            }
        }
        first = DIRECTIONS;
    }
    let g = lift_decode(params.lift, lift_rows(params.lift, params.lifts_basis, y, first, params.len, i), x);
    return vec2<f32>(g, flow_update(params.flow, params.len, i, x, g));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (phase.ended != ENDED_NO) {
        return;
    }
    step_and_project(group.x, thread);
}
