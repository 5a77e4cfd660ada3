// Sum of (e/(atol + rtol max(|x|, |next|)))^2 of a trial step from x to next with estimated error e. Twin:
// surrogate/integrator.rs, step().
struct Params {
    len: u32,
    slab: u32,
    first_slab: u32,
    rtol: f32,
    atol: f32,
    // The number of the vector within the buffers, which hold several one after another.
    row: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> phase: PhaseState;
@group(0) @binding(2) var<storage, read> start: array<f32>;
@group(0) @binding(3) var<storage, read> next: array<f32>;
@group(0) @binding(4) var<storage, read> estimate: array<f32>;
@group(0) @binding(5) var<storage, read_write> partials: array<vec2<f32>>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (phase.ended != ENDED_NO) {
        return;
    }
    var sum = vec2<f32>(0.0);
    let end = min((group.x + 1u) * params.slab, params.len);
    for (var k = group.x * params.slab + thread; k < end; k += THREADS) {
        let i = params.row * params.len + k;
        let e = estimate[i];
        if (e != 0.0 || !is_finite(e)) {
            let ratio = e / (params.atol + params.rtol * max(abs(start[i]), abs(next[i])));
            sum = dw_fma(sum, ratio, ratio);
        }
        if (!is_finite(next[i])) {
            // An infinite scale would hide an entry that is not finite. (WGSL has no constant for infinity.)
            sum.x = 3e38;
        }
    }
    change_store(thread, params.first_slab + group.x, sum);
}
