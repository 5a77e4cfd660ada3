// x^p for x from 0 to 1 and p from 0 to 10: by products and a root where 2 p is whole, so that it is right to
// some units in the last place. Twin: fem/compliance.rs, Simp.
fn power(x: f32, p: f32) -> f32 {
    let whole = u32(p);
    let rest = p - f32(whole);
    var product = 1.0;
    if (rest == 0.5) {
        product = sqrt(x);
    } else if (rest > 0.0) {
        product = select(0.0, pow(x, rest), x > 0.0);
    }
    for (var k = 0u; k < whole; k++) {
        product *= x;
    }
    return product;
}
