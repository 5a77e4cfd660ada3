// x <- clip(x - rate g - mu w), mu from the bracket where there is a volume, and the next step's projection.
// Twin: flow/projected_gradient.rs, update(). Traffic: 12 bytes read, 4 written per unknown; the basis and
// the mean with a projection.
struct Params {
    len: u32,
    slab: u32,
    first_slab: u32,
    rank: u32,
    centered: u32,
    values: u32,
    rate: f32,
    lower: f32,
    upper: f32,
    // The row of the lower bounds in `domain`, or NO_ROW; see bounds_of().
    bounds_row: u32,
    // Whether there is a volume bound besides the bounds (1) or not (0).
    has_volume: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> phase: PhaseState;
@group(0) @binding(2) var<storage, read> gradient: array<f32>;
@group(0) @binding(3) var<storage, read> domain: array<f32>;
@group(0) @binding(4) var<storage, read> basis: array<Word>;
@group(0) @binding(5) var<storage, read_write> iterate: array<f32>;
@group(0) @binding(6) var<storage, read_write> partials: array<vec2<f32>>;

fn advance(i: u32, x: f32, rows: ptr<function, array<f32, DIRECTIONS>>) -> vec2<f32> {
    let g = gradient[i];
    var next = x - params.rate * g;
    if (params.has_volume != 0u) {
        next -= bitcast<f32>(phase.bracket_high) * domain[i];
    }
    let bounds = bounds_of(i);
    return vec2<f32>(g, clamp(next, bounds.x, bounds.y));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (phase.ended != ENDED_NO) {
        return;
    }
    step_and_project(group.x, thread);
}
