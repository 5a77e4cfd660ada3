// Adds up, in a fixed tree, what each of TREE_WIDTH threads has put into sums[TREE_WIDTH t + thread], for t
// below `count`; the totals are in sums[TREE_WIDTH t], for all threads.
fn tree_sums(thread: u32, count: u32) {
    for (var stride = TREE_WIDTH / 2u; stride > 0u; stride /= 2u) {
        workgroupBarrier();
        if (thread < stride) {
            for (var t = 0u; t < count; t++) {
                let at = TREE_WIDTH * t + thread;
                sums[at] = dw_add(sums[at], sums[at + stride]);
            }
        }
    }
    workgroupBarrier();
}

// Adds up what each thread of the workgroup has put into sums[thread]; the total is in sums[0], for all
// threads.
fn block_sum(thread: u32) {
    workgroupBarrier();
    if (thread < TREE_WIDTH) {
        for (var other = thread + TREE_WIDTH; other < THREADS; other += TREE_WIDTH) {
            sums[thread] = dw_add(sums[thread], sums[other]);
        }
    }
    tree_sums(thread, 1u);
}
