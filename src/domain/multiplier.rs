//! The search for a multiplier of one monotone constraint, in f64 on the host.
//!
//! Projections, entropies, scalings to a volume and residuals all ask for the zero of a function that changes
//! sign once. They share one loop and one stopping rule.

/// Most evaluations of a search. Halving takes 63 on the bits of positive numbers; on a value it takes 53 and
/// one more for each power of two that the multiplier lies below the bracket's upper end.
const MOST_EVALUATIONS: usize = 200;

/// The result of a search.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Found {
    /// The largest number known to be too small, or the bracket's lower end.
    low: f64,
    /// The smallest number known to be large enough, or the bracket's upper end.
    high: f64,
    /// The estimate of the multiplier that the search ended at.
    at: f64,
}

/// The zero of a function that falls from positive to negative in `bracket`, by Newton's method where
/// `evaluate` returns the slope beside the value, and by `midpoint` where it returns NaN for it, where the
/// Newton step would leave the bracket and where it does not halve the step before.
///
/// **The stopping rule.** The search ends at a value of exactly 0, when no number lies strictly inside the
/// bracket, or when the multiplier is known to within `resolution` · max(1, |multiplier|): the bracket is no
/// wider after a halving, or twice the step is no longer after a Newton step. With a `resolution` of 0 the
/// bracket's ends are neighbouring floating-point numbers in the end.
fn search(
    bracket: [f64; 2],
    resolution: f64,
    midpoint: impl Fn(f64, f64) -> f64,
    mut evaluate: impl FnMut(f64) -> [f64; 2],
) -> Found {
    let [mut low, mut high] = bracket;
    let mut at = midpoint(low, high);
    let (mut last_step, mut uncertainty) = (high - low, high - low);
    for _ in 0..MOST_EVALUATIONS {
        if !(low < at && at < high) || uncertainty <= resolution * at.abs().max(1.0) {
            break;
        }
        let [value, slope] = evaluate(at);
        if value == 0.0 {
            break;
        }
        if value > 0.0 {
            low = at
        } else {
            high = at
        }
        let newton = at - value / slope;
        // A step that does not halve the last one is not converging. The comparisons are false for NaN:
        // without a slope, and at a slope and a value of 0.
        let is_trusted = newton > low && newton < high && (newton - at).abs() <= 0.5 * last_step;
        let next = if is_trusted { newton } else { midpoint(low, high) };
        last_step = (next - at).abs();
        uncertainty = if is_trusted { 2.0 * last_step } else { high - low };
        at = next;
    }
    Found { low, high, at }
}

fn middle(low: f64, high: f64) -> f64 {
    0.5 * (low + high)
}

/// The ends of the bracket between which `is_too_small` changes from true to false, found by bisection;
/// `resolution` as in the stopping rule of the search, 0 for neighbouring numbers.
pub(crate) fn bisect(
    bracket: [f64; 2],
    resolution: f64,
    mut is_too_small: impl FnMut(f64) -> bool,
) -> [f64; 2] {
    let sign = |multiplier| [if is_too_small(multiplier) { 1.0 } else { -1.0 }, f64::NAN];
    let Found { low, high, .. } = search(bracket, resolution, middle, sign);
    [low, high]
}

/// The zero of a function that falls from positive to negative in `bracket`, of which `evaluate` returns the
/// value and the slope, by Newton's method.
pub(crate) fn newton(bracket: [f64; 2], resolution: f64, evaluate: impl FnMut(f64) -> [f64; 2]) -> f64 {
    search(bracket, resolution, middle, evaluate).at
}

/// A bracket from 0 to the first of `first`, 4 `first`, 16 `first`, … that is not too small, for multipliers
/// that have no upper bound in closed form.
pub(crate) fn bracket_above(first: f64, mut is_too_small: impl FnMut(f64) -> bool) -> [f64; 2] {
    let mut high = first;
    while is_too_small(high) && high < 1e30 {
        high *= 4.0;
    }
    [0.0, high]
}

/// The largest scale s ≥ 0 with volume(s) ≤ target, for a volume that grows with s, to neighbouring
/// floating-point numbers.
///
/// Bisection on the bit pattern: positive floats are ordered like their bits, so 63 evaluations settle every
/// scale there is, whatever its magnitude; no bracket and no tolerance have to be guessed.
///
/// ```
/// use lgf::domain::volume_scale;
/// let densities = [0.25, 0.5, 1.0];
/// let volume = |scale: f64| densities.iter().map(|x| (scale * x).min(1.0)).sum::<f64>();
/// assert!((volume_scale(volume, 2.5) - 2.0).abs() < 1e-12);
/// ```
pub fn volume_scale(volume: impl Fn(f64) -> f64, target: f64) -> f64 {
    let midpoint = |low: f64, high: f64| {
        let (low, high) = (low.to_bits(), high.to_bits());
        f64::from_bits(low + (high - low) / 2)
    };
    let sign = |scale| [if volume(scale) <= target { 1.0 } else { -1.0 }, f64::NAN];
    search([0.0, f64::MAX], 0.0, midpoint, sign).low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halving_ends_at_neighbours_and_keeps_to_the_evaluations_it_names() {
        for root in [1e-9, 0.3, 1.0, 2.0_f64.sqrt(), 7.9] {
            let mut evaluations = 0;
            let [low, high] = bisect([0.0, 8.0], 0.0, |mu| {
                evaluations += 1;
                mu < root
            });
            assert_eq!((low.next_up(), high), (root, root));
            assert!(evaluations <= 53 + 3 + 30, "{evaluations} for {root}");
        }
        // Where the root is subnormal, the number of evaluations is bounded as well.
        let mut evaluations = 0;
        let [low, high] = bisect([0.0, 1.0], 0.0, |_| {
            evaluations += 1;
            false
        });
        assert_eq!((low, evaluations), (0.0, MOST_EVALUATIONS));
        assert_eq!(high, 0.5_f64.powi(MOST_EVALUATIONS as i32));
    }

    #[test]
    fn a_resolution_ends_the_search_earlier() {
        let width = |resolution| {
            let [low, high] = bisect([0.0, 8.0], resolution, |mu| mu < 5.0_f64.sqrt());
            high - low
        };
        for resolution in [1e-3, 1e-9] {
            let (found, allowed) = (width(resolution), resolution * 5.0_f64.sqrt());
            assert!(found <= allowed && found > 0.4 * allowed, "{found:e} for {resolution:e}");
        }
    }

    /// The function exp(−μ) − 1/2: Newton's method needs a few evaluations, bisection some fifty.
    #[test]
    fn newton_needs_few_evaluations_and_survives_false_slopes() {
        let mut evaluations = 0;
        let root = newton([0.0, 8.0], f64::EPSILON, |mu| {
            evaluations += 1;
            [(-mu).exp() - 0.5, -(-mu).exp()]
        });
        assert!((root - 2.0_f64.ln()).abs() <= 2.0 * f64::EPSILON && evaluations <= 12, "{evaluations}");
        for slope in [0.0, 1.0, f64::NAN, -1e-300] {
            let root = newton([0.0, 8.0], f64::EPSILON, |mu| [(-mu).exp() - 0.5, slope]);
            assert!((root - 2.0_f64.ln()).abs() <= 2.0 * f64::EPSILON, "slope {slope}: {root}");
        }
    }

    #[test]
    fn scales_of_any_magnitude_are_found_to_the_last_bit() {
        for root in [5e-324, 1e-200, 0.7, 3.0, 1e300] {
            assert_eq!(volume_scale(|scale| scale, root), root);
            assert_eq!(volume_scale(|scale| scale.next_up(), root), root.next_down());
        }
        assert_eq!(volume_scale(|_| f64::NAN, 1.0), 0.0);
    }

    #[test]
    fn a_bracket_grows_until_it_holds_the_root() {
        assert_eq!(bracket_above(1.0, |mu| mu < 5.0), [0.0, 16.0]);
        assert_eq!(bracket_above(1.0, |_| false), [0.0, 1.0]);
    }
}
