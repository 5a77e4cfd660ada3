//! The cycle of a learned potential: fit, minimise in the trust region, land.

use std::ops::DerefMut;

use super::{Ended, Run, largest, largest_change};
use crate::domain::Domain;
use crate::engine::{Engine, PhaseEnd, TrustLimits};
use crate::objective::Objective;
use crate::observe::Observer;
use crate::report::StopReason;
use crate::schedule::Potential;
use crate::surrogate::higher_order::PairNote;
use crate::surrogate::potential::{Outside, PotentialConfig};

/// Trust radii: of a run or revision that begins, and now.
#[derive(Clone, Copy)]
pub(super) struct Radii {
    first: f64,
    now: f64,
}

impl<O: Objective, E: DerefMut<Target: Engine>, W: Observer> Run<O, E, W> {
    /// What radii are fractions of.
    fn unit_of_length(&self) -> f64 {
        self.domain.unit_of_length(&self.x)
    }

    pub(super) fn first_radii(&self, rule: Potential) -> Radii {
        let first = rule.radius * self.unit_of_length();
        Radii { first, now: first }
    }

    /// One fit, the minimum of its potential in the trust region, and the landing there.
    pub(super) fn minimize_potential(&mut self, rule: Potential, radii: Radii) -> Result<Radii, Ended> {
        let Radii { first: mut first_radius, now: mut radius } = radii;
        let learned = PotentialConfig {
            order: rule.order,
            outside: if self.domain == Domain::Unbounded { Outside::Steep } else { Outside::Mean },
        };
        self.check_budget()?;
        let steepest = largest(&self.trusted.gradient);
        if steepest == 0.0 {
            return Err(Ended::Stop(StopReason::Converged {
                change: 0.0,
                tolerance: self.config.stopping.tolerance,
            }));
        }
        // Without any pair: a projected gradient step that moves no unknown further than the radius.
        let fit = self.engine.fit_potential(steepest / radius, learned)?;
        self.tell(crate::observe::Event::Fitted { fit })?;
        self.engine.minimize(TrustLimits { steps: rule.steps, radius })?;
        let landing = self.engine.read(&mut self.x)?;
        self.iteration += landing.steps;
        self.surrogate_steps += landing.steps;
        let step = largest_change(&self.x, &self.trusted.x);
        let usable = landing.end != PhaseEnd::NonFinite && step.is_finite() && landing.predicted_change < 0.0;
        let tolerance = self.config.stopping.tolerance;
        if !usable || step <= tolerance {
            let settled = usable && step < 0.9 * radius;
            if settled || fit.samples == 0 {
                return Err(Ended::Stop(self.came_to_rest(if step.is_finite() {
                    step
                } else {
                    f64::INFINITY
                })));
            }
            // What was learned leads nowhere: begun afresh.
            self.engine.forget();
            self.engine.restore()?;
            self.x.copy_from_slice(&self.trusted.x);
            self.iteration = self.trusted.iteration;
            return Ok(Radii { first: first_radius, now: first_radius });
        }

        let spent = self.evaluations;
        let value = self.evaluate_landing()?;
        let changed = self.has_changed();
        let true_change = value.filter(|_| !changed).map(|value| value - self.trusted.value);
        let agreement = true_change.map(|change| change / landing.predicted_change);
        let accepted = if changed { value.is_some() } else { agreement.is_some_and(|rho| rule.accepts(rho)) };
        let phase = super::PhaseEntry {
            evaluation: spent,
            ..self.phase_entry(fit, rule.steps, landing, true_change, accepted)
        };
        self.phases.push(phase);
        let entry = value.map(|value| self.enter(value, accepted));
        if let Some(value) = value {
            let predicted = self.trusted.slope_along(&self.x);
            self.sample()?;
            if !changed {
                self.engine.record_pair(PairNote {
                    remainder: value - self.trusted.value - predicted,
                    kept: accepted,
                })?;
            }
        }
        radius = rule.next_radius(radius, step, agreement);
        match value {
            Some(value) if accepted => self.settle(value)?,
            _ => {
                self.rejected += 1;
                self.engine.restore()?;
                self.iteration = self.trusted.iteration;
            }
        }
        log::debug!("{phase:?}, next radius {radius}");
        self.leave_landing(phase, entry, changed)?;
        if changed {
            first_radius = rule.radius * self.unit_of_length();
            radius = first_radius;
        }
        self.stop_where_nothing_changes()?;
        Ok(Radii { first: first_radius, now: radius })
    }
}
