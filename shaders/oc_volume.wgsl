// OC: partial sums of the volume at eight candidate scales per workgroup. Every thread has unknowns of its
// own and all eight scales for each, so that an unknown is read once and its limits are found once. Twin: the
// closure in engine/cpu/kernels.rs, optimality_criteria(). Traffic: 12 bytes read per unknown for each eight
// candidates. Precision: double-word sums.
struct Params {
    len: u32,
    slab: u32,
    first_slab: u32,
    // The number of candidates of this pass, and whether it is the first pass of a search.
    candidates: u32,
    begins: u32,
    reach: f32,
    lower: f32,
    upper: f32,
    // The row of the lower bounds in `domain`, or NO_ROW; see bounds_of().
    bounds_row: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> phase: PhaseState;
@group(0) @binding(2) var<storage, read> search: Search;
@group(0) @binding(3) var<storage, read> iterate: array<f32>;
@group(0) @binding(4) var<storage, read> growth: array<f32>;
@group(0) @binding(5) var<storage, read> domain: array<f32>;
@group(0) @binding(6) var<storage, read_write> partials: array<vec2<f32>>;

fn add_volume(i: u32, scale: ptr<function, Multipliers>, shares: ptr<function, Shares>) {
    let x = iterate[i];
    let free = growth[i];
    let weight = domain[i];
    let limits = move_limits(i, x);
    for (var t = 0u; t < CANDIDATES; t++) {
        (*shares)[t] = dw_fma((*shares)[t], weight, clamp(free * (*scale)[t], limits.x, limits.y));
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
