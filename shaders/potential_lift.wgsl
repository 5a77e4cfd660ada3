// Takes the step, z <- z + t d, and evaluates the gradient of the potential there, g + outside (z - center) +
// Q^T (curvatures Q s). Twin: minimize() in engine/cpu/potential.rs. Traffic: Q once, 20 bytes read, 8
// written per unknown.
struct Params {
    len: u32,
    slab: u32,
    rank: u32,
    radius: f32,
    lower: f32,
    upper: f32,
    // The row of the lower bounds in `domain`, or NO_ROW; see bounds_of().
    bounds_row: u32,
    outside: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> iterate: array<f32>;
@group(0) @binding(2) var<storage, read_write> slope: array<f32>;
@group(0) @binding(3) var<storage, read> direction: array<f32>;
@group(0) @binding(4) var<storage, read> center: array<f32>;
@group(0) @binding(5) var<storage, read> gradient: array<f32>;
@group(0) @binding(6) var<storage, read> domain: array<f32>;
@group(0) @binding(7) var<storage, read> basis: array<Word>;
@group(0) @binding(8) var<storage, read> model: array<f32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let share = model[0];
    // A phase that has ended: its state would be a ninth buffer, and eight is what every device binds.
    if (share < 0.0) {
        return;
    }
    let end = min((group.x + 1u) * params.slab, params.len);
    for (var i = group.x * params.slab + thread; i < end; i += THREADS) {
        let moved = iterate[i] + share * direction[i];
        let bounds = bounds_of(i);
        let z = reach_clip(moved, center[i], params.radius, bounds.x, bounds.y);
        iterate[i] = z;
        var g = gradient[i] + params.outside * (z - center[i]);
        for (var j = 0u; j < params.rank; j++) {
            g += model[1u + params.rank + j] * entry(1u, basis[entry_at(1u, j, params.len, i)], i);
        }
        slope[i] = g;
    }
}
