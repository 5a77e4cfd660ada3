// A workgroup's share of the sum of g.dx, for kernels with 256 threads that take a step.
var<workgroup> change_sums: array<vec2<f32>, 256>;

fn change_store(thread: u32, slab: u32, change: vec2<f32>) {
    change_sums[thread] = dw_normalize(change);
    for (var stride = 128u; stride > 0u; stride /= 2u) {
        workgroupBarrier();
        if (thread < stride) {
            change_sums[thread] = dw_add(change_sums[thread], change_sums[thread + stride]);
        }
    }
    if (thread == 0u) {
        partials[slab] = change_sums[0];
    }
}
