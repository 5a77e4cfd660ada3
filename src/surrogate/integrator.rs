//! How the learned flow is integrated over one surrogate iteration.

use crate::error::{Error, Result};

/// The rule that takes the state over one iteration's time.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Integrator {
    /// The optimizer's own discrete step with the predicted gradient: one prediction per step, the same
    /// dynamics in both phases.
    #[default]
    FlowStep,
    /// The explicit Euler method on the flow's differential equation.
    Euler,
    /// Kutta's 3/8 rule, order 4: four predictions per step (the paper's choice).
    Rk4,
    /// Dormand–Prince 5(4): steps of its own size inside the iteration, as the tolerances ask.
    DormandPrince {
        /// The relative tolerance of a step's error, > 0.
        rtol: f64,
        /// The absolute tolerance of a step's error, ≥ 0.
        atol: f64,
    },
}

/// A differential equation: writes the derivative of a flattened state at a time.
pub type Equation<'a> = dyn FnMut(f64, &[f64], &mut [f64]) + 'a;

/// An explicit Runge–Kutta rule.
#[derive(Debug, Clone, Copy)]
pub struct Tableau {
    /// The times c of the stages, in units of the step.
    pub times: &'static [f64],
    /// The stage weights a; row s has s entries.
    pub stages: &'static [&'static [f64]],
    /// The weights b of the result.
    pub weights: &'static [f64],
    /// The weights of the error estimate (b minus those of the embedded rule), if there is one.
    pub error: &'static [f64],
}

/// The explicit Euler method, of order 1.
pub const EULER: Tableau = Tableau { times: &[0.0], stages: &[&[]], weights: &[1.0], error: &[] };

/// Kutta's 3/8 rule, of order 4.
pub const RK4: Tableau = Tableau {
    times: &[0.0, 1.0 / 3.0, 2.0 / 3.0, 1.0],
    stages: &[&[], &[1.0 / 3.0], &[-1.0 / 3.0, 1.0], &[1.0, -1.0, 1.0]],
    weights: &[0.125, 0.375, 0.375, 0.125],
    error: &[],
};

/// Dormand & Prince, J. Comput. Appl. Math. 6 (1980) 19.
pub const DORMAND_PRINCE: Tableau = Tableau {
    times: &[0.0, 0.2, 0.3, 0.8, 8.0 / 9.0, 1.0, 1.0],
    stages: &[
        &[],
        &[0.2],
        &[3.0 / 40.0, 9.0 / 40.0],
        &[44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0],
        &[19372.0 / 6561.0, -25360.0 / 2187.0, 64448.0 / 6561.0, -212.0 / 729.0],
        &[9017.0 / 3168.0, -355.0 / 33.0, 46732.0 / 5247.0, 49.0 / 176.0, -5103.0 / 18656.0],
        &[35.0 / 384.0, 0.0, 500.0 / 1113.0, 125.0 / 192.0, -2187.0 / 6784.0, 11.0 / 84.0],
    ],
    weights: &[35.0 / 384.0, 0.0, 500.0 / 1113.0, 125.0 / 192.0, -2187.0 / 6784.0, 11.0 / 84.0, 0.0],
    error: &[
        71.0 / 57600.0,
        0.0,
        -71.0 / 16695.0,
        71.0 / 1920.0,
        -17253.0 / 339200.0,
        22.0 / 525.0,
        -1.0 / 40.0,
    ],
};

/// A step is never cut below this fraction of the iteration: a learned field that asks for more has blown up.
pub const SMALLEST: f64 = 1e-6;

impl Integrator {
    pub(crate) fn validate(self) -> Result<()> {
        if let Self::DormandPrince { rtol, atol } = self {
            Error::require_positive("the relative tolerance", rtol)?;
            if !(atol >= 0.0 && atol.is_finite()) {
                return Err(Error::invalid("the absolute tolerance", atol, "finite and at least 0"));
            }
        }
        Ok(())
    }

    /// Takes `state` from `t` to `t + h` along `rhs(t, state, derivative)`, all vectors flattened; `h_inner`
    /// remembers the step size that worked from one call to the next. Returns whether everything stayed
    /// finite.
    ///
    /// [`Integrator::FlowStep`] has no differential equation and must not be passed here.
    pub fn advance(
        self,
        rhs: &mut Equation<'_>,
        t: f64,
        h: f64,
        state: &mut [f64],
        h_inner: &mut f64,
    ) -> bool {
        match self {
            Self::FlowStep => false,
            Self::Euler => step(&EULER, rhs, t, h, state, None).is_some(),
            Self::Rk4 => step(&RK4, rhs, t, h, state, None).is_some(),
            Self::DormandPrince { rtol, atol } => {
                let mut control = StepControl::new(t, h, *h_inner);
                while let Some(size) = control.trial_size() {
                    let mut trial = state.to_vec();
                    let error =
                        step(&DORMAND_PRINCE, rhs, control.now(), size, &mut trial, Some((rtol, atol)));
                    match control.judge(error) {
                        Trial::Accepted => state.copy_from_slice(&trial),
                        Trial::Rejected => {}
                        Trial::Hopeless => return false,
                    }
                }
                *h_inner = control.inner();
                true
            }
        }
    }
}

/// The verdict on a trial step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trial {
    /// The step is accepted: the state moves to its end.
    Accepted,
    /// The step is rejected; a smaller one follows from the same state.
    Rejected,
    /// The steps have become too small: the integration ends.
    Hopeless,
}

/// The step sizes of an embedded rule of order 5(4) over one iteration.
#[derive(Debug)]
pub(crate) struct StepControl {
    now: f64,
    end: f64,
    /// The length h of the iteration in time.
    h: f64,
    /// The step size that the error estimate asks for.
    inner: f64,
    trial: f64,
}

impl StepControl {
    /// For the time from `t` to `t + h`; `inner` is the size that worked before, or 0.
    pub(crate) fn new(t: f64, h: f64, inner: f64) -> Self {
        Self { now: t, end: t + h, h, inner: if inner > 0.0 && inner <= h { inner } else { h }, trial: 0.0 }
    }

    /// The time at which the next trial step begins.
    pub(crate) fn now(&self) -> f64 {
        self.now
    }

    /// The step size that worked, for the next iteration.
    pub(crate) fn inner(&self) -> f64 {
        self.inner
    }

    /// The size of the next trial step; `None` at the end of the iteration.
    pub(crate) fn trial_size(&mut self) -> Option<f64> {
        let left = self.end - self.now;
        // A last sliver is taken with the step before it.
        self.trial = if self.inner >= left * (1.0 - 1e-12) { left } else { self.inner };
        (self.now < self.end).then_some(self.trial)
    }

    /// Judges the trial by its scaled error norm, `None` if something is not finite.
    pub(crate) fn judge(&mut self, error: Option<f64>) -> Trial {
        match error.filter(|e| *e <= 1.0) {
            Some(error) => {
                self.now = if self.trial == self.end - self.now { self.end } else { self.now + self.trial };
                self.inner = (self.trial * (0.9 * error.max(1e-10).powf(-0.2)).clamp(0.2, 5.0)).min(self.h);
                Trial::Accepted
            }
            None => {
                // The next size is half of this one, or what the error estimate asks for.
                self.inner = self.trial * error.map_or(0.5, |e| (0.9 * e.powf(-0.2)).clamp(0.1, 0.9));
                if self.inner < SMALLEST * self.h { Trial::Hopeless } else { Trial::Rejected }
            }
        }
    }
}

/// One step of `tableau`; returns the scaled error norm (0 without an estimate), `None` if something is not
/// finite.
fn step(
    tableau: &Tableau,
    rhs: &mut Equation<'_>,
    t: f64,
    h: f64,
    state: &mut [f64],
    tolerances: Option<(f64, f64)>,
) -> Option<f64> {
    let n = state.len();
    let mut slopes: Vec<Vec<f64>> = Vec::with_capacity(tableau.times.len());
    let mut at = vec![0.0; n];
    for (c, a) in tableau.times.iter().zip(tableau.stages) {
        for (i, v) in at.iter_mut().enumerate() {
            *v = state[i] + h * a.iter().zip(&slopes).map(|(a, k)| a * k[i]).sum::<f64>();
        }
        let mut slope = vec![0.0; n];
        rhs(t + c * h, &at, &mut slope);
        slopes.push(slope);
    }
    let combine = |weights: &[f64], i: usize| weights.iter().zip(&slopes).map(|(b, k)| b * k[i]).sum::<f64>();
    let mut error = 0.0_f64;
    for (i, v) in state.iter_mut().enumerate() {
        let next = *v + h * combine(tableau.weights, i);
        if let Some((rtol, atol)) = tolerances {
            let scale = atol + rtol * v.abs().max(next.abs());
            let estimate = h * combine(tableau.error, i);
            error += if estimate == 0.0 { 0.0 } else { (estimate / scale).powi(2) };
        }
        *v = next;
    }
    let error = (error / n.max(1) as f64).sqrt();
    (error.is_finite() && state.iter().all(|v| v.is_finite())).then_some(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Halving the step divides the error over [0, 1] of x' = x cos t by 2^order.
    #[test]
    fn rules_have_their_order() {
        let mut rhs = |t: f64, x: &[f64], dx: &mut [f64]| dx[0] = x[0] * t.cos();
        for (integrator, order) in [(Integrator::Euler, 1.0), (Integrator::Rk4, 4.0)] {
            let mut error = |steps: usize| {
                let (h, mut x) = (1.0 / steps as f64, [1.0]);
                for k in 0..steps {
                    assert!(integrator.advance(&mut rhs, k as f64 * h, h, &mut x, &mut 0.0));
                }
                (x[0] - 1.0_f64.sin().exp()).abs()
            };
            let rate = (error(32) / error(64)).log2();
            assert!((rate - order).abs() < 0.15, "{integrator:?} has order {rate}");
        }
    }

    #[test]
    fn dormand_prince_keeps_its_tolerance_and_rejects_steps() {
        // A fast transient: the first step over the whole interval must be rejected.
        let mut calls = 0;
        let mut rhs = |_: f64, x: &[f64], dx: &mut [f64]| {
            calls += 1;
            dx[0] = -50.0 * x[0];
        };
        let mut x = [1.0];
        let integrator = Integrator::DormandPrince { rtol: 1e-8, atol: 1e-12 };
        assert!(integrator.advance(&mut rhs, 0.0, 0.5, &mut x, &mut 0.0));
        assert!((x[0] - (-25.0_f64).exp()).abs() < 1e-10, "{}", x[0]);
        assert!(calls > 7 * 20, "{calls} evaluations");
    }

    #[test]
    fn a_field_that_blows_up_is_noticed() {
        let mut rhs = |_: f64, x: &[f64], dx: &mut [f64]| dx[0] = x[0] * x[0];
        for integrator in [Integrator::Rk4, Integrator::DormandPrince { rtol: 1e-6, atol: 1e-9 }] {
            let mut x = [1.0];
            // x = 1/(1 − t) has a pole at 1.
            let finite =
                (0..400).all(|k| integrator.advance(&mut rhs, k as f64 * 0.5, 0.5, &mut x, &mut 0.0));
            assert!(!finite, "{integrator:?}");
        }
    }
}
