//! What the recording itself tells: its noise, and how wide the bumps of a weak form should be.

use ndarray::{Array1, ArrayView1, s};

use super::quadrature::bumps;
use super::trajectory::Trajectory;
use crate::error::{Error, Result};
use crate::surrogate::targets::WeakForm;

/// The highest order of the differences that noise is estimated from.
const HIGHEST: usize = 10;
/// Beyond this power a bump is so steep that a greater one gains no digit on f64 samples.
const POWER: u32 = 12;

/// The standard deviation of white noise in each coordinate (d).
///
/// The divided difference of order n over neighbouring samples, divided by the norm of its weights, leaves
/// white noise its deviation and takes a smooth signal away; the least over orders 2 to 10 is taken. Sampled
/// too coarsely, a signal counts as noise.
///
/// ```
/// use lgf::discover::{Trajectory, noise};
/// use ndarray::Array;
///
/// # fn main() -> lgf::Result<()> {
/// let times = Array::linspace(0.0, 1.0, 400);
/// let wave = Trajectory::new(times.mapv(f64::sin).insert_axis(ndarray::Axis(1)), times, None)?;
/// assert!(noise(&[wave])[0] < 1e-12);
/// # Ok(())
/// # }
/// ```
pub fn noise(trajectories: &[Trajectory]) -> Array1<f64> {
    let d = trajectories.first().map_or(0, |t| t.states().ncols());
    let mut least = Array1::from_elem(d, f64::INFINITY);
    for order in 2..=HIGHEST {
        let (mut sums, mut count) = (Array1::<f64>::zeros(d), 0_u32);
        for trajectory in trajectories {
            let (grid, even) = (trajectory.grid(), trajectory.spacing().is_some());
            let mut weights: Vec<f64> = Vec::new();
            for first in 0..grid.len().saturating_sub(order) {
                if !even || weights.is_empty() {
                    weights = divided(&grid.slice(s![first..=first + order]).to_vec());
                }
                for (i, sum) in sums.iter_mut().enumerate() {
                    let column = trajectory.states();
                    let difference: f64 =
                        weights.iter().enumerate().map(|(k, w)| w * column[[first + k, i]]).sum();
                    *sum += difference * difference;
                }
                count += 1;
            }
        }
        // Fewer differences than this say little.
        if count >= 8 || (order == 2 && count > 0) {
            for (least, sum) in least.iter_mut().zip(&sums) {
                *least = least.min((sum / f64::from(count)).sqrt());
            }
        }
    }
    least.mapv(|v| if v.is_finite() { v } else { 0.0 })
}

/// The weights of the highest divided difference on the samples `t`, of norm 1.
fn divided(t: &[f64]) -> Vec<f64> {
    // In units of the whole span, so that no product leaves the floating-point range.
    let span = t[t.len() - 1] - t[0];
    let others = |i: usize| (0..t.len()).filter(move |m| *m != i);
    let weights: Vec<f64> = (0..t.len()).map(|i| others(i).map(|m| span / (t[i] - t[m])).product()).collect();
    let norm = weights.iter().map(|w| w * w).sum::<f64>().sqrt();
    weights.into_iter().map(|w| w / norm).collect()
}

/// What of a weak form is given; the rest follows from the recording.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WeakChoice {
    /// The half-width of a bump in samples; none: as wide as the signal's bandwidth allows.
    pub half_width: Option<usize>,
    /// The power of the bumps; none: one above the half-width, at most 12.
    pub power: Option<u32>,
    /// The samples between neighbouring bumps; none: an eighth of the half-width, so that they overlap.
    pub stride: Option<usize>,
    /// Whether bumps are cut by the ends of the recording; the boundary term is in their weights.
    pub include_endpoints: bool,
}

impl WeakChoice {
    /// The weak form for `trajectories` and a library of `features` terms.
    ///
    /// A row's signal is Σ B x over the bump's samples, its noise σ‖B‖. Wide bumps average noise out until
    /// they span the signal's own period, and there are K/w independent ones: the half-width with the
    /// greatest total (signal/noise)² K/w is taken, among those that leave three fifths of the rows, and
    /// more rows than features.
    ///
    /// ```
    /// use lgf::discover::{Trajectory, WeakChoice};
    /// use ndarray::Array;
    ///
    /// # fn main() -> lgf::Result<()> {
    /// let times = Array::linspace(0.0, 5.0, 99);
    /// let decay = times.mapv(|t: f64| (-t).exp()).insert_axis(ndarray::Axis(1));
    /// let weak = WeakChoice::default().resolve(&[Trajectory::new(decay, times, None)?], 3)?;
    /// assert!((1..=19).contains(&weak.half_width), "{weak:?}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Too few samples for that many features, with the number that is needed; values outside their ranges.
    pub fn resolve(self, trajectories: &[Trajectory], features: usize) -> Result<WeakForm> {
        let half_width = match self.half_width {
            Some(half_width) => half_width,
            None => self.widest(trajectories, features)?,
        };
        let power = self.power.unwrap_or((half_width as u32).saturating_add(1).clamp(2, POWER));
        let stride = self.stride.unwrap_or((half_width / 8).max(1));
        let weak = WeakForm { half_width, power, stride, include_endpoints: self.include_endpoints };
        crate::surrogate::Targets::WeakForm(weak).validate()?;
        Ok(weak)
    }

    fn widest(self, trajectories: &[Trajectory], features: usize) -> Result<usize> {
        let rows =
            |w: usize| -> usize { trajectories.iter().map(|t| t.times().len().saturating_sub(2 * w)).sum() };
        let samples: usize = trajectories.iter().map(|t| t.times().len()).sum();
        if rows(1) < features {
            let most = features + 2 * trajectories.len();
            return Err(Error::invalid(
                "the number of samples",
                samples,
                format!("at least {most} to resolve {features} features by the weak form"),
            ));
        }
        let longest = trajectories.iter().map(|t| t.times().len()).max().unwrap_or(0);
        let sigma = noise(trajectories);
        let mean = Trajectory::mean(trajectories);
        let mut best = (0.0, 1);
        let mut candidates: Vec<usize> =
            (0..40).map(|i| 1.25_f64.powi(i).round() as usize).filter(|w| *w <= (longest - 1) / 5).collect();
        candidates.dedup();
        // Narrower bumps integrate polynomials of low degree only: they are for want of samples.
        if rows(3) >= features.max(2) && candidates.contains(&3) {
            candidates.retain(|w| *w >= 3);
        }
        for w in candidates.into_iter().filter(|w| rows(*w) >= features.max(2)) {
            let power = self.power.unwrap_or((w as u32).saturating_add(1).clamp(2, POWER));
            let stride = (w / 4).max(1);
            let weak = WeakForm { half_width: w, power, stride, include_endpoints: false };
            let (mut ratio, mut count) = (0.0, 0);
            for trajectory in trajectories {
                let grid = trajectory.grid();
                for row in bumps(weak, grid.view(), trajectory.spacing())? {
                    let norm: f64 = row.samples.weights.iter().map(|b| b * b).sum();
                    for (i, column) in trajectory.states().columns().into_iter().enumerate() {
                        let window = column.slice(s![row.samples.first..]);
                        let off = window.mapv(|v| v - mean[i]);
                        let signal: f64 = row.samples.weights.iter().zip(&off).map(|(b, x)| b * x).sum();
                        // Below rounding there is nothing to average out.
                        let size = column.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
                        let floor = sigma[i].max(f64::EPSILON * size).max(f64::MIN_POSITIVE);
                        ratio += (signal / floor).powi(2) / norm - 1.0;
                    }
                    count += 1;
                }
            }
            let value = ratio / f64::from(count.max(1)) * rows(w) as f64 / w as f64;
            if value > best.0 {
                best = (value, w);
            }
        }
        Ok(best.1)
    }
}

/// What the variables are measured in so that all of them have the same deviation: the standard deviation of
/// each, over the geometric mean of those of the first `coordinates`. Where all are alike, each is 1.
pub(super) fn scales(columns: &[ArrayView1<f64>], coordinates: usize) -> Vec<f64> {
    let sizes: Vec<f64> = columns
        .iter()
        .map(|column| {
            let mean = column.mean().unwrap_or(0.0);
            let moment = |center: f64| column.mapv(|v| (v - center).powi(2)).mean().unwrap_or(0.0).sqrt();
            let (deviation, size) = (moment(mean), moment(0.0));
            // What does not move is measured by its size; what is 0 has none.
            let moves = deviation > 1e-12 * size;
            let found = if moves { deviation } else { size };
            if found > 0.0 && found.is_finite() { found } else { 1.0 }
        })
        .collect();
    let logs: f64 = sizes.iter().take(coordinates).map(|size| size.ln()).sum();
    let common = (logs / coordinates.max(1) as f64).exp();
    sizes.into_iter().map(|size| size / common).collect()
}
