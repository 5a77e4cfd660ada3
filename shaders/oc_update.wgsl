// OC, last pass: x <- clip(growth s), and the next step's projection. Twin: flow/optimality_criteria.rs,
// clip(). Traffic: 12 bytes read, 4 written per unknown; the basis and the mean with a projection.
struct Params {
    len: u32,
    slab: u32,
    first_slab: u32,
    rank: u32,
    centered: u32,
    values: u32,
    reach: f32,
    lower: f32,
    upper: f32,
    // The row of the lower bounds in `domain`, or NO_ROW; see bounds_of().
    bounds_row: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> phase: PhaseState;
@group(0) @binding(2) var<storage, read> gradient: array<f32>;
@group(0) @binding(3) var<storage, read> growth: array<f32>;
@group(0) @binding(4) var<storage, read> basis: array<Word>;
@group(0) @binding(5) var<storage, read> domain: array<f32>;
@group(0) @binding(6) var<storage, read_write> iterate: array<f32>;
@group(0) @binding(7) var<storage, read_write> partials: array<vec2<f32>>;

fn advance(i: u32, x: f32, rows: ptr<function, array<f32, DIRECTIONS>>) -> vec2<f32> {
    let scale = bitcast<f32>(phase.bracket_low);
    let limits = move_limits(i, x);
    return vec2<f32>(gradient[i], clamp(growth[i] * scale, limits.x, limits.y));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (phase.ended != ENDED_NO) {
        return;
    }
    step_and_project(group.x, thread);
}
