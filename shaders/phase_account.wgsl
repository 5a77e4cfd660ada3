// Adds up the slabs' partial sums of a step, one value per workgroup: the last, the sum of g.dx, goes to the
// phase's account, the others, the projection of the new x, to where the next prediction takes them from.
// Twin: the sums of flow_step() in engine/cpu/phase.rs.
struct Params {
    slabs: u32,
    // The number of values per slab.
    values: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> phase: PhaseState;
@group(0) @binding(2) var<storage, read> partials: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> totals: array<vec2<f32>>;

var<workgroup> ended: u32;
var<workgroup> sums: array<vec2<f32>, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (thread == 0u) {
        ended = phase.ended;
    }
    if (workgroupUniformLoad(&ended) != ENDED_NO) {
        return;
    }
    let value = group.x;
    var sum = vec2<f32>(0.0);
    for (var slab = thread; slab < params.slabs; slab += THREADS) {
        sum = dw_add(sum, partials[slab * params.values + value]);
    }
    sums[thread] = sum;
    tree_sums(thread, 1u);
    if (thread == 0u) {
        if (value + 1u == params.values) {
            phase.predicted = dw_add(phase.predicted, sums[0]);
        } else {
            totals[value] = sums[0];
        }
    }
}
