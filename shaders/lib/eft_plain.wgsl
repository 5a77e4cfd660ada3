// No error terms: for devices that fail the self-test. Sums over d then rely on the tree they are taken in,
// and the host adds the workgroups' partial sums in f64 where it reads them anyway. The binding is that of
// the other variants.
@group(1) @binding(0) var<storage, read> eft_zero: u32;

fn two_sum(x: f32, y: f32) -> vec2<f32> {
    return vec2<f32>(x + y, 0.0);
}

fn fast_two_sum(x: f32, y: f32) -> vec2<f32> {
    return vec2<f32>(x + y, 0.0);
}

fn two_prod(x: f32, y: f32) -> vec2<f32> {
    return vec2<f32>(x * y, 0.0);
}
