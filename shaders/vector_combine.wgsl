// out <- base + c slope, out <- out + c slope or out <- c slope: the stages of a Runge-Kutta rule and its
// error. Twin: surrogate/integrator.rs, step().
struct Params {
    len: u32,
    slab: u32,
    factor: f32,
    // 0: go on with what is there; 1: begin with the base; 2: begin with nothing.
    begin: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> phase: PhaseState;
@group(0) @binding(2) var<storage, read> base: array<f32>;
@group(0) @binding(3) var<storage, read> slope: array<f32>;
@group(0) @binding(4) var<storage, read_write> result: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (phase.ended != 0u) {
        return;
    }
    let end = min((group.x + 1u) * params.slab, params.len);
    for (var i = group.x * params.slab + thread; i < end; i += 256u) {
        var v = 0.0;
        if (params.begin == 0u) {
            v = result[i];
        } else if (params.begin == 1u) {
            v = base[i];
        }
        result[i] = v + params.factor * slope[i];
    }
}
