//! The logistic function, which maps the real line into an interval, and its inverse.

/// The logistic function σ(t) = 1/(1 + e⁻ᵗ), without overflow for any t.
pub(crate) fn sigmoid(t: f64) -> f64 {
    // Both branches avoid overflow of exp.
    if t >= 0.0 { 1.0 / (1.0 + (-t).exp()) } else { t.exp() / (1.0 + t.exp()) }
}

/// The inverse of [`sigmoid`], ln(s/(1 − s)), of a share s between 0 and 1.
pub(crate) fn logit(share: f64) -> f64 {
    (share / (1.0 - share)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_undo_each_other_and_neither_overflows() {
        for share in [1e-12, 0.1, 0.5, 0.9] {
            approx::assert_relative_eq!(sigmoid(logit(share)), share, max_relative = 1e-14);
        }
        assert_eq!([-1e4, -0.0, 1e4].map(sigmoid), [0.0, 0.5, 1.0]);
        assert_eq!([0.0, 1.0].map(logit), [f64::NEG_INFINITY, f64::INFINITY]);
    }
}
