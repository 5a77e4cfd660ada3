// The matrices of coarse elements, the sum of P^T K P over an element's children, without what is held on the
// children's mesh. A workgroup makes one matrix; the elements are all of the coarse mesh (listed = 0) or
// those that the children's plan lists. The children are elements of the given mesh (from_given = 1) or of a
// coarse one. The children's mesh is that of nx, ny, nz. Twin: fem/coarse.rs, combine(). Flops: some 19
// thousand a child.
struct Params {
    nx: u32,
    ny: u32,
    nz: u32,
    coarse_x: u32,
    coarse_y: u32,
    coarse_z: u32,
    weights_x: u32,
    weights_y: u32,
    weights_z: u32,
    by_children: u32,
    entries: u32,
    fine_x: u32,
    fine_y: u32,
    from_given: u32,
    listed: u32,
    list_at: u32,
    count: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read> moduli: array<f32>;
@group(0) @binding(3) var<storage, read> plan: array<u32>;
@group(0) @binding(4) var<storage, read> source: array<f32>;
@group(0) @binding(5) var<storage, read_write> matrices: array<f32>;

var<workgroup> child: array<f32, 576>;
var<workgroup> half: array<f32, 576>;
// The weight of coarse corner q in the value at the child's corner k, at 8 k + q.
var<workgroup> weights: array<f32, 64>;
// One bit for each degree of freedom of the child that is held.
var<workgroup> held: u32;

// The children of coarse element `coarse` along an axis: the first, and the one after the last.
fn range(axis: u32, coarse: u32) -> vec2<u32> {
    let fine = vec3<u32>(params.nx, params.ny, params.nz);
    let size = vec3<u32>(params.coarse_x, params.coarse_y, params.coarse_z);
    return vec2<u32>(2u * coarse, select(2u * coarse + 2u, fine[axis], coarse + 1u == size[axis]));
}

// The position of a node of the children within the coarse element, from 0 to 1.
fn position(axis: u32, node: u32, coarse: u32) -> f32 {
    let lower = lower_of(axis, node);
    return select(1.0, lower.up, lower.node == coarse);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let number = group.x + MOST_GROUPS * group.y;
    if (number >= params.count) {
        return;
    }
    var element = number;
    if (params.listed == 1u) {
        element = plan[params.list_at + number];
    }
    let coarse = vec3<u32>(element % params.coarse_x, element / params.coarse_x % params.coarse_y,
        element / (params.coarse_x * params.coarse_y));
    let x = range(0u, coarse.x);
    let y = range(1u, coarse.y);
    let z = range(2u, coarse.z);
    let row = params.nx + 1u;
    let plane = row * (params.ny + 1u);
    let nodes = plane * (params.nz + 1u);
    var sums: array<f32, 9>;
    for (var cz = z.x; cz < z.y; cz++) {
        for (var cy = y.x; cy < y.y; cy++) {
            for (var cx = x.x; cx < x.y; cx++) {
                let at = vec3<u32>(cx, cy, cz);
                workgroupBarrier();
                // Eight threads a corner.
                let k = thread / 8u;
                let corner = at + vec3<u32>(k & 1u, k >> 1u & 1u, k >> 2u);
                let q = thread % 8u;
                var weight = 1.0;
                for (var axis = 0u; axis < 3u; axis++) {
                    let up = position(axis, corner[axis], coarse[axis]);
                    weight *= select(1.0 - up, up, (q >> axis & 1u) == 1u);
                }
                weights[thread] = weight;
                if (thread == 0u) {
                    var bits = 0u;
                    for (var c = 0u; c < 8u; c++) {
                        let first = at.x + row * at.y + plane * at.z;
                        let node = first + (c & 1u) + row * (c >> 1u & 1u) + plane * (c >> 2u);
                        bits |= (plan[node] & 7u) << (3u * c);
                    }
                    held = bits;
                }
                workgroupBarrier();
                let e = at.x + params.nx * (at.y + params.ny * at.z);
                var place = NO_ROW;
                var children: array<f32, 8>;
                if (params.from_given == 0u) {
                    place = place_of(e, nodes);
                    if (place == NO_ROW) {
                        children = children_of(at);
                    }
                }
                for (var entry = thread; entry < MATRIX; entry += THREADS) {
                    let i = entry / 24u;
                    let j = entry % 24u;
                    var value = 0.0;
                    if (((held >> i | held >> j) & 1u) == 0u) {
                        if (params.from_given == 1u) {
                            value = moduli[e] * table[entry];
                        } else if (place == NO_ROW) {
                            value = regular_entry(&children, i, j);
                        } else {
                            value = stored_entry(place, i, j);
                        }
                    }
                    child[entry] = value;
                }
                workgroupBarrier();
                for (var entry = thread; entry < MATRIX; entry += THREADS) {
                    let j = entry % 24u;
                    var sum = 0.0;
                    for (var c = 0u; c < 8u; c++) {
                        sum += child[entry - j + 3u * c + j % 3u] * weights[8u * c + j / 3u];
                    }
                    half[entry] = sum;
                }
                workgroupBarrier();
                for (var t = 0u; t < 9u; t++) {
                    let entry = thread + THREADS * t;
                    let i = entry / 24u;
                    var sum = 0.0;
                    for (var c = 0u; c < 8u; c++) {
                        sum += half[24u * (3u * c + i % 3u) + entry % 24u] * weights[8u * c + i / 3u];
                    }
                    sums[t] += sum;
                }
            }
        }
    }
    for (var t = 0u; t < 9u; t++) {
        let entry = thread + THREADS * t;
        let i = entry / 24u;
        let j = entry % 24u;
        if (j <= i) {
            matrices[(i * (i + 1u) / 2u + j) * params.count + number] = sums[t];
        }
    }
}
