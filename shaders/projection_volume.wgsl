// Projection onto box and volume: partial sums of the volume of clip(x - rate g - mu w) at eight candidate
// multipliers mu per workgroup, laid out as in oc_volume.wgsl. Twin: the closure in engine/cpu/kernels.rs,
// projected_gradient(). Traffic: 12 bytes read per unknown for each eight candidates. Precision: double-word
// sums.
struct Params {
    len: u32,
    slab: u32,
    first_slab: u32,
    // The number of candidates of this pass, and whether it is the first pass of a search.
    candidates: u32,
    begins: u32,
    rate: f32,
    lower: f32,
    upper: f32,
    // The row of the lower bounds in `domain`, or NO_ROW; see bounds_of().
    bounds_row: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> phase: PhaseState;
@group(0) @binding(2) var<storage, read> search: Search;
@group(0) @binding(3) var<storage, read> iterate: array<f32>;
@group(0) @binding(4) var<storage, read> gradient: array<f32>;
@group(0) @binding(5) var<storage, read> domain: array<f32>;
@group(0) @binding(6) var<storage, read_write> partials: array<vec2<f32>>;

fn add_volume(i: u32, mu: ptr<function, Multipliers>, shares: ptr<function, Shares>) {
    let free = iterate[i] - params.rate * gradient[i];
    let weight = domain[i];
    let bounds = bounds_of(i);
    for (var t = 0u; t < CANDIDATES; t++) {
        let next = clamp(free - (*mu)[t] * weight, bounds.x, bounds.y);
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
    volume_pass(group.xy, groups.x, thread);
}
