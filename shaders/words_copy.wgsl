// Copies a buffer, which measures the bandwidth of the device's memory: `lgf bench` compares the other
// kernels with it. Twin: the standard library's copy_from_slice(). Traffic: 16 bytes read and written per
// vector of four words.
struct Params {
    // The number of vectors, and of vectors per slab: a workgroup copies a slab.
    len: u32,
    slab: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> target_words: array<vec4<u32>>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let end = min((group.x + 1u) * params.slab, params.len);
    for (var i = group.x * params.slab + thread; i < end; i += THREADS) {
        target_words[i] = source[i];
    }
}
