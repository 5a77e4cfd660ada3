// The product K u on the given mesh, and what is made of it: K u with u.K u (PRODUCT), b - K u (RESIDUAL) or
// u + damping D^-1 (b - K u) (SMOOTH), each 0 or u where the mesh is held. Twins: fem/operator.rs, apply(),
// and fem/hierarchy.rs, make_residual() and smooth(). Traffic per element: 12 bytes of u, 12 of the result, 4
// of the modulus, 4 of the mask and 12 of b; some 350 flops.
struct Params {
    nx: u32,
    ny: u32,
    nz: u32,
    layers: u32,
    mode: u32,
    damping: f32,
    // One over the diagonal of an element of modulus 1, along each axis.
    inverse_x: f32,
    inverse_y: f32,
    inverse_z: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> state: SolveState;
@group(0) @binding(2) var<uniform> blocks: array<vec4<f32>, BLOCK_VECTORS>;
@group(0) @binding(3) var<storage, read> moduli: array<f32>;
@group(0) @binding(4) var<storage, read> plan: array<u32>;
@group(0) @binding(5) var<storage, read> displacement: array<f32>;
@group(0) @binding(6) var<storage, read> right_side: array<f32>;
@group(0) @binding(7) var<storage, read_write> result: array<f32>;
@group(0) @binding(8) var<storage, read_write> partials: array<vec2<f32>>;

fn block_row(row: u32, half: u32, x: vec4<f32>, y: vec4<f32>, z: vec4<f32>) -> vec4<f32> {
    let at = 9u * half + 3u * row;
    return blocks[at] * x + blocks[at + 1u] * y + blocks[at + 2u] * z;
}

// The stiffness times a displacement, both by representation.
fn stiffen(u: Directions) -> Directions {
    return Directions(
        Eight(block_row(0u, 0u, u.x.low, u.y.low, u.z.low), block_row(0u, 1u, u.x.high, u.y.high, u.z.high)),
        Eight(block_row(1u, 0u, u.x.low, u.y.low, u.z.low), block_row(1u, 1u, u.x.high, u.y.high, u.z.high)),
        Eight(block_row(2u, 0u, u.x.low, u.y.low, u.z.low), block_row(2u, 1u, u.x.high, u.y.high, u.z.high)),
    );
}

struct Material {
    modulus: f32,
}

fn material_of(at: vec3<u32>) -> Material {
    return Material(moduli[at.x + params.nx * (at.y + params.ny * at.z)]);
}

fn element_pushes(low: Face, high: Face, material: Material) -> Pushes {
    let u = by_representation(deformation(low.x, high.x), deformation(low.y, high.y),
        deformation(low.z, high.z));
    let f = stiffen(u);
    return pushes_of(by_representation(f.x, f.y, f.z), material.modulus, material.modulus);
}

struct Known {
    held: u32,
    right_side: vec3<f32>,
}

fn known_of(i: u32, nodes: u32) -> Known {
    var known = Known(plan[i], vec3<f32>(0.0));
    if (params.mode != MAKE_PRODUCT) {
        known.right_side = vec3<f32>(right_side[i], right_side[nodes + i], right_side[2u * nodes + i]);
    }
    return known;
}

fn finish(i: u32, nodes: u32, here: vec3<f32>, known: Known, force: vec3<f32>, moduli_around: f32) -> f32 {
    let free = (vec3<u32>(known.held) >> vec3<u32>(0u, 1u, 2u) & vec3<u32>(1u)) == vec3<u32>(0u);
    var out = select(vec3<f32>(0.0), force, free);
    let along = dot(out, here);
    if (params.mode == MAKE_RESIDUAL) {
        out = select(vec3<f32>(0.0), known.right_side - force, free);
    } else if (params.mode == MAKE_SMOOTH) {
        let inverse = vec3<f32>(params.inverse_x, params.inverse_y, params.inverse_z);
        let step = params.damping * inverse * (known.right_side - force) / moduli_around;
        out = here + select(vec3<f32>(0.0), step, free);
    }
    result[i] = out.x;
    result[nodes + i] = out.y;
    result[2u * nodes + i] = out.z;
    return along;
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    if (state.done != 0u) {
        return;
    }
    let along = go_up(group, thread);
    if (params.mode == MAKE_PRODUCT) {
        shares[thread] = along;
        for (var stride = THREADS / 2u; stride > 0u; stride /= 2u) {
            workgroupBarrier();
            if (thread < stride) {
                shares[thread] += shares[thread + stride];
            }
        }
        if (thread == 0u) {
            partials[group.x + groups.x * (group.y + groups.y * group.z)] = vec2<f32>(shares[0], 0.0);
        }
    }
}
