//! The state of a run: how it is set, remembered, brought back and read.

use ndarray::Array2;

use super::run::Recording;
use super::shared::{Ended, PhaseState};
use crate::engine::interface::{GradientSummary, Landing, PhaseEnd};
use crate::error::{Error, Result};
use crate::surrogate::Lift;

impl Recording<'_> {
    /// Makes `gradient` the one that the next step uses.
    pub(super) fn set_gradient(&mut self, gradient: &[f64]) -> Result<GradientSummary> {
        if gradient.len() != self.run.dimension {
            return Err(Error::length("the gradient", gradient.len(), self.run.dimension));
        }
        let narrow = self.run.mirror.set_gradient(gradient);
        for s in &self.run.segments {
            self.recorder.upload(&s.gradient, &narrow[s.start..s.start + s.len])?;
        }
        self.run.ring.gradient_was_set();
        Ok(GradientSummary::of(gradient))
    }

    /// Records the state as the newest sample, if the history has room for any: the row it is in.
    pub(super) fn record(&mut self) -> Option<usize> {
        let row = self.run.ring.push()?;
        for s in &self.run.segments {
            let offset = row as u64 * s.bytes();
            self.recorder.copy(&s.iterate, 0, &s.iterates, offset, s.bytes());
            self.recorder.copy(&s.gradient, 0, &s.gradients, offset, s.bytes());
        }
        Some(row)
    }

    /// Remembers the state as the trusted one.
    pub(super) fn trust(&mut self, is_best: bool) {
        self.run.mirror.trust(is_best);
        self.run.trusted_steps = self.run.steps;
        for s in &self.run.segments {
            for (now, saved) in s.state() {
                self.recorder.copy(now, 0, saved, 0, now.bytes);
            }
        }
    }

    /// Goes back to the trusted state.
    pub(super) fn restore(&mut self) {
        self.run.steps = self.run.trusted_steps;
        self.run.ring.moved();
        for s in &self.run.segments {
            for (now, saved) in s.state() {
                self.recorder.copy(saved, 0, now, 0, now.bytes);
            }
        }
    }

    /// Copies the iterate to `x` and says what happened since the last read: one read-back.
    pub(super) async fn read(&mut self, x: &mut [f64]) -> Result<Landing> {
        if x.len() != self.run.dimension {
            return Err(Error::length("the iterate", x.len(), self.run.dimension));
        }
        let unreported = self.run.model.as_mut().filter(|m| !m.reported);
        let head = size_of::<PhaseState>();
        let predicted =
            unreported.as_ref().and_then(|m| m.plan.as_ref()).map_or(0, |plan| plan.targets.len());
        let total = (head + 4 * predicted + 4 * self.run.dimension) as u64;
        self.recorder.ensure_staging(&mut self.run.shared.staging, total)?;
        let staging = &self.run.shared.staging;
        self.recorder.copy(&self.run.shared.phase, 0, staging, 0, head as u64);
        if predicted > 0 {
            self.recorder.copy(
                &self.run.shared.regression.predictions,
                0,
                staging,
                head as u64,
                4 * predicted as u64,
            );
        }
        for s in &self.run.segments {
            self.recorder.copy(
                &s.iterate,
                0,
                staging,
                (head + 4 * predicted + 4 * s.start) as u64,
                s.bytes(),
            );
        }
        self.recorder.clear(&self.run.shared.phase);
        let data = self.recorder.read_async(staging, total).await?;
        let phase: PhaseState = bytemuck::pod_read_unaligned(&data[..head]);
        let (predictions, iterate) = data[head..].split_at(4 * predicted);
        if let Some(model) = unreported
            && let Some(plan) = &model.plan
        {
            model.reported = true;
            let values: Vec<f32> = bytemuck::pod_collect_to_vec(predictions);
            let (samples, outputs) = plan.targets.dim();
            // Columns of a snapshot lift are numbered by row on the device and by age in the plan.
            let rows = if model.config.lift == Lift::Snapshots {
                self.run.ring.rows()
            } else {
                (0..outputs).collect()
            };
            let predictions =
                Array2::from_shape_fn((samples, outputs), |(i, j)| f64::from(values[i * outputs + rows[j]]));
            self.run.fit_residual = Some(plan.residual(predictions.view(), &model.config, model.yy.view()));
        }
        let (change, is_finite) = self.run.mirror.read(iterate, x);
        self.run.steps += u64::from(phase.steps);
        let predicted_change = f64::from(phase.predicted[0]) + f64::from(phase.predicted[1]);
        let end = match Ended::of(&phase)? {
            _ if !predicted_change.is_finite() => PhaseEnd::NonFinite,
            Ended::No => PhaseEnd::Horizon,
            Ended::Radius => PhaseEnd::Radius,
            Ended::NonFinite => PhaseEnd::NonFinite,
            Ended::Minimum => PhaseEnd::Minimum,
        };
        Ok(Landing {
            steps: phase.steps as usize,
            end,
            predicted_change,
            fit_residual: self.run.fit_residual,
            change,
            is_finite,
        })
    }
}
