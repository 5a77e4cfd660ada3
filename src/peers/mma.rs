//! The method of moving asymptotes.

use super::truth::{Ended, Truth, required_volume};
use crate::domain::{Domain, Volume, bisect, bracket_above};
use crate::linalg::{dist_inf, dot};

/// The first distance of the asymptotes, and the factors by which it shrinks on oscillation and grows
/// otherwise, in widths of the unknown's interval.
const FIRST: f64 = 0.5;
const SHRINK: f64 = 0.7;
const GROW: f64 = 1.2;
/// The share of the distance to an asymptote that a step may take, and the largest step.
const REACH: f64 = 0.9;
const MOVE: f64 = 0.5;

/// Each step minimises Σ pᵢ/(Uᵢ − xᵢ) + qᵢ/(xᵢ − Lᵢ), an approximation of f that is convex and separable,
/// under the like approximation of the volume bound: with one multiplier λ, xᵢ(λ) is in closed form and λ
/// found by bisection. Without a line search, as published.
pub(super) fn minimize(
    truth: &mut Truth<'_>,
    domain: &Domain,
    start: &[f64],
    tolerance: f64,
) -> Result<(), Ended> {
    let Volume { weights, bound } = required_volume(domain)?;
    let bounds = domain.bounds();
    let d = start.len();
    let mut x = start.to_vec();
    let [mut before, mut before_that] = [start.to_vec(), start.to_vec()];
    let mut reach: Vec<f64> = (0..d).map(|i| FIRST * bounds.width(i)).collect();
    for step in 0.. {
        let (_, g) = truth.evaluate(&x)?;
        if step >= 2 {
            for i in 0..d {
                let turned = (x[i] - before[i]) * (before[i] - before_that[i]);
                reach[i] *= if turned < 0.0 {
                    SHRINK
                } else if turned > 0.0 {
                    GROW
                } else {
                    1.0
                };
                reach[i] = reach[i].clamp(0.01 * bounds.width(i), 10.0 * bounds.width(i));
            }
        }
        let excess = dot(weights, &x) - bound;
        // (p, q) of the objective and of the volume, and the bounds of the step.
        let terms: Vec<[f64; 6]> = (0..d)
            .map(|i| {
                let (r, width, [lower, upper]) = (reach[i], bounds.width(i), bounds.at(i));
                let small = 1e-5 / width;
                let p = r * r * (1.001 * g[i].max(0.0) + 0.001 * (-g[i]).max(0.0) + small);
                let q = r * r * (0.001 * g[i].max(0.0) + 1.001 * (-g[i]).max(0.0) + small);
                let low = (x[i] - REACH * r).max(x[i] - MOVE * width).max(lower);
                let high = (x[i] + REACH * r).min(x[i] + MOVE * width).min(upper);
                [p, q, r * r * 1.001 * weights[i], r * r * 0.001 * weights[i], low, high]
            })
            .collect();
        let at = |lambda: f64| -> Vec<f64> {
            terms
                .iter()
                .enumerate()
                .map(|(i, [p, q, pv, qv, low, high])| {
                    let (p, q) = ((p + lambda * pv).sqrt(), (q + lambda * qv).sqrt());
                    let (lower, upper) = (x[i] - reach[i], x[i] + reach[i]);
                    ((p * lower + q * upper) / (p + q)).clamp(*low, *high)
                })
                .collect()
        };
        // The approximated volume's excess: exact in value and slope at x.
        let approximate = |z: &[f64]| -> f64 {
            excess
                + terms
                    .iter()
                    .enumerate()
                    .map(|(i, [_, _, pv, qv, ..])| {
                        let (r, off) = (reach[i], z[i] - x[i]);
                        pv * (1.0 / (r - off) - 1.0 / r) + qv * (1.0 / (r + off) - 1.0 / r)
                    })
                    .sum::<f64>()
        };
        let mut next = at(0.0);
        if approximate(&next) > 0.0 {
            let is_too_small = |lambda: f64| approximate(&at(lambda)) > 0.0;
            let [_, lambda] = bisect(bracket_above(1.0, is_too_small), 0.0, is_too_small);
            next = at(lambda);
        }
        // The approximation is above the linear bound, so this changes nothing but rounding.
        let next = domain.project(&next);
        let change = dist_inf(&next, &x);
        before_that = std::mem::replace(&mut before, std::mem::replace(&mut x, next));
        if change <= tolerance {
            truth.evaluate(&x)?;
            return Ok(());
        }
    }
    Ok(())
}
