// Adds one step's sum of g.dx, from the slabs' partial sums, to the phase's account. One workgroup. Twin: engine/cpu/mod.rs, advance().
struct Params {
    slabs: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> phase: PhaseState;
@group(0) @binding(2) var<storage, read> partials: array<vec2<f32>>;

const THREADS: u32 = 64u;
var<workgroup> ended: u32;
var<workgroup> sums: array<vec2<f32>, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) thread: u32) {
    if (thread == 0u) {
        ended = phase.ended;
    }
    if (workgroupUniformLoad(&ended) != 0u) {
        return;
    }
    var sum = vec2<f32>(0.0);
    for (var slab = thread; slab < params.slabs; slab += THREADS) {
        sum = dw_add(sum, partials[slab]);
    }
    sums[thread] = sum;
    tree_sums(thread, 1u);
    if (thread == 0u) {
        phase.predicted = dw_add(phase.predicted, sums[0]);
    }
}
