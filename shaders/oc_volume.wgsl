// OC: partial sums of the volume at 32 candidate scales. Eight threads share a candidate; x, growth and weights of 256 unknowns at a time
// are staged in workgroup memory. Twin: the closure in engine/cpu/kernels.rs, optimality_criteria().
// Traffic: 12 bytes read per unknown for 32 candidates. Precision: double-word sums.
struct Params {
    len: u32,
    slab: u32,
    first_slab: u32,
    reach: f32,
    lower: f32,
    upper: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> phase: PhaseState;
@group(0) @binding(2) var<storage, read> iterate: array<f32>;
@group(0) @binding(3) var<storage, read> growth: array<f32>;
@group(0) @binding(4) var<storage, read> volume_weights: array<f32>;
@group(0) @binding(5) var<storage, read_write> partials: array<vec2<f32>>;

// (growth, least x, greatest x, weight)
var<workgroup> tile: array<vec4<f32>, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (phase.ended != 0u) {
        return;
    }
    let candidate = thread % 32u;
    let lane = thread / 32u;
    let scale = bitcast<f32>(bracket_candidate(phase.bracket_low, phase.bracket_high, candidate));
    var sum = vec2<f32>(0.0);
    let begin = group.x * params.slab;
    let end = min(begin + params.slab, params.len);
    for (var start = begin; start < end; start += 256u) {
        let i = start + thread;
        if (i < end) {
            let x = iterate[i];
            tile[thread] = vec4<f32>(growth[i], max(x - params.reach, params.lower), min(x + params.reach, params.upper), volume_weights[i]);
        }
        workgroupBarrier();
        let filled = min(256u, end - start);
        for (var k = lane; k < filled; k += 8u) {
            let t = tile[k];
            sum = dw_fma(sum, t.w, clamp(t.x * scale, t.y, t.z));
        }
        workgroupBarrier();
    }
    bracket_sums(thread, dw_normalize(sum));
    if (thread < 32u) {
        partials[(params.first_slab + group.x) * 32u + thread] = sums[thread];
    }
}
