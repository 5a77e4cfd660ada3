// Projection onto trust region and volume: partial sums of the volume of clip(z - rate slope - mu w) at eight
// candidate multipliers mu per workgroup, laid out as in oc_volume.wgsl. Twin: multiplier() in
// engine/cpu/potential.rs. Traffic: 16 bytes read per unknown for each eight candidates. Precision:
// double-word sums.
struct Params {
    len: u32,
    slab: u32,
    first_slab: u32,
    // The number of candidates of this pass, and whether it is the first pass of a search.
    candidates: u32,
    begins: u32,
    radius: f32,
    lower: f32,
    upper: f32,
    // The row of the lower bounds in `domain`, or NO_ROW; see bounds_of().
    bounds_row: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> phase: PhaseState;
@group(0) @binding(2) var<storage, read> search: Search;
@group(0) @binding(3) var<storage, read> iterate: array<f32>;
@group(0) @binding(4) var<storage, read> slope: array<f32>;
@group(0) @binding(5) var<storage, read> center: array<f32>;
@group(0) @binding(6) var<storage, read> domain: array<f32>;
@group(0) @binding(7) var<storage, read_write> partials: array<vec2<f32>>;

// The rate is read once: a load in the loop would be one per unknown.
var<private> rate: f32;

fn add_volume(i: u32, mu: ptr<function, Multipliers>, shares: ptr<function, Shares>) {
    let free = iterate[i] - rate * slope[i];
    let middle = center[i];
    let weight = domain[i];
    let bounds = bounds_of(i);
    for (var t = 0u; t < CANDIDATES; t++) {
        let point = free - (*mu)[t] * weight;
        let next = reach_clip(point, middle, params.radius, bounds.x, bounds.y);
        (*shares)[t] = dw_fma((*shares)[t], weight, next);
    }
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    if (phase.ended != ENDED_NO || (params.begins == 0u && search.closed != 0u)) {
        return;
    }
    rate = phase.rate;
    volume_pass(group.xy, groups.x, thread);
}
