use crate::error::{Error, Result};

/// Trust by agreement for a learned potential: every true evaluation is a landing, and ρ = true change /
/// predicted change decides about it.
///
/// | landing | iterate | trust radius Δ, max |x − x_trusted| |
/// |---|---|---|
/// | ρ > 0.75, step at the radius | kept | doubled |
/// | 0.1 ≤ ρ < 0.25 | kept | × 0.8 |
/// | ρ < 0.1 | kept while ρ > 10⁻⁴ | half the step |
/// | ρ ≤ 10⁻⁴, or the objective fails | undone | half the step |
///
/// An undone landing is learned from like any other. With radii of at least the step of plain projected
/// gradient this is a trust-region method whose model is exact to first order at the trusted iterate, and
/// converges to a stationary point (Conn, Gould & Toint, *Trust-Region Methods*, 2000, ch. 12).
///
/// Radii are fractions of the box, upper − lower; without bounds, of max(1, max |x₀|).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Potential {
    /// Pairs of displacement and change of the gradient that are kept, 1 to 64. More cost as much more per
    /// projected step.
    pub memory: usize,
    /// Projected steps that minimise the potential, at most, 1 to 1000. 20 do for filtered designs; a
    /// function whose curvatures are orders of magnitude apart wants 100 or more.
    pub steps: usize,
    /// The first trust radius, and the length of the first step: in (0, 1].
    pub radius: f64,
    /// The learned polynomial's order: 2, or 3 or 4 for terms beyond the quadratic, learned from the newest
    /// 16 pairs.
    pub order: usize,
}

impl Default for Potential {
    fn default() -> Self {
        Self { memory: 6, steps: 20, radius: 0.2, order: 2 }
    }
}

impl Potential {
    /// The least ρ of a landing that is kept.
    const LEAST_AGREEMENT: f64 = 1e-4;

    pub(super) fn validate(&self) -> Result<()> {
        if !(1..=64).contains(&self.memory) {
            return Err(Error::invalid("the number of remembered pairs", self.memory, "between 1 and 64"));
        }
        if !(1..=1000).contains(&self.steps) {
            return Err(Error::invalid(
                "the number of projected steps on the potential",
                self.steps,
                "between 1 and 1000",
            ));
        }
        if !(self.radius > 0.0 && self.radius <= 1.0) {
            return Err(Error::invalid("the first trust radius", self.radius, "above 0 and at most 1"));
        }
        if !(2..=4).contains(&self.order) {
            return Err(Error::invalid("the potential's order", self.order, "2, 3 or 4"));
        }
        Ok(())
    }

    pub(crate) fn accepts(&self, agreement: f64) -> bool {
        agreement > Self::LEAST_AGREEMENT
    }

    /// The next Δ after a step of `step`; `agreement` is none if the landing could not be evaluated.
    pub(crate) fn next_radius(&self, radius: f64, step: f64, agreement: Option<f64>) -> f64 {
        match agreement {
            Some(rho) if rho > 0.75 && step > 0.9 * radius => 2.0 * radius,
            Some(rho) if rho >= 0.25 => radius,
            Some(rho) if rho >= 0.1 => 0.8 * radius,
            _ => 0.5 * step,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn radius_follows_the_agreement() {
        let rule = Potential::default();
        assert_eq!(rule.next_radius(0.2, 0.2, Some(0.9)), 0.4);
        assert_eq!(rule.next_radius(0.2, 0.1, Some(0.9)), 0.2, "the radius was not what limited the step");
        assert_eq!(rule.next_radius(0.2, 0.2, Some(0.5)), 0.2);
        assert_eq!(rule.next_radius(0.2, 0.2, Some(0.2)), 0.8 * 0.2);
        assert_eq!(rule.next_radius(0.2, 0.1, Some(-3.0)), 0.05);
        assert_eq!(rule.next_radius(0.2, 0.1, None), 0.05);
        assert!(rule.accepts(0.01) && !rule.accepts(0.0) && !rule.accepts(f64::NAN));
    }
}
