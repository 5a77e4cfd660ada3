//! Equation discovery on a recorded trajectory: the surrogate's library, targets and regression, without an
//! optimizer.
//!
//! Given samples x(t_k) ∈ R^d, find sparse Ξ with x' = Ξᵀ Θ(x), or, with recorded gradients, g = Ξᵀ Θ(x); in
//! x itself or in the coordinates z of the trajectory's leading directions. Cost: one SVD of the samples
//! (reduced space), the library at K samples, one sparse regression per coordinate. Precision: f64 but for
//! the regression itself, which is the engine's.
//!
//! A pendulum's small swing, x = (cos t, −sin t), obeys x₁' = x₂ and x₂' = −x₁:
//! ```
//! use lgf::discover::{DiscoverConfig, Trajectory, Variables, discover};
//! use lgf::engine::CpuEngine;
//! use lgf::surrogate::{Differences, Regression, Ridge, Targets};
//! use ndarray::Array;
//!
//! # fn main() -> lgf::Result<()> {
//! let times = Array::linspace(0.0, 6.0, 601);
//! let swing = |t: f64| [t.cos(), -t.sin()];
//! let states = Array::from_shape_fn((601, 2), |(k, i)| swing(times[k])[i]);
//! let ridge = Regression::ridge(Ridge::Absolute(1e-6));
//! let config = DiscoverConfig {
//!     order: 2,
//!     bias: true,
//!     orthonormal: false,
//!     variables: Variables::Full,
//!     targets: Targets::StrongForm { differences: Differences::FivePoint },
//!     regression: Regression { threshold: 0.1, max_iterations: 10, ..ridge },
//! };
//! let found = discover(&Trajectory::new(states, times, None)?, &config, &mut CpuEngine::new())?;
//! assert_eq!(found.equations(), ["dx1/dt = 1.000 x2", "dx2/dt = -1.000 x1"]);
//! # Ok(())
//! # }
//! ```

use faer::Mat;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, concatenate, s};

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::surrogate::regression::conditioning;
use crate::surrogate::{Integrator, Library, Rank, Regression, RegressionProblem, Targets};

/// Share of the rows, the newest, that the validation predicts from the others.
const HELD_OUT: f64 = 0.2;
/// Time steps may differ by this much, relative, and still count as equal.
const UNIFORM: f64 = 1e-6;

/// A recorded trajectory: K samples of d coordinates, their times and, if known, gradients.
#[derive(Debug, Clone, PartialEq)]
pub struct Trajectory {
    states: Array2<f64>,
    times: Array1<f64>,
    gradients: Option<Array2<f64>>,
}

impl Trajectory {
    /// Samples (K×d), their times (K) and, if known, the gradients there (K×d).
    ///
    /// # Errors
    /// Fewer than two samples, lengths that do not match, times that do not increase, entries that are not
    /// finite.
    pub fn new(states: Array2<f64>, times: Array1<f64>, gradients: Option<Array2<f64>>) -> Result<Self> {
        let (k, d) = states.dim();
        if k < 2 || d == 0 {
            return Err(Error::invalid(
                "the shape of x",
                format!("{k}x{d}"),
                "at least 2 samples of at least 1 coordinate",
            ));
        }
        if times.len() != k {
            return Err(Error::length("t", times.len(), k));
        }
        if let Some(g) = gradients.as_ref().filter(|g| g.dim() != (k, d)) {
            return Err(Error::invalid(
                "the shape of g",
                format!("{}x{}", g.nrows(), g.ncols()),
                format!("that of x, {k}x{d}"),
            ));
        }
        let bad_row =
            |a: &Array2<f64>| a.rows().into_iter().position(|row| row.iter().any(|v| !v.is_finite()));
        if let Some(row) = bad_row(&states) {
            return Err(Error::invalid("x", format!("not finite in row {row}"), "finite everywhere"));
        }
        if let Some(row) = gradients.as_ref().and_then(bad_row) {
            return Err(Error::invalid("g", format!("not finite in row {row}"), "finite everywhere"));
        }
        if let Some(at) =
            (1..k).find(|&i| !(times[i] > times[i - 1] && times[i].is_finite() && times[i - 1].is_finite()))
        {
            return Err(Error::invalid(
                "t",
                format!("{} after {} at sample {at}", times[at], times[at - 1]),
                "finite and increasing",
            ));
        }
        Ok(Self { states, times, gradients })
    }

    /// The samples of the trajectory (K×d), one row per time.
    pub fn states(&self) -> ArrayView2<'_, f64> {
        self.states.view()
    }

    /// The times of the samples (K), increasing.
    pub fn times(&self) -> ArrayView1<'_, f64> {
        self.times.view()
    }

    /// The gradients at the samples (K×d), if they are known.
    pub fn gradients(&self) -> Option<ArrayView2<'_, f64>> {
        self.gradients.as_ref().map(|gradients| gradients.view())
    }

    /// The spacing of the samples, or an error if they are not equidistant.
    fn spacing(&self) -> Result<f64> {
        let k = self.times.len();
        let dt = (self.times[k - 1] - self.times[0]) / (k - 1) as f64;
        match (1..k).find(|&i| (self.times[i] - self.times[i - 1] - dt).abs() > UNIFORM * dt) {
            None => Ok(dt),
            Some(at) => Err(Error::invalid(
                "t",
                format!(
                    "spaced by {:e} at sample {at} and by {dt:e} on average",
                    self.times[at] - self.times[at - 1]
                ),
                "equidistant for strong- and weak-form targets",
            )),
        }
    }
}

/// The variables of the equations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Variables {
    /// The coordinates of x themselves.
    Full,
    /// The coordinates along the trajectory's leading directions.
    Reduced {
        /// How many directions are kept.
        rank: Rank,
        /// Whether the coordinates are taken about the samples' mean, in units of the largest distance of a
        /// sample from it.
        centered: bool,
    },
}

/// What a discovery looks for, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DiscoverConfig {
    /// Highest order of the monomials, ≥ 1.
    pub order: usize,
    /// Whether there is a constant.
    pub bias: bool,
    /// Whether the regression sees the features through an orthonormal basis.
    pub orthonormal: bool,
    /// The variables that the equations are written in.
    pub variables: Variables,
    /// The kind of targets that are regressed on.
    pub targets: Targets,
    /// How the coefficients are regressed: ridge, threshold and refits.
    pub regression: Regression,
}

/// The equations that a discovery has found.
#[derive(Debug, Clone, PartialEq)]
pub struct Discovery {
    /// The library of monomials that the rows of the coefficients belong to.
    pub library: Library,
    /// The coefficients Ξ (P×m): of x' (strong and weak form) or of g (tracked).
    pub coefficients: Array2<f64>,
    /// The supports (P×m): true where a coefficient was kept.
    pub support: Array2<bool>,
    /// Whether the equations are of g instead of x'.
    pub of_gradient: bool,
    /// The directions U (d×r), the centre and the scale of reduced variables.
    pub space: Option<(Array2<f64>, Array1<f64>, f64)>,
    /// The share of Σ s² that the kept directions have; 1 for full variables.
    pub energy: f64,
    /// The number of rows of the regression.
    pub rows: usize,
    /// The relative residual ‖Θ Ξ − Y‖ / ‖Y‖ on the rows of the fit.
    pub fit_error: f64,
    /// The relative error on the newest fifth of the rows, predicted from the older ones; none if there are
    /// too few rows.
    pub validation_error: Option<f64>,
    /// The condition number of the regression's matrix, its columns scaled as in the regression; ∞ if it is
    /// rank-deficient.
    pub condition: f64,
}

/// Finds the equations of `trajectory` with `engine`'s regression.
///
/// # Errors
/// Settings outside their ranges, targets that the trajectory does not have, and faults of the engine.
pub fn discover(
    trajectory: &Trajectory,
    config: &DiscoverConfig,
    engine: &mut dyn Engine,
) -> Result<Discovery> {
    config.regression.validate()?;
    config.targets.validate()?;
    if config.order == 0 {
        return Err(Error::invalid("the order", 0, "at least 1"));
    }
    let k = trajectory.states.nrows();
    let rows = config.targets.rows(k);
    if rows == 0 {
        return Err(Error::invalid(
            "the number of samples",
            k,
            format!("at least {} for these targets", config.targets.samples_needed()),
        ));
    }
    let (space, energy, z) = variables(trajectory, config.variables)?;
    // The features are counted before anything of that size is allocated.
    let library = Library::new(z.ncols(), config.order, config.bias)?;
    let theta = library.evaluate_rows(z.view());
    let transform =
        if config.orthonormal { Some(crate::engine::orthonormal_features(theta.view())?) } else { None };
    let (features, targets) = match (config.targets, &trajectory.gradients) {
        (Targets::Tracked, None) => {
            return Err(Error::only_with("tracked targets", "a trajectory with recorded gradients"));
        }
        (Targets::Tracked, Some(g)) => {
            let along = match &space {
                Some((directions, _, scale)) => g.dot(directions) / *scale,
                None => g.clone(),
            };
            (theta, along)
        }
        (targets, _) => {
            let dt = trajectory.spacing()?;
            let operator = targets
                .operator(k, dt)
                .ok_or_else(|| Error::internal("strong- or weak-form targets without an operator"))?;
            (operator.features.dot(&theta), operator.samples.dot(&z))
        }
    };
    let features = match &transform {
        Some(transform) => features.dot(transform),
        None => features,
    };
    if config.regression.refit && features.ncols() >= rows {
        log::warn!(
            "a final refit without ridge on {} features and {rows} rows follows the noise; consider leaving \
             it out",
            features.ncols()
        );
    }

    // The equations and their validation are solved as one batch.
    let split = rows - ((HELD_OUT * rows as f64).floor() as usize).max(1).min(rows);
    let validates = split >= 2;
    // Weak rows run from the newest to the oldest.
    let newest_first = matches!(config.targets, Targets::WeakForm(_));
    let (older, newer) = if newest_first {
        (s![rows - split.., ..], s![..rows - split, ..])
    } else {
        (s![..split, ..], s![split.., ..])
    };
    let (train, train_targets) = (features.slice(older).to_owned(), targets.slice(older).to_owned());
    let mut batch = vec![RegressionProblem {
        features: features.view(),
        targets: targets.view(),
        regression: config.regression,
    }];
    if validates {
        batch.push(RegressionProblem {
            features: train.view(),
            targets: train_targets.view(),
            regression: config.regression,
        });
    }
    let mut solutions = engine.regress(&batch)?.into_iter();
    let solution = solutions.next().ok_or_else(|| Error::internal("the engine returned no solution"))?;
    let error = |coefficients: &Array2<f64>, features: ArrayView2<f64>, targets: ArrayView2<f64>| {
        let norm = |a: &Array2<f64>| a.iter().map(|v| v * v).sum::<f64>().sqrt();
        let size = norm(&targets.to_owned());
        if size > 0.0 { norm(&(features.dot(coefficients) - targets)) / size } else { 0.0 }
    };
    let fit_error = error(&solution.coefficients, features.view(), targets.view());
    let validation_error =
        solutions.next().map(|s| error(&s.coefficients, features.slice(newer), targets.slice(newer)));
    let condition = conditioning(features.view(), &config.regression)?.condition;
    let (coefficients, support) = match &transform {
        Some(t) => {
            let coefficients = t.dot(&solution.coefficients);
            let support = coefficients.mapv(|v| v != 0.0);
            (coefficients, support)
        }
        None => (solution.coefficients, solution.support),
    };
    let of_gradient = config.targets == Targets::Tracked;
    Ok(Discovery {
        library,
        coefficients,
        support,
        of_gradient,
        space,
        energy,
        rows,
        fit_error,
        validation_error,
        condition,
    })
}

type ReducedSpace = Option<(Array2<f64>, Array1<f64>, f64)>;

/// The directions, their energy, and the samples' coordinates.
fn variables(trajectory: &Trajectory, variables: Variables) -> Result<(ReducedSpace, f64, Array2<f64>)> {
    let x = &trajectory.states;
    let Variables::Reduced { rank, centered } = variables else { return Ok((None, 1.0, x.clone())) };
    let (k, d) = x.dim();
    match rank {
        Rank::Count(r) if !(1..=k.min(d)).contains(&r) => {
            return Err(Error::invalid(
                "the rank",
                r,
                format!("between 1 and {}, the smaller side of x", k.min(d)),
            ));
        }
        Rank::Energy(e) if !(e > 0.0 && e <= 1.0) => {
            return Err(Error::invalid("the energy fraction", e, "above 0 and at most 1"));
        }
        _ => {}
    }
    let center =
        if centered { x.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(d)) } else { Array1::zeros(d) };
    let off = x - &center;
    let largest = off.rows().into_iter().map(|r| r.dot(&r).sqrt()).fold(0.0, f64::max);
    let scale = if centered && largest > 0.0 { largest } else { 1.0 };
    let svd = Mat::from_fn(k, d, |i, j| off[[i, j]])
        .thin_svd()
        .map_err(|_| Error::factorization("singular value decomposition of the samples"))?;
    let squares: Vec<f64> = (0..k.min(d)).map(|i| svd.S()[i] * svd.S()[i]).collect();
    let total: f64 = squares.iter().sum();
    let resolved = (0..squares.len())
        .take_while(|&i| svd.S()[i] > k.max(d) as f64 * f64::EPSILON * svd.S()[0])
        .count()
        .max(1);
    let r = rank.resolve(&squares, resolved);
    let directions = Array2::from_shape_fn((d, r), |(i, j)| {
        // The sign of a direction is arbitrary, so the largest entry is made positive.
        let column: Vec<f64> = (0..d).map(|i| svd.V()[(i, j)]).collect();
        column[i] * column.iter().fold(0.0_f64, |a, b| if b.abs() > a.abs() { *b } else { a }).signum()
    });
    let energy = if total > 0.0 { squares[..r].iter().sum::<f64>() / total } else { 1.0 };
    let z = off.dot(&directions) / scale;
    Ok((Some((directions, center, scale)), energy, z))
}

impl Discovery {
    /// The names of the variables: x1, x2, … or z1, z2, …
    pub fn variable_names(&self) -> Vec<String> {
        let letter = if self.space.is_some() { 'z' } else { 'x' };
        (1..=self.library.variables()).map(|i| format!("{letter}{i}")).collect()
    }

    /// The names of the features: `1`, `x1`, `x1 x2`, `x1^2`, …
    pub fn feature_names(&self) -> Vec<String> {
        let names = self.variable_names();
        self.library
            .terms()
            .chunks_exact(self.library.order())
            .map(|term| {
                let mut factors: Vec<(u32, usize)> = Vec::new();
                for &i in term.iter().filter(|i| **i > 0) {
                    match factors.last_mut() {
                        Some((last, power)) if *last == i => *power += 1,
                        _ => factors.push((i, 1)),
                    }
                }
                let text: Vec<String> = factors
                    .iter()
                    .map(|(i, p)| {
                        if *p > 1 {
                            format!("{}^{p}", names[*i as usize - 1])
                        } else {
                            names[*i as usize - 1].clone()
                        }
                    })
                    .collect();
                if text.is_empty() { "1".into() } else { text.join(" ") }
            })
            .collect()
    }

    /// The equations as text, one per coordinate: `dx1/dt = -10.00 x1 + 10.00 x2`.
    pub fn equations(&self) -> Vec<String> {
        let (features, names) = (self.feature_names(), self.variable_names());
        let letter = if self.space.is_some() { 'z' } else { 'x' };
        self.coefficients
            .columns()
            .into_iter()
            .zip(self.support.columns())
            .enumerate()
            .map(|(i, (xi, support))| {
                let left = if self.of_gradient {
                    format!("g_{}", names.get(i).cloned().unwrap_or(format!("{letter}{}", i + 1)))
                } else {
                    format!("d{}/dt", names[i])
                };
                let mut right = String::new();
                for ((value, feature), _) in xi.iter().zip(&features).zip(support).filter(|(_, kept)| **kept)
                {
                    let sign = match (right.is_empty(), *value < 0.0) {
                        (true, true) => "-",
                        (true, false) => "",
                        (false, true) => " - ",
                        (false, false) => " + ",
                    };
                    right += sign;
                    right += &significant(value.abs());
                    if feature != "1" {
                        right += " ";
                        right += feature;
                    }
                }
                format!("{left} = {}", if right.is_empty() { "0" } else { &right })
            })
            .collect()
    }

    /// The right-hand side of the equations at the variables' values.
    fn velocity(&self, z: &[f64], slope: &mut [f64]) {
        let theta = self.library.evaluate(z);
        let sign = if self.of_gradient { -1.0 } else { 1.0 };
        for (s, xi) in slope.iter_mut().zip(self.coefficients.columns()) {
            *s = sign * xi.iter().zip(&theta).map(|(a, b)| a * b).sum::<f64>();
        }
    }

    /// Integrates the equations from `start` (d) over `duration` by Dormand–Prince (tolerances 10⁻⁹), with a
    /// sample every `dt`; gradients count as x' = −g. Returns times and states; ends early, with fewer
    /// samples, where the equations leave the finite numbers.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) unless `duration` and `dt` are positive and give at
    /// most 10⁷ samples.
    pub fn simulate(
        &self,
        start: ArrayView1<f64>,
        duration: f64,
        dt: f64,
    ) -> Result<(Array1<f64>, Array2<f64>)> {
        Error::require_positive("the duration", duration)?;
        Error::require_positive("dt", dt)?;
        let steps = (duration / dt).round();
        if !(1.0..=1e7).contains(&steps) {
            return Err(Error::invalid("the number of simulated samples", steps, "between 1 and 10000000"));
        }
        let mut z = match &self.space {
            Some((directions, center, scale)) => ((&start - center).dot(directions) / *scale).to_vec(),
            None => start.to_vec(),
        };
        let lift = |z: &[f64]| match &self.space {
            Some((directions, center, scale)) => center + &(directions.dot(&ArrayView1::from(z)) * *scale),
            None => Array1::from(z.to_vec()),
        };
        let rule = Integrator::DormandPrince { rtol: 1e-9, atol: 1e-12 };
        let mut inner = dt;
        let (mut times, mut states) = (vec![0.0], lift(&z).insert_axis(Axis(0)));
        let mut rows = vec![];
        for step in 0..steps as usize {
            let mut rhs = |_: f64, z: &[f64], slope: &mut [f64]| self.velocity(z, slope);
            if !rule.advance(&mut rhs, step as f64 * dt, dt, &mut z, &mut inner) {
                break;
            }
            times.push((step + 1) as f64 * dt);
            rows.extend(lift(&z));
        }
        let d = states.ncols();
        let rest = Array2::from_shape_vec((rows.len() / d, d), rows)
            .map_err(|_| Error::length("the simulated states", 0, d))?;
        states = concatenate![Axis(0), states, rest];
        Ok((Array1::from(times), states))
    }
}

/// Formats a number with four significant digits, without an exponent where that reads well.
fn significant(v: f64) -> String {
    if v == 0.0 {
        return "0".into();
    }
    // The exponent after rounding to four digits: 0.99996 is 1.000.
    let scientific = format!("{v:.3e}");
    let exponent: i32 = scientific.rsplit('e').next().and_then(|e| e.parse().ok()).unwrap_or(0);
    if (-4..6).contains(&exponent) { format!("{v:.*}", (3 - exponent).max(0) as usize) } else { scientific }
}
