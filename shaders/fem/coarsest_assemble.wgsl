// The dense matrix of the coarsest mesh, its diagonal raised by a millionth of itself, which single precision
// leaves uncertain; the rows and columns of what is held are those of the identity. A thread makes one entry.
// Degree of freedom i is node i / 3, axis i % 3. Twin: fem/direct.rs, factorize().
struct Params {
    nx: u32,
    ny: u32,
    nz: u32,
    by_children: u32,
    entries: u32,
    fine_x: u32,
    fine_y: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read> moduli: array<f32>;
@group(0) @binding(3) var<storage, read> plan: array<u32>;
@group(0) @binding(4) var<storage, read> source: array<f32>;
@group(0) @binding(5) var<storage, read_write> matrix: array<f32>;

const SHIFT: f32 = 1e-6;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = params.nx + 1u;
    let plane = row * (params.ny + 1u);
    let nodes = plane * (params.nz + 1u);
    let n = 3u * nodes;
    let i = id.x / n;
    let j = id.x % n;
    if (i >= n) {
        return;
    }
    let a = i / 3u;
    let b = j / 3u;
    if (((plan[a] >> (i % 3u) | plan[b] >> (j % 3u)) & 1u) == 1u) {
        matrix[id.x] = select(0.0, 1.0, i == j);
        return;
    }
    let node = vec3<u32>(a % row, a / row % (params.ny + 1u), a / plane);
    let other = vec3<u32>(b % row, b / row % (params.ny + 1u), b / plane);
    var sum = 0.0;
    for (var k = 0u; k < 8u; k++) {
        let bits = vec3<u32>(k & 1u, k >> 1u & 1u, k >> 2u);
        let at = node - bits;
        if (any(node < bits) || at.x >= params.nx || at.y >= params.ny || at.z >= params.nz) {
            continue;
        }
        let to = other - at;
        if (any(other < at) || any(to > vec3<u32>(1u))) {
            continue;
        }
        let first = 3u * k + i % 3u;
        let second = 3u * (to.x + 2u * to.y + 4u * to.z) + j % 3u;
        let place = place_of(at.x + params.nx * (at.y + params.ny * at.z), nodes);
        if (place == NO_ROW) {
            var children = children_of(at);
            sum += regular_entry(&children, first, second);
        } else {
            sum += stored_entry(place, first, second);
        }
    }
    matrix[id.x] = select(sum, sum * (1.0 + SHIFT), i == j);
}
