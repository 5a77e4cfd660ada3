//! Simulation of the equations that were found.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

use super::found::{Discovery, Kind};
use crate::error::{Error, Result};
use crate::surrogate::Integrator;

/// An input as a function of time: writes the values of all inputs at a time.
pub type Input<'a> = dyn Fn(f64, &mut [f64]) + 'a;

impl Discovery {
    /// The right-hand side of the equations at the library's variables.
    fn velocity(&self, point: &[f64], slope: &mut [f64]) {
        let theta = self.library.evaluate(point);
        let sign = if self.of_gradient { -1.0 } else { 1.0 };
        for (s, xi) in slope.iter_mut().zip(self.coefficients.columns()) {
            *s = sign * xi.iter().zip(&theta).map(|(a, b)| a * b).sum::<f64>();
        }
    }

    /// Integrates the equations from `start` (d) over `duration` by Dormand–Prince (tolerances 10⁻⁹), with a
    /// sample every `dt`; gradients count as x' = −g, and a map takes one step every `dt`. Returns times and
    /// states; ends early, with fewer samples, where the equations leave the finite numbers.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) unless `duration` and `dt` are positive and give at
    /// most 10⁷ samples, and where the equations have inputs: see [`Discovery::simulate_with`].
    pub fn simulate(
        &self,
        start: ArrayView1<f64>,
        duration: f64,
        dt: f64,
    ) -> Result<(Array1<f64>, Array2<f64>)> {
        if self.inputs() > 0 {
            return Err(Error::only_with(
                "a simulation of equations with inputs",
                "the inputs as functions of time",
            ));
        }
        self.simulate_with(start, 0.0, duration, dt, &|_, _| {})
    }

    /// As [`Discovery::simulate`], from the time `begin` on and with `input` for the equations' inputs.
    ///
    /// ```
    /// use lgf::discover::{Search, Trajectory};
    /// use lgf::engine::CpuEngine;
    /// use ndarray::{Array, Axis, array};
    ///
    /// # fn main() -> lgf::Result<()> {
    /// // x' = u with u = cos t, so x = sin t.
    /// let times = Array::linspace(0.0, 6.0, 601);
    /// let (x, u) = (times.mapv(f64::sin).insert_axis(Axis(1)), times.mapv(f64::cos).insert_axis(Axis(1)));
    /// let run = Trajectory::new(x, times, None)?.with_inputs(u)?;
    /// let found = Search { order: 1, ..Search::default() }.run(&[run], &mut CpuEngine::new())?;
    /// assert_eq!(found.equations(), ["dx1/dt = 1.000 u1"]);
    /// let cosine = |t: f64, u: &mut [f64]| u[0] = t.cos();
    /// let (t, x) = found.simulate_with(array![0.0].view(), 0.0, 1.0, 0.1, &cosine)?;
    /// assert!((x[[10, 0]] - t[10].sin()).abs() < 1e-4);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Discovery::simulate`], but for the inputs; a start of another length than the samples have.
    pub fn simulate_with(
        &self,
        start: ArrayView1<f64>,
        begin: f64,
        duration: f64,
        dt: f64,
        input: &Input<'_>,
    ) -> Result<(Array1<f64>, Array2<f64>)> {
        Error::require_positive("the duration", duration)?;
        Error::require_positive("dt", dt)?;
        let steps = (duration / dt).round();
        if !(1.0..=1e7).contains(&steps) {
            return Err(Error::invalid("the number of simulated samples", steps, "between 1 and 10000000"));
        }
        let length = self.space.as_ref().map_or(self.coordinates(), |(directions, ..)| directions.nrows());
        if start.len() != length {
            return Err(Error::length("the start", start.len(), length));
        }
        let mut z = match &self.space {
            Some((directions, center, scale)) => ((&start - center).dot(directions) / *scale).to_vec(),
            None => start.to_vec(),
        };
        let lift = |z: &[f64]| match &self.space {
            Some((directions, center, scale)) => center + &(directions.dot(&ArrayView1::from(z)) * *scale),
            None => Array1::from(z.to_vec()),
        };
        let (d, inputs) = (z.len(), self.inputs());
        let mut point = vec![0.0; self.names.len()];
        let mut velocity = |t: f64, z: &[f64], slope: &mut [f64]| {
            point[..d].copy_from_slice(z);
            input(t, &mut point[d..d + inputs]);
            if self.time {
                point[d + inputs] = t;
            }
            self.velocity(&point, slope);
        };
        let rule = Integrator::DormandPrince { rtol: 1e-9, atol: 1e-12 };
        let mut inner = dt;
        let (mut times, mut rows) = (vec![0.0], lift(&z).to_vec());
        let width = rows.len();
        for step in 0..steps as usize {
            let now = step as f64 * dt;
            let went = if self.kind == Kind::Map {
                let before = z.clone();
                velocity(begin + now, &before, &mut z);
                z.iter().all(|v| v.is_finite())
            } else {
                let mut rhs = |t: f64, z: &[f64], slope: &mut [f64]| velocity(t, z, slope);
                rule.advance(&mut rhs, begin + now, dt, &mut z, &mut inner)
            };
            if !went {
                break;
            }
            times.push((step + 1) as f64 * dt);
            rows.extend(lift(&z));
        }
        let states = Array2::from_shape_vec((times.len(), width), rows)
            .map_err(|_| Error::internal("simulated states of different lengths"))?;
        Ok((Array1::from(times), states))
    }
}

/// The recorded `inputs` (K×m) at `times` (K) as functions of time, linear between the samples and constant
/// beyond them.
pub fn recorded_input<'a>(
    times: ArrayView1<'a, f64>,
    inputs: ArrayView2<'a, f64>,
) -> impl Fn(f64, &mut [f64]) + 'a {
    move |t, values| {
        let after = times.iter().position(|time| *time > t).unwrap_or(times.len());
        for (i, value) in values.iter_mut().enumerate() {
            *value = if after == 0 {
                inputs[[0, i]]
            } else if after == times.len() {
                inputs[[after - 1, i]]
            } else {
                let share = (t - times[after - 1]) / (times[after] - times[after - 1]);
                (1.0 - share) * inputs[[after - 1, i]] + share * inputs[[after, i]]
            };
        }
    }
}
