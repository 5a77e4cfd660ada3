// What is made of the product K u at a node of a coarse mesh, u being `here`: K u (PRODUCT), b - K u
// (RESIDUAL) or u + damping D^-1 (b - K u) (SMOOTH), each 0 or u where the mesh is held, which the bits of
// `held` tell. For kernels whose parameters have mode and damping. Twin: fem/hierarchy.rs, make_residual()
// and smooth().
fn made_of(here: vec3<f32>, force: vec3<f32>, right_side: vec3<f32>, inverse: vec3<f32>, held: u32)
    -> vec3<f32> {
    let free = (vec3<u32>(held) >> vec3<u32>(0u, 1u, 2u) & vec3<u32>(1u)) == vec3<u32>(0u);
    if (params.mode == MAKE_PRODUCT) {
        return select(vec3<f32>(0.0), force, free);
    }
    if (params.mode == MAKE_RESIDUAL) {
        return select(vec3<f32>(0.0), right_side - force, free);
    }
    return here + select(vec3<f32>(0.0), params.damping * inverse * (right_side - force), free);
}
