// The projected step d = clip(z - rate slope - mu w) - z, mu from the bracket where there is a volume, with
// partial sums of d.d and d.slope. Twin: direction() in engine/cpu/potential.rs. Traffic: 16 bytes read, 4
// written per unknown. Precision: double-word sums.
struct Params {
    len: u32,
    slab: u32,
    first_slab: u32,
    radius: f32,
    lower: f32,
    upper: f32,
    // The row of the lower bounds in `domain`, or NO_ROW; see bounds_of().
    bounds_row: u32,
    // Whether there is a volume bound besides the bounds (1) or not (0).
    has_volume: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> phase: PhaseState;
@group(0) @binding(2) var<storage, read> iterate: array<f32>;
@group(0) @binding(3) var<storage, read> slope: array<f32>;
@group(0) @binding(4) var<storage, read> center: array<f32>;
@group(0) @binding(5) var<storage, read> domain: array<f32>;
@group(0) @binding(6) var<storage, read_write> direction: array<f32>;
@group(0) @binding(7) var<storage, read_write> partials: array<vec2<f32>>;

var<workgroup> sums: array<vec2<f32>, 2u * THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (phase.ended != ENDED_NO) {
        return;
    }
    let rate = phase.rate;
    let mu = bitcast<f32>(phase.bracket_high);
    var square = vec2<f32>(0.0);
    var along = vec2<f32>(0.0);
    let end = min((group.x + 1u) * params.slab, params.len);
    for (var i = group.x * params.slab + thread; i < end; i += THREADS) {
        let z = iterate[i];
        var point = z - rate * slope[i];
        if (params.has_volume != 0u) {
            point -= mu * domain[i];
        }
        let bounds = bounds_of(i);
        let d = reach_clip(point, center[i], params.radius, bounds.x, bounds.y) - z;
        direction[i] = d;
        square = dw_fma(square, d, d);
        along = dw_fma(along, d, slope[i]);
    }
    sums[thread] = dw_normalize(square);
    sums[THREADS + thread] = dw_normalize(along);
    tree_sums(thread, 2u);
    if (thread < 2u) {
        partials[(params.first_slab + group.x) * 2u + thread] = sums[thread * THREADS];
    }
}
