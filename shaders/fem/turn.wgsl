// The next direction of conjugate gradients, p <- z + share p. Twin: fem/solver.rs, turn(). Traffic per
// degree of freedom: 8 bytes read, 4 written.
struct Params {
    len: u32,
    slab: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> state: SolveState;
@group(0) @binding(2) var<storage, read> preconditioned: array<f32>;
@group(0) @binding(3) var<storage, read_write> direction: array<f32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (state.done != 0u) {
        return;
    }
    let end = min((group.x + 1u) * params.slab, params.len);
    for (var i = group.x * params.slab + thread; i < end; i += THREADS) {
        // What is left of the last solve may not be finite.
        var last = 0.0;
        if (state.share != 0.0) {
            last = state.share * direction[i];
        }
        direction[i] = preconditioned[i] + last;
    }
}
