// x <- damping D^-1 b, the first sweep of a V-cycle, which starts from 0; b is 0 where the mesh is held. On
// the given mesh `inverse` has one number a node and the axes differ by a factor; on the others it has one a
// degree of freedom. Twin: fem/hierarchy.rs, smooth_from_zero(). Traffic per node: 12 bytes of b, 12 of x, 4
// or 12 of the inverse.
struct Params {
    nodes: u32,
    per_node: u32,
    factor_x: f32,
    factor_y: f32,
    factor_z: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> state: SolveState;
@group(0) @binding(2) var<storage, read> inverse: array<f32>;
@group(0) @binding(3) var<storage, read> right_side: array<f32>;
@group(0) @binding(4) var<storage, read_write> result: array<f32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x + THREADS * MOST_GROUPS * id.y;
    if (state.done != 0u || i >= params.nodes) {
        return;
    }
    let factor = vec3<f32>(params.factor_x, params.factor_y, params.factor_z);
    for (var d = 0u; d < 3u; d++) {
        let at = d * params.nodes + i;
        result[at] = factor[d] * inverse[select(at, i, params.per_node == 1u)] * right_side[at];
    }
}
