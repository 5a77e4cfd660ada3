// out <- base + c slope, out <- out + c slope or out <- c slope: the stages of a Runge-Kutta rule and its
// error. Twin: surrogate/integrator.rs, step().
struct Params {
    len: u32,
    slab: u32,
    factor: f32,
    // BEGIN_RESULT: go on with the result so far; BEGIN_BASE: begin with the base; BEGIN_ZERO: with zero.
    begin: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> phase: PhaseState;
@group(0) @binding(2) var<storage, read> base: array<f32>;
@group(0) @binding(3) var<storage, read> slope: array<f32>;
@group(0) @binding(4) var<storage, read_write> result: array<f32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (phase.ended != ENDED_NO) {
        return;
    }
    let end = min((group.x + 1u) * params.slab, params.len);
    for (var i = group.x * params.slab + thread; i < end; i += THREADS) {
        var v = 0.0;
        if (params.begin == BEGIN_RESULT) {
            v = result[i];
        } else if (params.begin == BEGIN_BASE) {
            v = base[i];
        }
        result[i] = v + params.factor * slope[i];
    }
}
