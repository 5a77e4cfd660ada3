// The residual f - K u of a double-word displacement, every operation in double-word, 0 where the mesh is
// held; with the workgroup's share of its square. The displacement's low words come after its high ones. It
// goes column by column, as in lib/columns.wgsl. Twin: fem/solver.rs, start(). Traffic per element: 24 bytes
// of u, 12 of f, 12 of the result, 4 of the modulus; some five thousand flops, so that it is for the start of
// a solve and of every correction only.
struct Params {
    nx: u32,
    ny: u32,
    nz: u32,
    layers: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> blocks: array<vec4<f32>, BLOCK_VECTORS>;
@group(0) @binding(2) var<storage, read> moduli: array<f32>;
@group(0) @binding(3) var<storage, read> plan: array<u32>;
@group(0) @binding(4) var<storage, read> displacement: array<f32>;
@group(0) @binding(5) var<storage, read> load: array<f32>;
@group(0) @binding(6) var<storage, read_write> residual: array<f32>;
@group(0) @binding(7) var<storage, read_write> partials: array<vec2<f32>>;

const SIDE: u32 = 16u;
const DEPTH: u32 = THREADS / SIDE;

// Four double-word numbers.
struct Wide {
    hi: vec4<f32>,
    lo: vec4<f32>,
}

struct Face {
    x: Wide,
    y: Wide,
    z: Wide,
}

struct Eight {
    low: Wide,
    high: Wide,
}

// The shares of three corners along the three axes that the threads of a workgroup hand to each other.
var<workgroup> shares: array<vec2<f32>, 9u * THREADS>;
var<workgroup> sums: array<vec2<f32>, THREADS>;

fn wide_of(x: vec2<f32>, y: vec2<f32>, z: vec2<f32>, w: vec2<f32>) -> Wide {
    return Wide(vec4<f32>(x.x, y.x, z.x, w.x), vec4<f32>(x.y, y.y, z.y, w.y));
}

fn wide_add(a: Wide, b: Wide) -> Wide {
    return wide_of(dw_add(vec2<f32>(a.hi.x, a.lo.x), vec2<f32>(b.hi.x, b.lo.x)),
        dw_add(vec2<f32>(a.hi.y, a.lo.y), vec2<f32>(b.hi.y, b.lo.y)),
        dw_add(vec2<f32>(a.hi.z, a.lo.z), vec2<f32>(b.hi.z, b.lo.z)),
        dw_add(vec2<f32>(a.hi.w, a.lo.w), vec2<f32>(b.hi.w, b.lo.w)));
}

fn wide_times(a: Wide, signs: vec4<f32>) -> Wide {
    return Wide(a.hi * signs, a.lo * signs);
}

fn wide_mul(a: Wide, b: Wide) -> Wide {
    return wide_of(dw_mul(vec2<f32>(a.hi.x, a.lo.x), vec2<f32>(b.hi.x, b.lo.x)),
        dw_mul(vec2<f32>(a.hi.y, a.lo.y), vec2<f32>(b.hi.y, b.lo.y)),
        dw_mul(vec2<f32>(a.hi.z, a.lo.z), vec2<f32>(b.hi.z, b.lo.z)),
        dw_mul(vec2<f32>(a.hi.w, a.lo.w), vec2<f32>(b.hi.w, b.lo.w)));
}

// As walsh_plane(), bend() and deformation() in lib/brick.wgsl.
fn walsh_plane(a: Wide) -> Wide {
    let rows = wide_add(Wide(a.hi.xyxy, a.lo.xyxy),
        wide_times(Wide(a.hi.zwzw, a.lo.zwzw), vec4<f32>(1.0, 1.0, -1.0, -1.0)));
    return wide_add(Wide(rows.hi.xxzz, rows.lo.xxzz),
        wide_times(Wide(rows.hi.yyww, rows.lo.yyww), vec4<f32>(1.0, -1.0, 1.0, -1.0)));
}

fn bend(a: Wide) -> Wide {
    let along = wide_add(Wide(a.hi.xzxy, a.lo.xzxy), Wide(-a.hi.ywzw, -a.lo.ywzw));
    return wide_add(wide_times(Wide(along.hi.xxzx, along.lo.xxzx), vec4<f32>(0.0, 1.0, 1.0, 1.0)),
        wide_times(Wide(along.hi.yywy, along.lo.yywy), vec4<f32>(0.0, 1.0, 1.0, -1.0)));
}

fn deformation(low: Wide, high: Wide) -> Eight {
    let along = wide_add(low, Wide(-high.hi, -high.lo));
    let above = bend(high);
    let below = bend(low);
    let pairs = wide_add(Wide(along.hi.xzxz, along.lo.xzxz), Wide(along.hi.ywyw, along.lo.ywyw));
    let first = dw_add(vec2<f32>(pairs.hi.x, pairs.lo.x), vec2<f32>(pairs.hi.y, pairs.lo.y));
    var bent = wide_add(below, Wide(-above.hi, -above.lo));
    bent.hi.x = first.x;
    bent.lo.x = first.y;
    return Eight(wide_add(below, above), bent);
}

// Four rows of the blocks for direction `row` times modes by representation; the errors of the blocks'
// entries come after the entries.
fn block_row(row: u32, half: u32, x: Wide, y: Wide, z: Wide) -> Wide {
    let at = 9u * half + 3u * row;
    return wide_add(
        wide_add(wide_mul(Wide(blocks[at], blocks[18u + at]), x),
            wide_mul(Wide(blocks[at + 1u], blocks[19u + at]), y)),
        wide_mul(Wide(blocks[at + 2u], blocks[20u + at]), z),
    );
}

// The forces on the lower and on the upper face's corners, of modes in their own order.
fn faces_of(modes: Eight, modulus: Wide) -> Eight {
    let high = Wide(-modes.high.hi, -modes.high.lo);
    return Eight(wide_mul(modulus, walsh_plane(wide_add(modes.low, modes.high))),
        wide_mul(modulus, walsh_plane(wide_add(modes.low, high))));
}

struct Pushes {
    x: Eight,
    y: Eight,
    z: Eight,
}

fn element_pushes(low: Face, high: Face, at: vec3<u32>) -> Pushes {
    let number = moduli[at.x + params.nx * (at.y + params.ny * at.z)];
    let modulus = Wide(vec4<f32>(number), vec4<f32>(0.0));
    let x = deformation(low.x, high.x);
    let y = deformation(low.y, high.y);
    let z = deformation(low.z, high.z);
    // By representation: see by_representation() in lib/brick.wgsl.
    let x_low = Wide(x.low.hi.yxwz, x.low.lo.yxwz);
    let x_high = Wide(x.high.hi.yxwz, x.high.lo.yxwz);
    let y_low = Wide(y.low.hi.zwxy, y.low.lo.zwxy);
    let y_high = Wide(y.high.hi.zwxy, y.high.lo.zwxy);
    let fx_low = block_row(0u, 0u, x_low, y_low, z.high);
    let fx_high = block_row(0u, 1u, x_high, y_high, z.low);
    let fy_low = block_row(1u, 0u, x_low, y_low, z.high);
    let fy_high = block_row(1u, 1u, x_high, y_high, z.low);
    return Pushes(
        faces_of(Eight(Wide(fx_low.hi.yxwz, fx_low.lo.yxwz), Wide(fx_high.hi.yxwz, fx_high.lo.yxwz)),
            modulus),
        faces_of(Eight(Wide(fy_low.hi.zwxy, fy_low.lo.zwxy), Wide(fy_high.hi.zwxy, fy_high.lo.zwxy)),
            modulus),
        faces_of(Eight(block_row(2u, 1u, x_high, y_high, z.low), block_row(2u, 0u, x_low, y_low, z.high)),
            modulus),
    );
}

fn value(i: u32, dofs: u32) -> vec2<f32> {
    return vec2<f32>(displacement[i], displacement[dofs + i]);
}

fn corners(first: u32, row: u32, dofs: u32) -> Wide {
    return wide_of(value(first, dofs), value(first + 1u, dofs), value(first + row, dofs),
        value(first + row + 1u, dofs));
}

fn face(first: u32, row: u32, nodes: u32) -> Face {
    let dofs = 3u * nodes;
    return Face(corners(first, row, dofs), corners(first + nodes, row, dofs),
        corners(first + 2u * nodes, row, dofs));
}

fn put(axis: u32, thread: u32, total: Wide) {
    shares[axis * THREADS + thread] = vec2<f32>(total.hi.y, total.lo.y);
    shares[(axis + 3u) * THREADS + thread] = vec2<f32>(total.hi.z, total.lo.z);
    shares[(axis + 6u) * THREADS + thread] = vec2<f32>(total.hi.w, total.lo.w);
}

// The residual along an axis at the node at corner 0, from the shares of its four columns.
fn residual_at(at: u32, axis: u32, thread: u32, total: Wide) -> f32 {
    var force = dw_add(vec2<f32>(total.hi.x, total.lo.x), shares[axis * THREADS + thread - 1u]);
    force = dw_add(force, shares[(axis + 3u) * THREADS + thread - SIDE]);
    force = dw_add(force, shares[(axis + 6u) * THREADS + thread - SIDE - 1u]);
    return dw_add(vec2<f32>(load[at], 0.0), -force).x;
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = params.nx + 1u;
    let plane = row * (params.ny + 1u);
    let nodes = plane * (params.nz + 1u);
    let place = vec2<u32>(thread % SIDE, thread / SIDE);
    let next = vec2<u32>(SIDE - 1u, DEPTH - 1u) * group.xy + place;
    let is_column = all(next > vec2<u32>(0u)) && next.x <= params.nx && next.y <= params.ny;
    let owns = all(place > vec2<u32>(0u)) && next.x <= row && next.y <= params.ny + 1u;
    let column = max(next, vec2<u32>(1u)) - 1u;
    let foot = column.x + row * column.y;
    let begin = params.layers * group.z;
    let end = min(begin + params.layers, params.nz + 1u);
    var low: Face;
    var below: Face;
    if (is_column && begin > 0u) {
        low = face(foot + plane * (begin - 1u), row, nodes);
    }
    var square = vec2<f32>(0.0);
    for (var up = begin; up <= end; up++) {
        var high: Face;
        var pushes: Pushes;
        if (is_column && up <= params.nz) {
            high = face(foot + plane * up, row, nodes);
            if (up > 0u) {
                pushes = element_pushes(low, high, vec3<u32>(column, up - 1u));
            }
        }
        if (up > begin) {
            let x = wide_add(below.x, pushes.x.low);
            let y = wide_add(below.y, pushes.y.low);
            let z = wide_add(below.z, pushes.z.low);
            put(0u, thread, x);
            put(1u, thread, y);
            put(2u, thread, z);
            workgroupBarrier();
            if (owns) {
                let i = foot + plane * (up - 1u);
                let held = vec3<bool>((vec3<u32>(plan[i]) >> vec3<u32>(0u, 1u, 2u) & vec3<u32>(1u))
                    == vec3<u32>(1u));
                let rest = vec3<f32>(residual_at(i, 0u, thread, x), residual_at(nodes + i, 1u, thread, y),
                    residual_at(2u * nodes + i, 2u, thread, z));
                let free = select(rest, vec3<f32>(0.0), held);
                for (var d = 0u; d < 3u; d++) {
                    residual[d * nodes + i] = free[d];
                    square = dw_fma(square, free[d], free[d]);
                }
            }
            workgroupBarrier();
        }
        below = Face(pushes.x.high, pushes.y.high, pushes.z.high);
        low = high;
    }
    sums[thread] = dw_normalize(square);
    block_sum(thread);
    if (thread == 0u) {
        partials[group.x + groups.x * (group.y + groups.y * group.z)] = sums[0];
    }
}
