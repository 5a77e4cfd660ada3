// The density of every element, where it is given, and its modulus E_min + rho^p (1 - E_min). Twin:
// fem/compliance.rs, Simp::modulus(). Traffic per element: 4 bytes read, 8 written.
struct Params {
    elements: u32,
    has_given: u32,
    penalty: f32,
    void_modulus: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> given: array<u32>;
@group(0) @binding(2) var<storage, read_write> density: array<f32>;
@group(0) @binding(3) var<storage, read_write> moduli: array<f32>;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let e = id.x + THREADS * MOST_GROUPS * id.y;
    if (e >= params.elements) {
        return;
    }
    var rho = density[e];
    let kind = given_of(e);
    if (kind != GIVEN_NONE) {
        rho = select(0.0, 1.0, kind == GIVEN_SOLID);
        density[e] = rho;
    }
    moduli[e] = params.void_modulus + power(rho, params.penalty) * (1.0 - params.void_modulus);
}
