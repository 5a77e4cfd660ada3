//! L-BFGS without constraints: the box by a sigmoid, the volume bound by an augmented Lagrangian.

use super::latent::Latent;
use super::lbfgs::Memory;
use super::spg::{DECREASE, shorter};
use super::truth::{Ended, Truth};
use crate::domain::Domain;
use crate::linalg::{axpy, difference, dist_inf, dot, norm_inf};

/// The first penalty, for an objective and a volume scaled to 1, and the penalty's growth where an update of
/// the multiplier leaves more than this share of the excess.
const PENALTY: f64 = 40.0;
const GROWTH: f64 = 4.0;
const REQUIRED_REDUCTION: f64 = 0.25;
/// The largest penalty. The multiplier converges at any penalty that is large enough; a larger one only
/// spoils the conditioning.
const STIFFEST: f64 = 1e4;
/// The largest change of a ψ in one step, an eighth of the box at most. Without the limit, unknowns reach the
/// flat ends of the sigmoid too soon to come back.
const MOVE: f64 = 0.5;
/// The number of steps between two updates of the multiplier; there are fewer once the slope has fallen to
/// this share.
const INNER: usize = 30;
const SOLVED: f64 = 0.1;

/// f/|f₀| + (max(0, λ + ρ c)² − λ²)/2ρ with the excess c = (wᵀx − V)/(V − wᵀl), relative to all there is to
/// give out.
struct Lagrangian<'a> {
    latent: Latent<'a>,
    scale: f64,
    multiplier: f64,
    penalty: f64,
}

impl Lagrangian<'_> {
    /// The excess and its gradient by x; none without a bound.
    fn excess(&self, x: &[f64]) -> Option<(f64, Vec<f64>)> {
        let volume = self.latent.domain.volume()?;
        let [least, ..] = self.latent.domain.volume_range(volume);
        let range = (volume.bound - least).max(f64::EPSILON * volume.bound.abs()).max(f64::MIN_POSITIVE);
        Some(((volume.of(x) - volume.bound) / range, volume.weights.iter().map(|w| w / range).collect()))
    }

    /// λ + ρ c, or 0 where the bound does not act.
    fn pressure(&self, excess: f64) -> f64 {
        (self.multiplier + self.penalty * excess).max(0.0)
    }

    /// The value and its gradient by ψ, from f and its gradient by x.
    fn of(&self, x: &[f64], f: f64, g: &[f64]) -> (f64, Vec<f64>) {
        let mut value = self.scale * f;
        let mut gradient: Vec<f64> = g.iter().map(|g| self.scale * g).collect();
        if let Some((excess, by)) = self.excess(x) {
            let pressure = self.pressure(excess);
            value += (pressure * pressure - self.multiplier * self.multiplier) / (2.0 * self.penalty);
            axpy(pressure, &by, &mut gradient);
        }
        gradient.iter_mut().zip(self.latent.slope(x)).for_each(|(g, slope)| *g *= slope);
        (value, gradient)
    }

    /// The multiplier that makes the gradient by ψ smallest.
    fn estimate(&self, x: &[f64], g: &[f64]) -> f64 {
        let Some((_, by)) = self.excess(x) else { return 0.0 };
        let slope = self.latent.slope(x);
        let (mut along, mut across) = (0.0, 0.0);
        for ((slope, by), g) in slope.iter().zip(&by).zip(g) {
            along -= slope * slope * by * self.scale * g;
            across += slope * slope * by * by;
        }
        if across > 0.0 { (along / across).max(0.0) } else { 0.0 }
    }
}

/// Between two updates of the multiplier, iterates may break the volume bound; those count as evaluations and
/// as nothing else. Before the next ones the iterate is made feasible by a shift of ψ and evaluated there:
/// the design a user would take.
pub(super) fn minimize(
    truth: &mut Truth<'_>,
    domain: &Domain,
    start: &[f64],
    tolerance: f64,
) -> Result<(), Ended> {
    let latent = Latent { domain };
    let (mut psi, mut x) = latent.project(&latent.of(start));
    let (mut f, mut g) = truth.evaluate(&x)?;
    let mut lagrangian = Lagrangian {
        latent,
        scale: if f == 0.0 { 1.0 } else { 1.0 / f.abs() },
        multiplier: 0.0,
        penalty: PENALTY,
    };
    lagrangian.multiplier = lagrangian.estimate(&x, &g);
    let mut excess_before = f64::INFINITY;
    loop {
        let before = x.clone();
        // Pairs of another Lagrangian would mislead, so they are dropped.
        let mut memory = Memory::default();
        let (mut value, mut slope) = lagrangian.of(&x, f, &g);
        let goal = SOLVED * norm_inf(&slope);
        for _ in 0..INNER {
            let Some(next) =
                descend(truth, &lagrangian, &mut memory, (&psi, &x), (value, &slope), tolerance)?
            else {
                break;
            };
            memory.push(difference(&next.psi, &psi), difference(&next.slope, &slope));
            (psi, x, f, g, value, slope) = (next.psi, next.x, next.f, next.g, next.value, next.slope);
            if norm_inf(&slope) <= goal {
                break;
            }
        }
        if let Some((excess, _)) = lagrangian.excess(&x) {
            lagrangian.multiplier = lagrangian.pressure(excess);
            // Where the bound does not act its excess need not vanish.
            if lagrangian.multiplier > 0.0 && excess.abs() > REQUIRED_REDUCTION * excess_before {
                lagrangian.penalty = (GROWTH * lagrangian.penalty).min(STIFFEST);
            }
            excess_before = excess.abs();
            if excess > 0.0 {
                (psi, x) = lagrangian.latent.project(&psi);
                (f, g) = truth.evaluate(&x)?;
            }
        }
        if dist_inf(&x, &before) <= tolerance {
            return Ok(());
        }
    }
}

/// An iterate and what is known there; `slope` is the Lagrangian's gradient by ψ.
struct Iterate {
    psi: Vec<f64>,
    x: Vec<f64>,
    f: f64,
    g: Vec<f64>,
    value: f64,
    slope: Vec<f64>,
}

/// One step with backtracking; none where it has become too small to matter.
fn descend(
    truth: &mut Truth<'_>,
    lagrangian: &Lagrangian<'_>,
    memory: &mut Memory,
    (psi, x): (&[f64], &[f64]),
    (value, slope): (f64, &[f64]),
    tolerance: f64,
) -> Result<Option<Iterate>, Ended> {
    let mut direction: Vec<f64> = memory.times(slope).iter().map(|v| -v).collect();
    let mut along = dot(slope, &direction);
    if memory.pairs.is_empty() || along.is_nan() || along >= 0.0 {
        // Without a model the first step is the longest there is.
        memory.pairs.clear();
        direction = slope.iter().map(|s| -MOVE * s / norm_inf(slope).max(f64::MIN_POSITIVE)).collect();
        along = dot(slope, &direction);
    }
    let mut t = (MOVE / norm_inf(&direction)).min(1.0);
    loop {
        let trial: Vec<f64> = psi.iter().zip(&direction).map(|(psi, d)| psi + t * d).collect();
        let design = lagrangian.latent.design(&trial);
        if dist_inf(&design, x) <= tolerance {
            return Ok(None);
        }
        let (f, g) =
            truth.explore(&design, lagrangian.excess(&design).is_none_or(|(excess, _)| excess <= 0.0))?;
        let (found, gradient) = lagrangian.of(&design, f, &g);
        if found <= value + DECREASE * t * along {
            return Ok(Some(Iterate { psi: trial, x: design, f, g, value: found, slope: gradient }));
        }
        t = shorter(t, value, along, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Central differences of the augmented Lagrangian.
    #[test]
    fn the_gradient_by_the_latent_variable_is_that_of_the_value() {
        let domain = Domain::uniform_with_volume(-1.0, 2.0, vec![1.0, 2.0, 0.5], 0.3);
        let lagrangian =
            Lagrangian { latent: Latent { domain: &domain }, scale: 0.4, multiplier: 0.6, penalty: 3.0 };
        let at = |psi: &[f64]| {
            let x = lagrangian.latent.design(psi);
            let g: Vec<f64> = x.iter().map(|x| 3.0 * x * x).collect();
            lagrangian.of(&x, x.iter().map(|x| x.powi(3)).sum(), &g)
        };
        // The first point breaks the bound, the second is so far inside that the bound does not act.
        for psi in [[0.4, 0.3, -0.2], [-2.0, -1.5, -3.0]] {
            for i in 0..3 {
                let h = 1e-5;
                let moved = |sign: f64| {
                    let mut psi = psi;
                    psi[i] += sign * h;
                    at(&psi).0
                };
                let (found, exact) = ((moved(1.0) - moved(-1.0)) / (2.0 * h), at(&psi).1[i]);
                // Truncation h²/6 times a third derivative below 100, roundings ε/h times values below 10.
                assert!((found - exact).abs() < 2e-9 + 1e-10, "{i}: {found} for {exact}");
            }
        }
    }
}
