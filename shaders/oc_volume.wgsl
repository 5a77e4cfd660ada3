// OC: partial sums of the volume at eight candidate scales per workgroup. Every thread has unknowns of its own and all eight scales for each, so that an
// unknown is read once and its limits are found once. Twin: the closure in engine/cpu/kernels.rs, optimality_criteria().
// Traffic: 12 bytes read per unknown for each eight candidates. Precision: double-word sums.
struct Params {
    len: u32,
    slab: u32,
    first_slab: u32,
    // Of this pass, and whether it is a search's first.
    candidates: u32,
    begins: u32,
    reach: f32,
    lower: f32,
    upper: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> phase: PhaseState;
@group(0) @binding(2) var<storage, read> search: Search;
@group(0) @binding(3) var<storage, read> iterate: array<f32>;
@group(0) @binding(4) var<storage, read> growth: array<f32>;
@group(0) @binding(5) var<storage, read> volume_weights: array<f32>;
@group(0) @binding(6) var<storage, read_write> partials: array<vec2<f32>>;

const THREADS: u32 = 64u;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    if (phase.ended != 0u || (params.begins == 0u && search.closed != 0u)) {
        return;
    }
    let first = CANDIDATES * group.y;
    var scale: array<f32, 8>;
    for (var t = 0u; t < CANDIDATES; t++) {
        scale[t] = bitcast<f32>(search.candidates[first + t]);
    }
    let slabs = (params.len + params.slab - 1u) / params.slab;
    for (var slab = group.x; slab < slabs; slab += groups.x) {
        var sum: array<vec2<f32>, 8>;
        for (var t = 0u; t < CANDIDATES; t++) {
            sum[t] = vec2<f32>(0.0);
        }
        let end = min((slab + 1u) * params.slab, params.len);
        for (var i = slab * params.slab + thread; i < end; i += THREADS) {
            let x = iterate[i];
            let free = growth[i];
            let weight = volume_weights[i];
            let least = max(x - params.reach, params.lower);
            let greatest = min(x + params.reach, params.upper);
            for (var t = 0u; t < CANDIDATES; t++) {
                sum[t] = dw_fma(sum[t], weight, clamp(free * scale[t], least, greatest));
            }
        }
        candidate_sums(thread, (params.first_slab + slab) * params.candidates + first, sum);
    }
}
