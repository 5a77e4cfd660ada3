// The product K u on the given mesh, and what is made of it: K u with u.K u (PRODUCT), b - K u (RESIDUAL) or
// u + damping D^-1 (b - K u) (SMOOTH), each 0 or u where the mesh is held. A workgroup owns 4x4x4 nodes and
// computes the forces of the 5x5x5 elements around them; a node adds its eight elements' in a fixed order.
// Displacements are taken relative to an element's first corner, so that rounding is relative to how much the
// element deforms and not to how far it moves. Twins: fem/operator.rs, apply(), and fem/hierarchy.rs,
// make_residual() and smooth(). Traffic per element: 12 bytes of u, 12 of the result, 4 of the modulus, 4 of
// the mask and 12 of b; some 600 flops.
struct Params {
    nx: u32,
    ny: u32,
    nz: u32,
    mode: u32,
    damping: f32,
    // One over the diagonal of an element of modulus 1, along each axis.
    inverse_x: f32,
    inverse_y: f32,
    inverse_z: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> state: SolveState;
@group(0) @binding(2) var<storage, read> blocks: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> moduli: array<f32>;
@group(0) @binding(4) var<storage, read> plan: array<u32>;
@group(0) @binding(5) var<storage, read> displacement: array<f32>;
@group(0) @binding(6) var<storage, read> right_side: array<f32>;
@group(0) @binding(7) var<storage, read_write> result: array<f32>;
@group(0) @binding(8) var<storage, read_write> partials: array<vec2<f32>>;

// The elements around the nodes of a workgroup, along each side and in all.
const SPAN: u32 = TILE + 1u;
const CELLS: u32 = SPAN * SPAN * SPAN;
// The force at corner k along axis d of cell c is at (3 k + d) CELLS + c.
var<workgroup> forces: array<f32, 24u * CELLS>;
var<workgroup> stiffness: array<f32, CELLS>;

fn corners(first: u32, reference: f32, row: u32, plane: u32) -> Eight {
    let high = first + plane;
    return Eight(
        vec4<f32>(displacement[first], displacement[first + 1u], displacement[first + row],
            displacement[first + row + 1u]) - reference,
        vec4<f32>(displacement[high], displacement[high + 1u], displacement[high + row],
            displacement[high + row + 1u]) - reference,
    );
}

fn store(cell: u32, axis: u32, force: Eight) {
    for (var k = 0u; k < 4u; k++) {
        forces[(3u * k + axis) * CELLS + cell] = force.low[k];
        forces[(3u * (k + 4u) + axis) * CELLS + cell] = force.high[k];
    }
}

fn compute(cell: u32, at: vec3<u32>) {
    let row = params.nx + 1u;
    let plane = row * (params.ny + 1u);
    let nodes = plane * (params.nz + 1u);
    let first = at.x + row * at.y + plane * at.z;
    let x = walsh(corners(first, displacement[first], row, plane));
    let y = walsh(corners(first + nodes, displacement[first + nodes], row, plane));
    let z = walsh(corners(first + 2u * nodes, displacement[first + 2u * nodes], row, plane));
    let modulus = moduli[at.x + params.nx * (at.y + params.ny * at.z)];
    let f = stiffen(by_representation(x, y, z));
    let back = by_representation(f.x, f.y, f.z);
    stiffness[cell] = modulus;
    store(cell, 0u, walsh(Eight(modulus * back.x.low, modulus * back.x.high)));
    store(cell, 1u, walsh(Eight(modulus * back.y.low, modulus * back.y.high)));
    store(cell, 2u, walsh(Eight(modulus * back.z.low, modulus * back.z.high)));
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
    let size = vec3<i32>(vec3<u32>(params.nx, params.ny, params.nz));
    for (var cell = thread; cell < CELLS; cell += THREADS) {
        let place = vec3<u32>(cell % SPAN, cell / SPAN % SPAN, cell / (SPAN * SPAN));
        let at = vec3<i32>(TILE * group + place) - 1;
        if (all(at >= vec3<i32>(0)) && all(at < size)) {
            compute(cell, vec3<u32>(at));
        } else {
            stiffness[cell] = 0.0;
            for (var i = 0u; i < 24u; i++) {
                forces[i * CELLS + cell] = 0.0;
            }
        }
    }
    workgroupBarrier();
    let local = vec3<u32>(thread % TILE, thread / TILE % TILE, thread / (TILE * TILE));
    let node = TILE * group + local;
    var along = 0.0;
    if (node.x <= params.nx && node.y <= params.ny && node.z <= params.nz) {
        let nodes = (params.nx + 1u) * (params.ny + 1u) * (params.nz + 1u);
        let i = node.x + (params.nx + 1u) * (node.y + (params.ny + 1u) * node.z);
        var force = vec3<f32>(0.0);
        var around = 0.0;
        for (var k = 0u; k < 8u; k++) {
            let to = local + 1u - vec3<u32>(k & 1u, k >> 1u & 1u, k >> 2u);
            let cell = to.x + SPAN * (to.y + SPAN * to.z);
            let at = 3u * k * CELLS + cell;
            force += vec3<f32>(forces[at], forces[at + CELLS], forces[at + 2u * CELLS]);
            around += stiffness[cell];
        }
        let inverse = vec3<f32>(params.inverse_x, params.inverse_y, params.inverse_z);
        for (var d = 0u; d < 3u; d++) {
            let at = d * nodes + i;
            let free = (plan[i] >> d & 1u) == 0u;
            if (params.mode == MAKE_PRODUCT) {
                result[at] = select(0.0, force[d], free);
                along += select(0.0, force[d] * displacement[at], free);
            } else if (params.mode == MAKE_RESIDUAL) {
                result[at] = select(0.0, right_side[at] - force[d], free);
            } else {
                let step = params.damping * inverse[d] * (right_side[at] - force[d]) / around;
                result[at] = displacement[at] + select(0.0, step, free);
            }
        }
    }
    if (params.mode == MAKE_PRODUCT) {
        workgroupBarrier();
        forces[thread] = along;
        for (var stride = THREADS / 2u; stride > 0u; stride /= 2u) {
            workgroupBarrier();
            if (thread < stride) {
                forces[thread] += forces[thread + stride];
            }
        }
        if (thread == 0u) {
            partials[group.x + groups.x * (group.y + groups.y * group.z)] = vec2<f32>(forces[0], 0.0);
        }
    }
}
