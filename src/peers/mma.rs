//! The method of moving asymptotes.

use super::feasible::Feasible;
use super::{Ended, Truth, difference, largest};

/// The asymptotes' first distance, and how it shrinks on oscillation and grows otherwise, in units of the
/// box.
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
    feasible: &Feasible,
    start: &[f64],
    tolerance: f64,
) -> Result<(), Ended> {
    let (weights, volume) = feasible.bound()?;
    let width = feasible.upper - feasible.lower;
    let d = start.len();
    let mut x = start.to_vec();
    let [mut before, mut before_that] = [start.to_vec(), start.to_vec()];
    let mut reach = vec![FIRST * width; d];
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
                reach[i] = reach[i].clamp(0.01 * width, 10.0 * width);
            }
        }
        let excess = super::dot(weights, &x) - volume;
        // (p, q) of the objective and of the volume, and the bounds of the step.
        let terms: Vec<[f64; 6]> = (0..d)
            .map(|i| {
                let r = reach[i];
                let small = 1e-5 / width;
                let p = r * r * (1.001 * g[i].max(0.0) + 0.001 * (-g[i]).max(0.0) + small);
                let q = r * r * (0.001 * g[i].max(0.0) + 1.001 * (-g[i]).max(0.0) + small);
                let low = (x[i] - REACH * r).max(x[i] - MOVE * width).max(feasible.lower);
                let high = (x[i] + REACH * r).min(x[i] + MOVE * width).min(feasible.upper);
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
            let (mut low, mut high) = (0.0, 1.0);
            while approximate(&at(high)) > 0.0 && high < 1e30 {
                high *= 4.0;
            }
            for _ in 0..200 {
                let middle = 0.5 * (low + high);
                if middle <= low || middle >= high {
                    break;
                }
                if approximate(&at(middle)) > 0.0 { low = middle } else { high = middle }
            }
            next = at(high);
        }
        // The approximation is above the linear bound, so this changes nothing but rounding.
        let next = feasible.project(&next);
        let change = largest(&difference(&next, &x));
        before_that = std::mem::replace(&mut before, std::mem::replace(&mut x, next));
        if change <= tolerance {
            truth.evaluate(&x)?;
            return Ok(());
        }
    }
    Ok(())
}
