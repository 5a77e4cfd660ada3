// A pair: displacement from the trusted iterate and change of the gradient, into two rows of the history.
// Twin: record_pair() in engine/cpu/interface.rs. Traffic: 16 bytes read, 8 written per unknown.
struct Params {
    len: u32,
    slab: u32,
    displacement_row: u32,
    change_row: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> iterate: array<f32>;
@group(0) @binding(2) var<storage, read> gradient: array<f32>;
@group(0) @binding(3) var<storage, read> trusted_iterate: array<f32>;
@group(0) @binding(4) var<storage, read> trusted_gradient: array<f32>;
@group(0) @binding(5) var<storage, read_write> history: array<f32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let end = min((group.x + 1u) * params.slab, params.len);
    for (var i = group.x * params.slab + thread; i < end; i += THREADS) {
        history[params.displacement_row * params.len + i] = iterate[i] - trusted_iterate[i];
        history[params.change_row * params.len + i] = gradient[i] - trusted_gradient[i];
    }
}
