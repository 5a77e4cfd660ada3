// Error-free transforms; the product's error by a fused multiply-add, for devices whose fma() really is fused
// (the self-test tells). Compilers may reassociate: every intermediate that another sum consumes passes
// through opaque(), the error terms too (unguarded, they are right alone and lost in the sums built from
// them). It hides a value behind an exclusive or with a zero that only the buffer knows. A uniform will not
// do: Mesa compiles uniforms that steer control flow into the kernel, its neighbours with them, and sees
// through.
@group(1) @binding(0) var<storage, read> eft_zero: u32;

fn opaque(v: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(v) ^ eft_zero);
}

// x + y = result.x + result.y exactly (Knuth's TwoSum).
fn two_sum(x: f32, y: f32) -> vec2<f32> {
    let s = opaque(x + y);
    let b = opaque(s - x);
    let t = opaque(s - b);
    let d = opaque(x - t);
    return vec2<f32>(s, opaque(d + opaque(y - b)));
}

// x + y exactly, for |x| >= |y| (Dekker's FastTwoSum).
fn fast_two_sum(x: f32, y: f32) -> vec2<f32> {
    let s = opaque(x + y);
    let d = opaque(s - x);
    return vec2<f32>(s, opaque(y - d));
}

// x * y = result.x + result.y exactly, barring underflow.
fn two_prod(x: f32, y: f32) -> vec2<f32> {
    let p = opaque(x * y);
    return vec2<f32>(p, opaque(fma(x, y, -p)));
}
