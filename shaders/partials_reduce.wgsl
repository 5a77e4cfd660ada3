// Adds the slabs' partial sums of many values, one value per workgroup, in a fixed tree. Twin: the order of
// sums in engine/cpu/sweep.rs, sweep_pieces().
struct Params {
    // The number of slabs, and of values per slab.
    slabs: u32,
    values: u32,
    // The index at which the totals begin.
    first: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> totals: array<vec2<f32>>;

var<workgroup> sums: array<vec2<f32>, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let value = group.x + MOST_GROUPS * group.y;
    var sum = vec2<f32>(0.0);
    for (var slab = thread; slab < params.slabs; slab += THREADS) {
        if (value < params.values) {
            sum = dw_add(sum, partials[slab * params.values + value]);
        }
    }
    sums[thread] = sum;
    tree_sums(thread, 1u);
    if (thread == 0u && value < params.values) {
        totals[params.first + value] = sums[0];
    }
}
