//! The cycle of the cosine test: learned steps within reach of the last true point, and the learned step
//! against the true one there.

use std::ops::DerefMut;

use super::{Ended, Run, largest_change};
use crate::engine::{Engine, Landing, PhaseEnd, PhaseLimits};
use crate::objective::Objective;
use crate::observe::{Event, Observer};
use crate::report::StopReason;
use crate::schedule::Cosine;

/// What the test goes by.
#[derive(Clone, Copy)]
pub(super) struct Progress {
    first_reach: f64,
    /// γ.
    reach: f64,
    fitted: bool,
    /// Whether the trusted iterate is no sample yet. The sample has to wait until the model made without it
    /// has been tested there.
    is_new: bool,
}

impl Progress {
    pub(super) fn new(first_reach: f64) -> Self {
        Self { first_reach, reach: first_reach, fitted: false, is_new: true }
    }
}

impl<O: Objective, E: DerefMut<Target: Engine>, W: Observer> Run<O, E, W> {
    /// A true step, what it says about the model, and learned steps from there.
    pub(super) fn test_by_cosine(&mut self, rule: Cosine, progress: Progress) -> Result<Progress, Ended> {
        let Progress { first_reach, mut reach, mut fitted, mut is_new } = progress;
        let one_step = PhaseLimits { steps: 1, radius: f64::INFINITY, integrator: self.config.integrator };
        self.check_budget()?;
        self.stop_where_nothing_changes()?;
        let mut learned = None;
        if is_new && fitted {
            let mut x = vec![0.0; self.x.len()];
            self.engine.integrate(one_step)?;
            let taken = self.engine.read(&mut x)?;
            self.engine.restore()?;
            // A step that could not be taken agrees with nothing.
            let usable = taken.steps == 1 && taken.end != PhaseEnd::NonFinite;
            learned = Some(if usable {
                x.iter().zip(&self.trusted.x).map(|(x, t)| x - t).collect()
            } else {
                vec![f64::NAN; x.len()]
            });
        }
        if is_new {
            self.engine.record()?;
        }
        let mut landing = self.true_update()?;
        let change = largest_change(&self.x, &self.trusted.x);
        if self.x.iter().any(|x| !x.is_finite()) {
            return Err(Ended::Stop(StopReason::Diverged { iteration: self.iteration }));
        }
        if change <= self.config.stopping.tolerance {
            return Err(Ended::Stop(self.came_to_rest(change)));
        }
        if let Some(learned) = learned {
            let truth: Vec<f64> = self.x.iter().zip(&self.trusted.x).map(|(x, t)| x - t).collect();
            let verdict = rule.judge(reach, &learned, &truth);
            reach = verdict.reach;
            log::debug!("{verdict:?}");
            if verdict.dropped {
                // The history begins again with this very point, which only the trusted state still knows.
                self.engine.forget();
                self.engine.restore()?;
                self.engine.record()?;
                self.iteration = self.trusted.iteration;
                landing = self.true_update()?;
            }
            self.tell(Event::Compared {
                evaluation: self.evaluations,
                cosine: verdict.cosine,
                reach,
                dropped: verdict.dropped,
            })?;
        }

        fitted = self.engine.samples() >= rule.warm_up;
        let revision = self.trusted.revision;
        is_new = true;
        let mut phase = None;
        if fitted {
            let fit = self.engine.fit(&self.control.surrogate(&self.config.surrogate))?;
            self.tell(Event::Fitted { fit })?;
            landing = self.learned_steps(reach, rule.horizon, one_step, landing)?;
            phase = (landing.steps > 0 || landing.end == PhaseEnd::NonFinite).then_some(fit);
        }
        match phase {
            None => {
                let value = self.evaluate()?;
                self.record_true_step(value, change)?;
            }
            Some(fit) => {
                let accepted = self.land(fit, None, rule.horizon, landing)?;
                if !accepted {
                    reach = Cosine::after_undone(reach);
                    is_new = false;
                }
            }
        }
        if self.trusted.revision != revision {
            return Ok(Progress::new(first_reach));
        }
        Ok(Progress { first_reach, reach, fitted, is_new })
    }

    /// One step of the base flow with the trusted gradient.
    fn true_update(&mut self) -> Result<Landing, Ended> {
        self.engine.step()?;
        self.iteration += 1;
        Ok(self.engine.read(&mut self.x)?)
    }

    /// Learned steps until x is further than `reach` from the trusted iterate; `so_far` is the true step's
    /// prediction.
    fn learned_steps(
        &mut self,
        reach: f64,
        horizon: usize,
        one_step: PhaseLimits,
        so_far: Landing,
    ) -> Result<Landing, Ended> {
        let mut sum = so_far;
        while sum.steps < horizon {
            if largest_change(&self.x, &self.trusted.x) > reach {
                sum.end = PhaseEnd::Radius;
                break;
            }
            self.engine.integrate(one_step)?;
            let landing = self.engine.read(&mut self.x)?;
            self.iteration += landing.steps;
            self.surrogate_steps += landing.steps;
            sum.steps += landing.steps;
            sum.predicted_change += landing.predicted_change;
            sum.fit_residual = landing.fit_residual;
            if landing.steps == 0 || landing.end == PhaseEnd::NonFinite {
                sum.end = PhaseEnd::NonFinite;
                break;
            }
        }
        Ok(sum)
    }
}
