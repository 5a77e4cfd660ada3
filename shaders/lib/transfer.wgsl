// How a mesh lies on the next coarser one: for each axis and node of the finer mesh, the plan has the lower
// one of the two coarse nodes around it, and the weight of the upper one. For kernels that bind the finer
// mesh's `plan` and whose parameters have weights_x, weights_y and weights_z, where each axis begins. Twin:
// fem/coarsening.rs, lower() and reach().
struct Lower {
    node: u32,
    up: f32,
}

fn lower_of(axis: u32, node: u32) -> Lower {
    let begin = vec3<u32>(params.weights_x, params.weights_y, params.weights_z);
    let at = begin[axis] + 2u * node;
    return Lower(plan[at], bitcast<f32>(plan[at + 1u]));
}

// The weight of a coarse node in the value at a fine one.
fn weight_of(axis: u32, node: u32, coarse: u32) -> f32 {
    let lower = lower_of(axis, node);
    if (lower.node == coarse) {
        return 1.0 - lower.up;
    }
    return select(0.0, lower.up, lower.node + 1u == coarse);
}
