//! The settings of a discovery, and the discovery itself.

use std::ops::ControlFlow;

use faer::Mat;
use ndarray::{Array1, Array2, ArrayView2, Axis, concatenate, s};

use super::doubts::Findings;
use super::found::{Discovery, Kind, Refinement};
use super::likelihood::{Likelihood, Segment};
use super::noise::{WeakChoice, noise, scales};
use super::quadrature::{Row, apply, bumps, differences};
use super::select::{OVERESTIMATED, Rows, Split, WITHIN_NOISE, by_likelihood, errors, path};
use super::terms::{Function, Terms};
use super::trajectory::Trajectory;
use super::variables::{ReducedSpace, Variables, variables};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::surrogate::regression::conditioning;
use crate::surrogate::targets::WeakForm;
use crate::surrogate::{Differences, Regression, RegressionProblem, Ridge, Targets};

/// Share of the rows, the newest, that the validation predicts from the others.
const HELD_OUT: f64 = 0.2;

/// What the equations are of, and how that is found from the samples.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Aim {
    /// The derivative x' by finite differences, on even or uneven times.
    Strong(Differences),
    /// The derivative x' under integrals against bumps, whose widths follow from the recording.
    Weak(WeakChoice),
    /// The gradients that were recorded with the samples.
    Tracked,
    /// The next sample, x_{k+1} = f(x_k): a discrete map. Times are not used.
    Map,
}

/// Which coefficients leave the equations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Threshold {
    /// The sparsest equations that predict the rows held out as well as any, or, by the weak form from a
    /// noisy recording, those that the likelihood favours.
    Automatic,
    /// Coefficients below this in magnitude leave; 0 keeps all of them.
    Given(f64),
}

/// What a given threshold measures coefficients in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Units {
    /// The coordinates' own units.
    Own,
    /// Units in which all variables have the same standard deviation, the geometric mean of those of the
    /// coordinates: no equation is lost for the units of its coordinate, and where all coordinates are of one
    /// size, nothing is scaled.
    Scaled,
}

/// The settings of a discovery by [`Search::run`]. The defaults need no more than the recording.
///
/// ```
/// use lgf::discover::{Aim, Search, Trajectory, WeakChoice};
/// use lgf::engine::CpuEngine;
/// use ndarray::Array;
///
/// # fn main() -> lgf::Result<()> {
/// // x = exp(−t) by 99 samples: x' = −x.
/// let times = Array::linspace(0.0, 3.0, 99);
/// let decay = times.mapv(|t: f64| (-t).exp()).insert_axis(ndarray::Axis(1));
/// let search = Search { aim: Aim::Weak(WeakChoice::default()), ..Search::default() };
/// let found = search.run(&[Trajectory::new(decay, times, None)?], &mut CpuEngine::new())?;
/// assert_eq!(found.equations(), ["dx1/dt = -1.000 x1"]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// Highest order of the monomials, ≥ 1.
    pub order: usize,
    /// Whether there is a constant.
    pub bias: bool,
    /// The functions of single variables that stand beside the monomials.
    pub functions: Vec<Function>,
    /// Whether time is a variable of the library.
    pub time: bool,
    /// The variables that the equations are written in.
    pub variables: Variables,
    /// What the equations are of.
    pub aim: Aim,
    /// Which coefficients leave the equations.
    pub threshold: Threshold,
    /// What a given threshold measures coefficients in.
    pub units: Units,
    /// The ridge of the regression; with an automatic threshold it acts on columns of norm 1.
    pub ridge: Ridge,
    /// At most this many rounds of solving and thresholding, ≥ 1.
    pub max_iterations: usize,
    /// Whether each column is first divided by its 2-norm; a given threshold then acts on what that leaves.
    pub normalize: bool,
    /// Whether the coefficients on the final support are solved for once more, without ridge.
    pub refit: bool,
    /// Whether the regression sees the features through an orthonormal basis; the equations are then dense.
    pub orthonormal: bool,
    /// Whether noisy recordings are fitted by maximum likelihood after the weak form, where the equations
    /// hold within the noise. Only with an automatic threshold.
    pub likelihood: bool,
    /// The names of the coordinates; empty for x1, x2, …
    pub names: Vec<String>,
    /// The names of the inputs; empty for u1, u2, …
    pub input_names: Vec<String>,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            order: 2,
            bias: true,
            functions: Vec::new(),
            time: false,
            variables: Variables::Full,
            aim: Aim::Strong(Differences::Central),
            threshold: Threshold::Automatic,
            units: Units::Scaled,
            ridge: Ridge::Absolute(0.0),
            max_iterations: 20,
            normalize: false,
            refit: false,
            orthonormal: false,
            likelihood: true,
            names: Vec::new(),
            input_names: Vec::new(),
        }
    }
}

/// How far a discovery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What it does now, in a few words.
    pub stage: &'static str,
    /// Pieces of this stage that are done.
    pub done: usize,
    /// Pieces that this stage has.
    pub total: usize,
}

/// Is told of the progress; ends the discovery, with what has been found, by breaking.
pub type Watch<'a> = dyn FnMut(Progress) -> ControlFlow<()> + 'a;

/// The rows of all trajectories, and their split for the validation.
struct Assembly {
    features: Array2<f64>,
    targets: Array2<f64>,
    older: Split,
    newer: Split,
    floor: Vec<f64>,
}

/// What a regression has left: coefficients (P×m), and the same from the older rows only.
struct Regressed {
    coefficients: Array2<f64>,
    support: Array2<bool>,
    older: Option<Array2<f64>>,
}

impl Search {
    /// Finds the equations behind `trajectories`, recordings of one system, with `engine`'s regression.
    ///
    /// No difference and no bump reaches from one trajectory into another. Cost: the library at all samples,
    /// 31 sparse regressions for an automatic threshold, and for noisy recordings some ten seconds of
    /// estimates at most. Precision: f64 but for the regression, which is the engine's.
    ///
    /// # Errors
    /// Settings outside their ranges, trajectories that do not go together or are too short, targets that
    /// they do not have, terms that are not finite on them, and faults of the engine.
    pub fn run(&self, trajectories: &[Trajectory], engine: &mut dyn Engine) -> Result<Discovery> {
        self.run_watched(trajectories, engine, &mut |_| ControlFlow::Continue(()))
    }

    /// As [`Search::run`], while `watch` is told of the progress and may end the search for terms: the result
    /// is then the best so far, and [`Discovery::ended`] is set.
    ///
    /// # Errors
    /// As [`Search::run`].
    pub fn run_watched(
        &self,
        trajectories: &[Trajectory],
        engine: &mut dyn Engine,
        watch: &mut Watch<'_>,
    ) -> Result<Discovery> {
        self.check(trajectories)?;
        let _ = watch(Progress { stage: "library", done: 0, total: trajectories.len() });
        let (space, energy, moved) = self.moved(trajectories)?;
        let (d, inputs) = (moved[0].states().ncols(), moved[0].inputs().ncols());
        let terms = Terms::new(d + inputs + usize::from(self.time), self.order, self.bias, &self.functions)?;
        let names = self.variable_names(d, inputs, space.is_some())?;
        let weak = match self.aim {
            Aim::Weak(choice) => Some(choice.resolve(&moved, terms.len())?),
            _ => None,
        };
        let points: Vec<Array2<f64>> = moved.iter().map(|t| self.points(t)).collect::<Result<Vec<_>>>()?;
        let mut thetas = Vec::with_capacity(points.len());
        for (number, points) in points.iter().enumerate() {
            thetas.push(terms.evaluate_rows(points.view(), &names)?);
            let _ = watch(Progress { stage: "library", done: number + 1, total: moved.len() });
        }
        let transform = match self.orthonormal {
            true => {
                let views: Vec<_> = thetas.iter().map(|theta| theta.view()).collect();
                let all = concatenate(Axis(0), &views)
                    .map_err(|_| Error::internal("features of different widths"))?;
                Some(crate::engine::orthonormal_features(all.view())?)
            }
            false => None,
        };
        let assembly = self.assemble(&moved, &thetas, weak, transform.as_ref())?;
        let rows = assembly.features.nrows();
        let validates = assembly.older.features.nrows() >= 2 && assembly.newer.features.nrows() >= 1;
        if self.refit && assembly.features.ncols() >= rows {
            log::warn!(
                "a final refit without ridge on {} features and {rows} rows follows the noise; consider \
                 leaving it out",
                assembly.features.ncols()
            );
        }

        let threshold = match self.threshold {
            // Through an orthonormal basis every feature is a mixture of terms: nothing can be left out.
            Threshold::Automatic if self.orthonormal => Threshold::Given(0.0),
            other => other,
        };
        let _ = watch(Progress { stage: "regression", done: 0, total: 1 });
        let (mut regressed, mut trace) = match threshold {
            Threshold::Given(threshold) => {
                let units = self.unit_scales(&terms, &points, d);
                (self.regress_given(&assembly, threshold, units, validates, engine)?, None)
            }
            Threshold::Automatic => {
                let parts = validates.then_some((&assembly.older, &assembly.newer));
                let rows = Rows {
                    features: assembly.features.view(),
                    targets: assembly.targets.view(),
                    split: parts,
                    floor: assembly.floor.clone(),
                    overlap: weak.map_or(1.0, |w| (w.half_width as f64 / w.stride as f64).max(1.0)),
                };
                let mut told =
                    |done: usize, total: usize| watch(Progress { stage: "regression", done, total });
                let found = path(&rows, self.regression(0.0), engine, &mut told)?;
                let support = found.best.mapv(|v| v != 0.0);
                let regressed = Regressed { coefficients: found.best.clone(), support, older: None };
                (regressed, Some(found))
            }
        };
        let over = watch(Progress { stage: "regression", done: 1, total: 1 }).is_break();
        // One threshold that is given leaves nothing to search for.
        let mut ended = over && trace.is_some();

        let sigma = noise(&moved);
        let mut refinement = None;
        if let (Some(found), Some(weak), true) = (&trace, weak, self.likelihood && !ended) {
            let mut starts = found.coefficients.clone();
            starts.push(found.best.clone());
            self.narrower(&moved, &thetas, weak, validates, engine, &mut starts)?;
            let segments: Vec<Segment> = moved
                .iter()
                .zip(&points)
                .filter(|(t, _)| t.times().len() >= 6)
                .map(|(t, points)| {
                    let given = points.slice(s![.., d..]).to_owned();
                    Segment::new(t.states().to_owned(), given, t.grid().view())
                })
                .collect();
            let grids: Vec<Array1<f64>> =
                moved.iter().filter(|t| t.times().len() >= 6).map(|t| t.grid()).collect();
            let deviations = sigma.to_vec();
            let likelihood = Likelihood { segments: &segments, sigma: &deviations, terms: &terms };
            let rms = |i: usize| {
                let squares = moved.iter().map(|t| t.states().column(i).iter().map(|v| v * v).sum::<f64>());
                let count: usize = moved.iter().map(|t| t.times().len()).sum();
                (squares.sum::<f64>() / count as f64).sqrt()
            };
            // What the numbers themselves are rounded by is no noise.
            let noisy = deviations.iter().enumerate().all(|(i, s)| *s > 64.0 * f64::EPSILON * rms(i));
            if noisy && !segments.is_empty() && likelihood.resolves(&found.best, &grids) {
                let mut told =
                    |done: usize, total: usize| watch(Progress { stage: "likelihood", done, total });
                if let Some((estimate, early)) = by_likelihood(&likelihood, &starts, &mut told) {
                    ended |= early;
                    let freedom = (likelihood.rows() - estimate.places.len()).max(1) as f64;
                    let misfit = estimate.chi2 / freedom;
                    let holds = (OVERESTIMATED..=WITHIN_NOISE).contains(&misfit);
                    let mut standard_errors = Array2::zeros(regressed.coefficients.dim());
                    if let Some(variances) = likelihood
                        .quadratic(&estimate, &estimate.places)
                        .and_then(|quadratic| quadratic.variances())
                    {
                        for (&(p, j), variance) in estimate.places.iter().zip(variances) {
                            standard_errors[[p, j]] = variance.max(0.0).sqrt();
                        }
                    }
                    if holds {
                        regressed.coefficients = likelihood.matrix(&estimate);
                        regressed.support = regressed.coefficients.mapv(|v| v != 0.0);
                    } else {
                        standard_errors.fill(0.0);
                    }
                    refinement = Some(Refinement { misfit, holds, standard_errors });
                }
            }
        }

        // The validation of supports that were not thresholded on the older rows: they are solved on them.
        if trace.is_some() && validates {
            regressed.older = Some(least_squares(&assembly.older, &regressed.support)?);
        }
        let fit_errors = errors(&regressed.coefficients, assembly.features.view(), assembly.targets.view());
        let overall = |coefficients: &Array2<f64>, features: ArrayView2<f64>, targets: ArrayView2<f64>| {
            let norm = |a: &Array2<f64>| a.iter().map(|v| v * v).sum::<f64>().sqrt();
            let size = norm(&targets.to_owned());
            if size > 0.0 { norm(&(features.dot(coefficients) - targets)) / size } else { 0.0 }
        };
        let fit_error = overall(&regressed.coefficients, assembly.features.view(), assembly.targets.view());
        let newer = (assembly.newer.features.view(), assembly.newer.targets.view());
        let validation_error = regressed.older.as_ref().map(|older| overall(older, newer.0, newer.1));
        let validation_errors = regressed.older.as_ref().map(|older| errors(older, newer.0, newer.1));

        let scaled = match (threshold, self.units) {
            (Threshold::Given(_), Units::Own) => assembly.features.clone(),
            _ => unit_columns(&assembly.features),
        };
        let condition = conditioning(scaled.view(), &self.regression(self.given()))?.condition;
        let feature_names = terms.names(&names);
        let dependent = if condition.is_finite() || self.orthonormal {
            Vec::new()
        } else {
            dependent(&scaled)?.into_iter().map(|p| feature_names[p].clone()).collect()
        };
        let warnings = if self.orthonormal {
            Vec::new()
        } else {
            let findings = Findings {
                trajectories: &moved,
                aim: &self.aim,
                features: &assembly.features,
                targets: &assembly.targets,
                support: &regressed.support,
                names: &names,
                noise: &sigma,
                refinement: refinement.as_ref(),
            };
            findings.doubts()?
        };
        let (coefficients, support) = match &transform {
            Some(t) => {
                let coefficients = t.dot(&regressed.coefficients);
                let support = coefficients.mapv(|v| v != 0.0);
                (coefficients, support)
            }
            None => (regressed.coefficients, regressed.support),
        };
        let (entries, thresholds) = match trace.take() {
            Some(found) => {
                let chosen = found.chosen.iter().map(|at| found.entries[*at].threshold).collect();
                (found.entries, chosen)
            }
            None => (Vec::new(), Vec::new()),
        };
        Ok(Discovery {
            library: terms,
            coefficients,
            support,
            of_gradient: self.aim == Aim::Tracked,
            kind: match self.aim {
                Aim::Tracked => Kind::Gradient,
                Aim::Map => Kind::Map,
                _ => Kind::Derivative,
            },
            names,
            time: self.time,
            space,
            energy,
            rows,
            fit_error,
            fit_errors,
            validation_error,
            validation_errors,
            condition,
            dependent,
            noise: sigma.to_vec(),
            weak,
            path: entries,
            thresholds,
            refinement,
            ended,
            warnings,
        })
    }

    fn given(&self) -> f64 {
        match self.threshold {
            Threshold::Given(threshold) => threshold,
            Threshold::Automatic => 0.0,
        }
    }

    fn regression(&self, threshold: f64) -> Regression {
        Regression {
            ridge: self.ridge,
            threshold,
            max_iterations: self.max_iterations,
            normalize: self.normalize,
            refit: self.refit,
        }
    }

    fn check(&self, trajectories: &[Trajectory]) -> Result<()> {
        self.regression(self.given()).validate()?;
        if self.order == 0 {
            return Err(Error::invalid("the order", 0, "at least 1"));
        }
        let Some(first) = trajectories.first() else {
            return Err(Error::invalid("the number of trajectories", 0, "at least 1"));
        };
        let (d, m) = (first.states().ncols(), first.inputs().ncols());
        for (number, other) in trajectories.iter().enumerate() {
            let (coordinates, inputs) = (other.states().ncols(), other.inputs().ncols());
            if (coordinates, inputs) != (d, m) {
                return Err(Error::invalid(
                    "a trajectory",
                    format!("of {coordinates} coordinates and {inputs} inputs as number {number}"),
                    format!("of {d} coordinates and {m} inputs, as the first is"),
                ));
            }
        }
        for (name, names, count) in [
            ("the number of names", &self.names, d),
            ("the number of the inputs' names", &self.input_names, m),
        ] {
            if !names.is_empty() && names.len() != count {
                return Err(Error::invalid(name, names.len(), format!("{count}, one for each")));
            }
        }
        if let Aim::Weak(choice) = self.aim {
            // Given settings are judged before the recording is.
            Targets::WeakForm(WeakForm {
                half_width: choice.half_width.unwrap_or(1),
                power: choice.power.unwrap_or(1),
                stride: choice.stride.unwrap_or(1),
                include_endpoints: choice.include_endpoints,
            })
            .validate()?;
        }
        if self.aim == Aim::Tracked && trajectories.iter().any(|t| t.gradients().is_none()) {
            return Err(Error::only_with("tracked targets", "a trajectory with recorded gradients"));
        }
        Ok(())
    }

    /// The trajectories in the variables of the equations.
    fn moved(&self, trajectories: &[Trajectory]) -> Result<(ReducedSpace, f64, Vec<Trajectory>)> {
        let views: Vec<_> = trajectories.iter().map(|t| t.states()).collect();
        let all =
            concatenate(Axis(0), &views).map_err(|_| Error::internal("trajectories of different widths"))?;
        let (space, energy, z) = variables(&all, self.variables)?;
        let Some((directions, _, scale)) = &space else {
            return Ok((None, energy, trajectories.to_vec()));
        };
        let mut from = 0;
        let mut moved = Vec::with_capacity(trajectories.len());
        for trajectory in trajectories {
            let to = from + trajectory.times().len();
            let part = z.slice(s![from..to, ..]).to_owned();
            // Gradients along the directions are kept apart: their lengths are their own.
            let along = trajectory.gradients().map(|g| g.dot(directions) / *scale);
            moved.push(
                Trajectory::new(part, trajectory.times().to_owned(), along)?
                    .with_inputs(trajectory.inputs().to_owned())?,
            );
            from = to;
        }
        Ok((space, energy, moved))
    }

    fn variable_names(&self, d: usize, inputs: usize, reduced: bool) -> Result<Vec<String>> {
        let numbered = |letter: char, count: usize| (1..=count).map(move |i| format!("{letter}{i}"));
        let mut names: Vec<String> = if reduced {
            numbered('z', d).collect()
        } else if self.names.is_empty() {
            numbered('x', d).collect()
        } else {
            self.names.clone()
        };
        if self.input_names.is_empty() {
            names.extend(numbered('u', inputs));
        } else {
            names.extend(self.input_names.iter().cloned());
        }
        if self.time {
            names.push("t".into());
        }
        for (i, name) in names.iter().enumerate() {
            if name.trim().is_empty() || names[..i].contains(name) {
                return Err(Error::invalid(
                    "a name",
                    format!("`{name}` for variable {}", i + 1),
                    "not empty and not that of another variable",
                ));
            }
        }
        Ok(names)
    }

    /// The values of all variables: coordinates, inputs, time.
    fn points(&self, trajectory: &Trajectory) -> Result<Array2<f64>> {
        let time = trajectory.times().insert_axis(Axis(1));
        let mut parts = vec![trajectory.states(), trajectory.inputs()];
        if self.time {
            parts.push(time);
        }
        concatenate(Axis(1), &parts).map_err(|_| Error::internal("variables of different lengths"))
    }

    /// The operator of one trajectory; none for tracked gradients and maps.
    fn rows(&self, trajectory: &Trajectory, weak: Option<WeakForm>) -> Result<Option<Vec<Row>>> {
        let grid = trajectory.grid();
        Ok(match (self.aim, weak) {
            (Aim::Strong(rule), _) => {
                let (points, at) = stencil(rule);
                Some(differences(grid.view(), points, at))
            }
            (Aim::Weak(_), Some(weak)) => Some(bumps(weak, grid.view(), trajectory.spacing())?),
            _ => None,
        })
    }

    fn assemble(
        &self,
        trajectories: &[Trajectory],
        thetas: &[Array2<f64>],
        weak: Option<WeakForm>,
        transform: Option<&Array2<f64>>,
    ) -> Result<Assembly> {
        let p = transform.map_or(thetas[0].ncols(), |t| t.ncols());
        let m = trajectories[0]
            .gradients()
            .filter(|_| self.aim == Aim::Tracked)
            .map_or_else(|| trajectories[0].states().ncols(), |g| g.ncols());
        let empty = || (Array2::zeros((0, p)), Array2::zeros((0, m)));
        let (mut all, mut older, mut newer) = (empty(), empty(), empty());
        let (mut off, mut size) = (vec![0.0; m], vec![0.0; m]);
        let join = |into: &mut (Array2<f64>, Array2<f64>), part: (ArrayView2<f64>, ArrayView2<f64>)| {
            let failed = |_| Error::internal("rows of different widths");
            into.0.append(Axis(0), part.0).map_err(failed)?;
            into.1.append(Axis(0), part.1).map_err(failed)
        };
        for (trajectory, theta) in trajectories.iter().zip(thetas) {
            let k = trajectory.times().len();
            let (features, targets) = match (self.rows(trajectory, weak)?, trajectory.gradients()) {
                (Some(rows), _) => apply(&rows, theta.view(), trajectory.states()),
                (None, Some(g)) if self.aim == Aim::Tracked => (theta.clone(), g.to_owned()),
                _ => (
                    theta.slice(s![..k - 1, ..]).to_owned(),
                    trajectory.states().slice(s![1.., ..]).to_owned(),
                ),
            };
            let features = transform.map_or_else(|| features.clone(), |t| features.dot(t));
            let rows = features.nrows();
            let held = ((HELD_OUT * rows as f64).floor() as usize).max(1).min(rows);
            let split = rows - held;
            // Weak rows run from the newest to the oldest.
            let (old, new) = if weak.is_some() {
                (s![rows - split.., ..], s![..rows - split, ..])
            } else {
                (s![..split, ..], s![split.., ..])
            };
            join(&mut older, (features.slice(old), targets.slice(old)))?;
            join(&mut newer, (features.slice(new), targets.slice(new)))?;
            if let Aim::Strong(rule) = self.aim {
                self.truncation(trajectory, rule, split, &targets, (&mut off, &mut size));
            }
            join(&mut all, (features.view(), targets.view()))?;
        }
        if all.0.nrows() == 0 {
            let samples = trajectories.iter().map(|t| t.times().len()).max().unwrap_or(0);
            return Err(Error::invalid(
                "the number of samples",
                samples,
                format!("at least {} for these targets", self.samples_needed(weak)),
            ));
        }
        let floor = off
            .iter()
            .zip(&size)
            .map(|(off, size): (&f64, &f64)| if *size > 0.0 { (off / size).sqrt() } else { 0.0 });
        Ok(Assembly {
            floor: floor.collect(),
            features: all.0,
            targets: all.1,
            older: Split { features: older.0, targets: older.1 },
            newer: Split { features: newer.0, targets: newer.1 },
        })
    }

    fn samples_needed(&self, weak: Option<WeakForm>) -> usize {
        match (self.aim, weak) {
            (Aim::Strong(rule), _) => stencil(rule).0,
            (_, Some(weak)) => Targets::WeakForm(weak).samples_needed(),
            _ => 2,
        }
    }

    /// Adds the squares of what the differences are off by, and of the differences, on the rows held out: off
    /// from those with two more points.
    fn truncation(
        &self,
        trajectory: &Trajectory,
        rule: Differences,
        split: usize,
        targets: &Array2<f64>,
        (off, size): (&mut [f64], &mut [f64]),
    ) {
        let (points, at) = stencil(rule);
        let finer = differences(trajectory.grid().view(), points + 2, at + 1);
        for (row, finer) in finer.iter().enumerate().map(|(i, row)| (i + 1, row)).filter(|(i, _)| *i >= split)
        {
            for (j, column) in trajectory.states().columns().into_iter().enumerate() {
                let target = targets[[row, j]];
                off[j] += (finer.samples.dot(column) - target).powi(2);
                size[j] += target * target;
            }
        }
    }

    /// The units of features and targets under a given threshold; none where they are their own.
    fn unit_scales(&self, terms: &Terms, points: &[Array2<f64>], d: usize) -> Option<(Vec<f64>, Vec<f64>)> {
        if self.units == Units::Own || self.orthonormal || self.normalize {
            return None;
        }
        let views: Vec<_> = points.iter().map(|p| p.view()).collect();
        let all = concatenate(Axis(0), &views).ok()?;
        let columns: Vec<_> = all.columns().into_iter().collect();
        let scales = scales(&columns, d);
        let targets = match self.aim {
            // Gradients have units that the samples do not tell.
            Aim::Tracked => return None,
            _ => scales[..d].to_vec(),
        };
        Some((terms.units(&scales), targets))
    }

    fn regress_given(
        &self,
        assembly: &Assembly,
        threshold: f64,
        units: Option<(Vec<f64>, Vec<f64>)>,
        validates: bool,
        engine: &mut dyn Engine,
    ) -> Result<Regressed> {
        let scaled = |features: &Array2<f64>, targets: &Array2<f64>| {
            let (mut features, mut targets) = (features.clone(), targets.clone());
            if let Some((by_feature, by_target)) = &units {
                features.columns_mut().into_iter().zip(by_feature).for_each(|(mut c, u)| c /= *u);
                targets.columns_mut().into_iter().zip(by_target).for_each(|(mut c, u)| c /= *u);
            }
            (features, targets)
        };
        let mut parts = vec![scaled(&assembly.features, &assembly.targets)];
        if validates {
            parts.push(scaled(&assembly.older.features, &assembly.older.targets));
        }
        let regression = self.regression(threshold);
        let problem =
            |(features, targets): &'_ (Array2<f64>, Array2<f64>)| (features.clone(), targets.clone());
        let owned: Vec<_> = parts.iter().map(problem).collect();
        let batch: Vec<RegressionProblem<'_>> = owned
            .iter()
            .map(|(features, targets)| RegressionProblem {
                features: features.view(),
                targets: targets.view(),
                regression,
            })
            .collect();
        let mut solutions = engine.regress(&batch)?.into_iter().map(|mut solution| {
            if let Some((by_feature, by_target)) = &units {
                for ((p, j), xi) in solution.coefficients.indexed_iter_mut() {
                    *xi *= by_target[j] / by_feature[p];
                }
            }
            solution
        });
        let solution = solutions.next().ok_or_else(|| Error::internal("the engine returned no solution"))?;
        Ok(Regressed {
            coefficients: solution.coefficients,
            support: solution.support,
            older: solutions.next().map(|solution| solution.coefficients),
        })
    }

    /// Supports from narrower bumps, which noise and bandwidth treat differently, as further places for the
    /// likelihood to start from.
    fn narrower(
        &self,
        trajectories: &[Trajectory],
        thetas: &[Array2<f64>],
        weak: WeakForm,
        validates: bool,
        engine: &mut dyn Engine,
        starts: &mut Vec<Array2<f64>>,
    ) -> Result<()> {
        let Aim::Weak(WeakChoice { half_width: None, .. }) = self.aim else { return Ok(()) };
        for share in [1.6, 2.6] {
            let half_width = (weak.half_width as f64 / share).round() as usize;
            if half_width < 2 {
                continue;
            }
            let choice = WeakChoice { half_width: Some(half_width), ..WeakChoice::default() };
            let narrow = choice.resolve(trajectories, thetas[0].ncols())?;
            let assembly = self.assemble(trajectories, thetas, Some(narrow), None)?;
            let rows = Rows {
                features: assembly.features.view(),
                targets: assembly.targets.view(),
                split: validates.then_some((&assembly.older, &assembly.newer)),
                floor: assembly.floor.clone(),
                overlap: 1.0,
            };
            let mut on = |_: usize, _: usize| ControlFlow::Continue(());
            starts.extend(path(&rows, self.regression(0.0), engine, &mut on)?.coefficients);
        }
        Ok(())
    }
}

/// The points of a difference, and the one of them where the derivative is.
fn stencil(rule: Differences) -> (usize, usize) {
    match rule {
        Differences::Forward => (2, 0),
        Differences::Central => (3, 1),
        Differences::FivePoint => (5, 2),
    }
}

/// The matrix with columns of norm 1; columns of zeros stay.
pub(super) fn unit_columns(matrix: &Array2<f64>) -> Array2<f64> {
    let mut scaled = matrix.clone();
    for mut column in scaled.columns_mut() {
        let norm = column.iter().map(|v| v * v).sum::<f64>().sqrt();
        if norm > 0.0 {
            column /= norm;
        }
    }
    scaled
}

/// The columns that take part in a dependence: those with a share in the null space.
fn dependent(features: &Array2<f64>) -> Result<Vec<usize>> {
    let scaled = unit_columns(features);
    let (k, p) = scaled.dim();
    // With fewer rows than columns the missing rows are zeros.
    let matrix = Mat::from_fn(k.max(p), p, |i, j| if i < k { scaled[[i, j]] } else { 0.0 });
    let svd = matrix
        .thin_svd()
        .map_err(|_| Error::factorization("singular value decomposition of the feature matrix"))?;
    let cut = ((k * p) as f64).sqrt() * f64::EPSILON * svd.S()[0];
    let share = |j: usize| -> f64 {
        (0..p).filter(|mode| svd.S()[*mode] <= cut).map(|mode| svd.V()[(j, mode)].powi(2)).sum()
    };
    Ok((0..p).filter(|j| share(*j) > 1e-4).collect())
}

/// Least squares on given supports, for the validation of equations whose terms are settled.
fn least_squares(rows: &Split, support: &Array2<bool>) -> Result<Array2<f64>> {
    let mut coefficients = Array2::zeros(support.dim());
    let regression = Regression::ridge(Ridge::Absolute(0.0));
    for j in 0..support.ncols() {
        let active: Vec<usize> = (0..support.nrows()).filter(|p| support[[*p, j]]).collect();
        let features = rows.features.select(Axis(1), &active);
        let scaled = unit_columns(&features);
        let target = rows.targets.slice(s![.., j..=j]);
        let found = crate::surrogate::regression::solve(scaled.view(), target, &regression)?;
        for (at, p) in active.into_iter().enumerate() {
            let norm = features.column(at).iter().map(|v| v * v).sum::<f64>().sqrt();
            coefficients[[p, j]] = found.coefficients[[at, 0]] / if norm > 0.0 { norm } else { 1.0 };
        }
    }
    Ok(coefficients)
}
