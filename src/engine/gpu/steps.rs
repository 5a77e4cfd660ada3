//! Steps of the base flows.

use super::kernels::{AdamStep, GradientDescentStep, MomentumStep, OcGrowth, OcUpdate, OcVolume, PhaseAccount, ProjectedGradientStep, ProjectionVolume};
use super::recording::Recorder;
use super::run::{Run, groups, not_started};
use super::search::{OC_SCALES, PROJECTION_MULTIPLIERS, Side};
use crate::error::Result;
use crate::flow::{Flow, GradientDescent, Newton, OptimalityCriteria, ProjectedGradient};
use crate::objective::Domain;

impl Run {
    /// Records one step of the flow, number `k`, with whatever is in the gradient buffers.
    pub(super) fn record_step(&self, recorder: &mut Recorder, k: u64) -> Result<()> {
        let (shared, slab) = (&self.shared, self.slab as u32);
        match self.flow {
            Flow::GradientDescent(GradientDescent { rate }) | Flow::Newton(Newton { rate }) => {
                for s in &self.segments {
                    let params = GradientDescentStep { len: s.len as u32, slab, first_slab: s.first_slab as u32, rate: rate as f32 };
                    recorder.dispatch(params, &[&shared.phase, &s.gradient, &s.iterate, &shared.partials], groups(s))?;
                }
            }
            Flow::Adam(flow) => {
                let (correction1, correction2) = flow.corrections(k);
                for s in &self.segments {
                    let params = AdamStep {
                        len: s.len as u32,
                        slab,
                        first_slab: s.first_slab as u32,
                        rate: flow.rate as f32,
                        beta1: flow.beta1 as f32,
                        beta2: flow.beta2 as f32,
                        one_minus_beta1: (1.0 - flow.beta1) as f32,
                        one_minus_beta2: (1.0 - flow.beta2) as f32,
                        epsilon: flow.epsilon as f32,
                        correction1: correction1 as f32,
                        correction2: correction2 as f32,
                        amsgrad: u32::from(flow.amsgrad),
                    };
                    let buffers = [&shared.phase, &s.gradient, s.vector(0), s.vector(1), s.vector(2), s.vector(3), &shared.partials];
                    recorder.dispatch(params, &buffers, groups(s))?;
                }
            }
            Flow::Momentum(flow) => {
                for s in &self.segments {
                    let params = MomentumStep {
                        len: s.len as u32,
                        slab,
                        first_slab: s.first_slab as u32,
                        rate: flow.rate as f32,
                        decay: flow.decay() as f32,
                        nesterov: u32::from(flow.nesterov),
                    };
                    recorder.dispatch(params, &[&shared.phase, &s.gradient, s.vector(0), s.vector(1), &shared.partials], groups(s))?;
                }
            }
            Flow::OptimalityCriteria(flow) => self.record_oc(recorder, flow)?,
            Flow::ProjectedGradient(flow) => self.record_projected_gradient(recorder, flow)?,
        }
        recorder.dispatch(PhaseAccount { slabs: self.slabs as u32 }, &[&shared.phase, &shared.partials], [1, 1, 1])
    }

    pub(super) fn record_projected_gradient(&self, recorder: &mut Recorder, flow: ProjectedGradient) -> Result<()> {
        let (shared, slab, rate) = (&self.shared, self.slab as u32, flow.rate as f32);
        let (lower, upper, volume) = self.limits();
        if let Some(volume) = volume {
            self.record_search(recorder, volume, Side::Falling, PROJECTION_MULTIPLIERS, |recorder, s, candidates, begins, groups| {
                let params = ProjectionVolume { len: s.len as u32, slab, first_slab: s.first_slab as u32, candidates, begins, rate, lower, upper };
                recorder.dispatch(params, &[&shared.phase, &shared.search, &s.iterate, &s.gradient, &s.volume_weights, &shared.partials], groups)
            })?;
        }
        for s in &self.segments {
            let has_volume = u32::from(volume.is_some());
            let params = ProjectedGradientStep { len: s.len as u32, slab, first_slab: s.first_slab as u32, rate, lower, upper, has_volume };
            recorder.dispatch(params, &[&shared.phase, &s.gradient, &s.volume_weights, &s.iterate, &shared.partials], groups(s))?;
        }
        Ok(())
    }

    pub(super) fn record_oc(&self, recorder: &mut Recorder, flow: OptimalityCriteria) -> Result<()> {
        let Domain::BoxVolume { lower, upper, volume, .. } = &self.domain else { return Err(not_started()) };
        let (shared, slab) = (&self.shared, self.slab as u32);
        let (lower, upper, reach) = (*lower as f32, *upper as f32, (flow.move_limit * (upper - lower)) as f32);
        for s in &self.segments {
            let params = OcGrowth { len: s.len as u32, slab, gradient_floor: OptimalityCriteria::GRADIENT_FLOOR as f32 };
            recorder.dispatch(params, &[&shared.phase, &s.gradient, &s.iterate, &s.volume_weights, &s.growth], groups(s))?;
        }
        self.record_search(recorder, *volume, Side::Growing, OC_SCALES, |recorder, s, candidates, begins, groups| {
            let params = OcVolume { len: s.len as u32, slab, first_slab: s.first_slab as u32, candidates, begins, reach, lower, upper };
            recorder.dispatch(params, &[&shared.phase, &shared.search, &s.iterate, &s.growth, &s.volume_weights, &shared.partials], groups)
        })?;
        for s in &self.segments {
            let params = OcUpdate { len: s.len as u32, slab, first_slab: s.first_slab as u32, reach, lower, upper };
            recorder.dispatch(params, &[&shared.phase, &s.gradient, &s.growth, &s.iterate, &shared.partials], groups(s))?;
        }
        Ok(())
    }
}
