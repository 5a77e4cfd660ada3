// The slope of the compliance with respect to every density, -E'(rho) u K0 u, from the energy u K0 u in
// place; 0 where the density is given; times the design where the filter is one of sensitivities. Twin:
// fem/compliance.rs, Simp::slope(). Traffic per element: 8 bytes read, or 12, and 4 written.
struct Params {
    elements: u32,
    has_given: u32,
    penalty: f32,
    void_modulus: f32,
    // 1: what the filter of sensitivities needs.
    times_design: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> given: array<u32>;
@group(0) @binding(2) var<storage, read> density: array<f32>;
@group(0) @binding(3) var<storage, read> design: array<f32>;
@group(0) @binding(4) var<storage, read_write> energies: array<f32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let e = id.x + THREADS * MOST_GROUPS * id.y;
    if (e >= params.elements) {
        return;
    }
    var slope = 0.0;
    if (given_of(e) == GIVEN_NONE) {
        let rise = params.penalty * power(density[e], params.penalty - 1.0) * (1.0 - params.void_modulus);
        slope = -rise * energies[e];
        if (params.times_design == 1u) {
            slope *= design[e];
        }
    }
    energies[e] = slope;
}
