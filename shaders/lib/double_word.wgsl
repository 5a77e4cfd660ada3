// Double-word numbers hi + lo on top of the error-free transforms (Ogita, Rump & Oishi, SISC 26:1955, 2005:
// Dot2).

// The double-word sum a + b.
fn dw_add(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
    let s = two_sum(a.x, b.x);
    return fast_two_sum(s.x, s.y + (a.y + b.y));
}

// The sum a + v of a double-word number and a word.
fn dw_add_word(a: vec2<f32>, v: f32) -> vec2<f32> {
    let s = two_sum(a.x, v);
    return vec2<f32>(s.x, a.y + s.y);
}

// The double-word sum a + x y.
fn dw_fma(a: vec2<f32>, x: f32, y: f32) -> vec2<f32> {
    let p = two_prod(x, y);
    let s = two_sum(a.x, p.x);
    return vec2<f32>(s.x, a.y + (p.y + s.y));
}

// The double-word product a b.
fn dw_mul(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
    let p = two_prod(a.x, b.x);
    return fast_two_sum(p.x, p.y + (a.x * b.y + a.y * b.x));
}

// Normalises a pair, so that hi carries all the digits that fit.
fn dw_normalize(a: vec2<f32>) -> vec2<f32> {
    return fast_two_sum(a.x, a.y);
}

// Compilers may assume that there are no infinities and NaNs, so the exponent's bits are tested.
fn is_finite(v: f32) -> bool {
    return (bitcast<u32>(v) & 0x7f800000u) != 0x7f800000u;
}
