// What is made of the product K u at a node of a coarse mesh: K u (PRODUCT), b - K u (RESIDUAL) or
// u + damping D^-1 (b - K u) (SMOOTH), each 0 or u where the mesh is held. For kernels that bind `plan`,
// `displacement`, `right_side`, `inverse` and `result` and whose parameters have mode and damping. Twin:
// fem/hierarchy.rs, make_residual() and smooth().
fn finish_node(i: u32, nodes: u32, force: vec3<f32>) {
    let held = plan[i];
    for (var d = 0u; d < 3u; d++) {
        let at = d * nodes + i;
        let free = (held >> d & 1u) == 0u;
        if (params.mode == MAKE_PRODUCT) {
            result[at] = select(0.0, force[d], free);
        } else if (params.mode == MAKE_RESIDUAL) {
            result[at] = select(0.0, right_side[at] - force[d], free);
        } else {
            // The inverse of the diagonal is 0 where the mesh is held.
            result[at] = displacement[at] + params.damping * inverse[at] * (right_side[at] - force[d]);
        }
    }
}
