// A workgroup's share of the sum of g.dx, for kernels that take a step and have 2^n threads.
var<workgroup> change_sums: array<vec2<f32>, THREADS>;

fn change_store(thread: u32, slab: u32, change: vec2<f32>) {
    change_sums[thread] = dw_normalize(change);
    for (var stride = THREADS / 2u; stride > 0u; stride /= 2u) {
        workgroupBarrier();
        if (thread < stride) {
            change_sums[thread] = dw_add(change_sums[thread], change_sums[thread + stride]);
        }
    }
    if (thread == 0u) {
        partials[slab] = change_sums[0];
    }
}
