//! Recorded trajectories: samples, times, gradients and inputs, and where one recording ends and the next
//! begins.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, s};

use crate::error::{Error, Result};

/// Time steps may differ by this much, relative, and still count as equal.
const UNIFORM: f64 = 1e-6;
/// The resolution of times never excuses more than this share of a time step: integer times of which some are
/// missing are uneven, and not rounded.
const COARSEST: f64 = 0.1;

/// A recorded trajectory: K samples of d coordinates, their times and, if known, gradients and inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Trajectory {
    states: Array2<f64>,
    times: Array1<f64>,
    gradients: Option<Array2<f64>>,
    inputs: Array2<f64>,
}

/// An array's first row with an entry that is not finite.
fn bad_row(array: &Array2<f64>) -> Option<usize> {
    array.rows().into_iter().position(|row| row.iter().any(|v| !v.is_finite()))
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
                "finite and increasing (a new trajectory begins where t falls back to stay)",
            ));
        }
        Ok(Self { states, times, gradients, inputs: Array2::zeros((k, 0)) })
    }

    /// The trajectory with recorded inputs u (K×m): variables of the library that no equation is sought for,
    /// a force or a control for example.
    ///
    /// ```
    /// use lgf::discover::Trajectory;
    /// use ndarray::Array;
    ///
    /// # fn main() -> lgf::Result<()> {
    /// let times = Array::linspace(0.0, 1.0, 11);
    /// let (x, u) = (Array::zeros((11, 2)), Array::ones((11, 1)));
    /// let pushed = Trajectory::new(x, times, None)?.with_inputs(u)?;
    /// assert_eq!(pushed.inputs().ncols(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Another number of rows than there are samples; entries that are not finite.
    pub fn with_inputs(self, inputs: Array2<f64>) -> Result<Self> {
        if inputs.nrows() != self.states.nrows() {
            return Err(Error::length("u", inputs.nrows(), self.states.nrows()));
        }
        if let Some(row) = bad_row(&inputs) {
            return Err(Error::invalid("u", format!("not finite in row {row}"), "finite everywhere"));
        }
        Ok(Self { inputs, ..self })
    }

    /// The trajectories in one array of samples (K×d): a new one begins where the times (K) start again.
    ///
    /// A single time that falls back while the next one goes on from where the times had been is an error in
    /// the times, and not the start of a recording.
    /// ```
    /// use lgf::discover::Trajectory;
    /// use ndarray::{Array2, array};
    ///
    /// # fn main() -> lgf::Result<()> {
    /// let times = array![0.0, 0.1, 0.2, 0.3, 0.0, 0.1, 0.2];
    /// let runs = Trajectory::runs(Array2::zeros((7, 2)), times, None, None)?;
    /// assert_eq!(runs.iter().map(|run| run.times().len()).collect::<Vec<_>>(), [4, 3]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Trajectory::new`] and [`Trajectory::with_inputs`].
    pub fn runs(
        states: Array2<f64>,
        times: Array1<f64>,
        gradients: Option<Array2<f64>>,
        inputs: Option<Array2<f64>>,
    ) -> Result<Vec<Self>> {
        let k = states.nrows();
        if times.len() != k {
            return Err(Error::length("t", times.len(), k));
        }
        for (name, array) in [("g", &gradients), ("u", &inputs)] {
            if let Some(array) = array.as_ref().filter(|array| array.nrows() != k) {
                return Err(Error::length(name, array.nrows(), k));
            }
        }
        let starts_again = |at: usize| {
            times[at] <= times[at - 1] && at + 1 < k && times[at + 1] > times[at] && {
                // A glitch: without this sample the times would go on.
                let goes_on = times[at + 1] > times[at - 1];
                !goes_on
            }
        };
        let mut cuts = vec![0];
        for at in (2..k).filter(|at| starts_again(*at)) {
            if at - cuts[cuts.len() - 1] >= 2 {
                cuts.push(at);
            }
        }
        cuts.push(k);
        let part = |array: &Array2<f64>, from: usize, to: usize| array.slice(s![from..to, ..]).to_owned();
        cuts.windows(2)
            .map(|cut| {
                let (from, to) = (cut[0], cut[1]);
                let run = Self::new(
                    part(&states, from, to),
                    times.slice(s![from..to]).to_owned(),
                    gradients.as_ref().map(|g| part(g, from, to)),
                )?;
                match &inputs {
                    Some(u) => run.with_inputs(part(u, from, to)),
                    None => Ok(run),
                }
            })
            .collect()
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

    /// The inputs at the samples (K×m); m is 0 if there are none.
    pub fn inputs(&self) -> ArrayView2<'_, f64> {
        self.inputs.view()
    }

    /// The mean spacing of the samples.
    pub fn mean_spacing(&self) -> f64 {
        let k = self.times.len();
        (self.times[k - 1] - self.times[0]) / (k - 1) as f64
    }

    /// The spacing of the samples if they are equidistant within what their times resolve: single precision,
    /// a number of decimals, integers, or the rounding of large numbers. None if they are uneven.
    ///
    /// ```
    /// use lgf::discover::Trajectory;
    /// use ndarray::{Array, Array2};
    ///
    /// # fn main() -> lgf::Result<()> {
    /// let rounded = Array::linspace(0.0, 8.0, 301).mapv(|t: f64| (t * 1e3).round() / 1e3);
    /// let trajectory = Trajectory::new(Array2::zeros((301, 1)), rounded, None)?;
    /// assert_eq!(trajectory.spacing(), Some(8.0 / 300.0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn spacing(&self) -> Option<f64> {
        let dt = self.mean_spacing();
        let steps_agree = self.times.windows(2).into_iter().all(|t| (t[1] - t[0] - dt).abs() <= UNIFORM * dt);
        if steps_agree {
            return Some(dt);
        }
        // The line through the ends is off by at most the resolution where the grid is uniform: half a unit
        // from the sample itself, half from the ends.
        let allowed = resolution(self.times.view()).min(COARSEST * dt);
        let start = self.times[0];
        let on_line = |(k, t): (usize, &f64)| (t - (start + k as f64 * dt)).abs() <= 1.01 * allowed;
        self.times.iter().enumerate().all(on_line).then_some(dt)
    }

    /// The times from the first sample on, with what rounding did to a uniform grid undone.
    pub(super) fn grid(&self) -> Array1<f64> {
        match self.spacing() {
            Some(dt) => Array1::from_shape_fn(self.times.len(), |k| k as f64 * dt),
            None => &self.times - self.times[0],
        }
    }

    pub(super) fn mean(trajectories: &[Self]) -> Array1<f64> {
        let count: usize = trajectories.iter().map(|t| t.states.nrows()).sum();
        let mut sum = Array1::zeros(trajectories.first().map_or(0, |t| t.states.ncols()));
        trajectories.iter().for_each(|t| sum += &t.states.sum_axis(Axis(0)));
        sum / count.max(1) as f64
    }
}

/// What neighbouring times can differ by for no other reason than the numbers they are written as.
fn resolution(times: ArrayView1<f64>) -> f64 {
    let largest = times.iter().fold(0.0_f64, |m, t| m.max(t.abs()));
    let single = times.iter().all(|t| f64::from(*t as f32) == *t);
    let of_format = largest * f64::from(if single { f32::EPSILON } else { 0.0 }).max(2.0 * f64::EPSILON);
    // The coarsest power of ten that all times are multiples of.
    let decimal = (-3..=12).find_map(|digits| {
        let unit = 10.0_f64.powi(-digits);
        let slack = 4.0 * of_format / unit + 1e-9;
        let multiple = |t: &f64| (t / unit - (t / unit).round()).abs() <= slack;
        (slack < 0.05 && times.iter().all(multiple)).then_some(unit)
    });
    of_format.max(decimal.unwrap_or(0.0))
}
