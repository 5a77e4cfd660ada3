// The residual f - K u of a double-word displacement, every operation in double-word, 0 where the mesh is
// held; with the workgroup's share of its square. The displacement's low words
// come after its high ones. A thread owns a node and computes its eight elements whole.
// Twin: fem/solver.rs, start(). Traffic per element: 24 bytes of u, 12 of f, 12 of the result, 4 of the
// modulus; some 20 thousand flops, so that it is for the start of a solve and of every correction only.
struct Params {
    nx: u32,
    ny: u32,
    nz: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> blocks: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> moduli: array<f32>;
@group(0) @binding(3) var<storage, read> plan: array<u32>;
@group(0) @binding(4) var<storage, read> displacement: array<f32>;
@group(0) @binding(5) var<storage, read> load: array<f32>;
@group(0) @binding(6) var<storage, read_write> residual: array<f32>;
@group(0) @binding(7) var<storage, read_write> partials: array<vec2<f32>>;

var<workgroup> sums: array<vec2<f32>, THREADS>;

// Entry (row, column) of block s, in double-word: the errors come after the entries.
fn block_entry(s: u32, row: u32, column: u32) -> vec2<f32> {
    let at = 9u * (s / 4u) + 3u * row + column;
    return vec2<f32>(blocks[at][s % 4u], blocks[18u + at][s % 4u]);
}

// The force of an element on its corner k, each axis in double-word.
fn corner_force(at: vec3<u32>, k: u32) -> array<vec2<f32>, 3> {
    let row = params.nx + 1u;
    let plane = row * (params.ny + 1u);
    let nodes = plane * (params.nz + 1u);
    let first = at.x + row * at.y + plane * at.z;
    var modes: array<array<vec2<f32>, 8>, 3>;
    for (var d = 0u; d < 3u; d++) {
        for (var c = 0u; c < 8u; c++) {
            let i = d * nodes + first + (c & 1u) + row * (c >> 1u & 1u) + plane * (c >> 2u);
            modes[d][c] = vec2<f32>(displacement[i], displacement[3u * nodes + i]);
        }
        for (var bit = 1u; bit < 8u; bit *= 2u) {
            for (var low = 0u; low < 8u; low++) {
                if ((low & bit) == 0u) {
                    let a = modes[d][low];
                    let b = modes[d][low | bit];
                    modes[d][low] = dw_add(a, b);
                    modes[d][low | bit] = dw_add(a, -b);
                }
            }
        }
    }
    var force: array<vec2<f32>, 3>;
    for (var s = 0u; s < 8u; s++) {
        for (var a = 0u; a < 3u; a++) {
            var sum = vec2<f32>(0.0);
            for (var b = 0u; b < 3u; b++) {
                sum = dw_add(sum, dw_mul(block_entry(s, a, b), modes[b][s ^ (1u << b)]));
            }
            // The mode's value at corner k is 1 or -1.
            let is_odd = (countOneBits((s ^ (1u << a)) & k) & 1u) == 1u;
            force[a] = dw_add(force[a], select(sum, -sum, is_odd));
        }
    }
    let modulus = vec2<f32>(moduli[at.x + params.nx * (at.y + params.ny * at.z)], 0.0);
    for (var a = 0u; a < 3u; a++) {
        force[a] = dw_mul(force[a], modulus);
    }
    return force;
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = params.nx + 1u;
    let plane = row * (params.ny + 1u);
    let nodes = plane * (params.nz + 1u);
    let number = group.x + MOST_GROUPS * group.y;
    let i = number * THREADS + thread;
    var square = vec2<f32>(0.0);
    if (i < nodes) {
        let node = vec3<u32>(i % row, i / row % (params.ny + 1u), i / plane);
        var force: array<vec2<f32>, 3>;
        for (var k = 0u; k < 8u; k++) {
            let bits = vec3<u32>(k & 1u, k >> 1u & 1u, k >> 2u);
            let at = node - bits;
            if (any(node < bits) || at.x >= params.nx || at.y >= params.ny || at.z >= params.nz) {
                continue;
            }
            var share = corner_force(at, k);
            for (var d = 0u; d < 3u; d++) {
                force[d] = dw_add(force[d], share[d]);
            }
        }
        for (var d = 0u; d < 3u; d++) {
            let at = d * nodes + i;
            let rest = dw_add(vec2<f32>(load[at], 0.0), -force[d]).x;
            let value = select(0.0, rest, (plan[i] >> d & 1u) == 0u);
            residual[at] = value;
            square = dw_fma(square, value, value);
        }
    }
    sums[thread] = dw_normalize(square);
    tree_sums(thread, 1u);
    if (thread == 0u) {
        partials[number] = sums[0];
    }
}
