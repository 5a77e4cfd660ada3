// Adds up, in a fixed tree, what each of 64 threads has put into sums[64 t + thread], for t below `count`;
// the totals are in sums[64 t], for all threads.
fn tree_sums(thread: u32, count: u32) {
    for (var stride = 32u; stride > 0u; stride /= 2u) {
        workgroupBarrier();
        if (thread < stride) {
            for (var t = 0u; t < count; t++) {
                let at = 64u * t + thread;
                sums[at] = dw_add(sums[at], sums[at + stride]);
            }
        }
    }
    workgroupBarrier();
}
