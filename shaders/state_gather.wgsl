// The full space: z = x, as double-word numbers where a projection would be. Twin: engine/cpu/phase.rs,
// Field::weights() without a space.
struct Params {
    len: u32,
    slab: u32,
    // This segment's first unknown.
    first: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> phase: PhaseState;
@group(0) @binding(2) var<storage, read> iterate: array<f32>;
@group(0) @binding(3) var<storage, read_write> projection: array<vec2<f32>>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (phase.ended != ENDED_NO) {
        return;
    }
    let end = min((group.x + 1u) * params.slab, params.len);
    for (var i = group.x * params.slab + thread; i < end; i += THREADS) {
        projection[params.first + i] = vec2<f32>(iterate[i], 0.0);
    }
}
