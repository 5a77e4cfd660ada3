//! Steps of the base flows.

use super::kernels::{
    FlowRule, FlowStep, LiftRule, OC_SCALES, OcGrowth, OcUpdate, OcVolume, PROJECTION_MULTIPLIERS,
    PhaseAccount, ProjectedGradientStep, ProjectionVolume, StateProject,
};
use super::phase::Beside;
use super::recording::Recorder;
use super::run::{Model, Run, groups, projection_groups};
use super::search::Side;
use crate::error::{EngineError, Result};
use crate::flow::{Flow, GradientDescent, Newton, OptimalityCriteria, ProjectedGradient};

/// Directions that the pass which moves x projects on.
const STEP_DIRECTIONS: usize = 8;

impl Run {
    /// Records step `k` of the flow, with whatever is in the gradient buffers unless it is lifted on the way.
    pub(super) fn record_step(&self, recorder: &mut Recorder, k: u64, beside: Beside<'_>) -> Result<()> {
        let flow = match self.flow {
            Flow::GradientDescent(GradientDescent { rate }) | Flow::Newton(Newton { rate }) => {
                FlowRule { rate: rate as f32, ..FlowRule::default() }
            }
            Flow::Momentum(flow) => FlowRule {
                rule: 1,
                rate: flow.rate as f32,
                decay: flow.decay() as f32,
                nesterov: u32::from(flow.nesterov),
                ..FlowRule::default()
            },
            Flow::Adam(flow) => {
                let (correction1, correction2) = flow.corrections(k);
                FlowRule {
                    rule: 2,
                    rate: flow.rate as f32,
                    beta1: flow.beta1 as f32,
                    beta2: flow.beta2 as f32,
                    one_minus_beta1: (1.0 - flow.beta1) as f32,
                    one_minus_beta2: (1.0 - flow.beta2) as f32,
                    epsilon: flow.epsilon as f32,
                    correction1: correction1 as f32,
                    correction2: correction2 as f32,
                    amsgrad: u32::from(flow.amsgrad),
                    ..FlowRule::default()
                }
            }
            Flow::OptimalityCriteria(flow) => return self.record_oc(recorder, flow, beside),
            Flow::ProjectedGradient(flow) => return self.record_projected_gradient(recorder, flow, beside),
        };
        let (shared, lift) =
            (&self.shared, beside.lift.map_or(LiftRule::default(), |model| self.lift_rule(model)));
        let lifts_basis = beside.lift.map_or(0, Model::lifts_basis);
        for s in &self.segments {
            let params = FlowStep {
                flow,
                lift,
                len: s.len as u32,
                slab: self.slab as u32,
                first_slab: s.first_slab as u32,
                rank: beside.rank(),
                centered: beside.centered(),
                values: beside.values(),
                lifts_basis,
            };
            let table = beside.lift.map_or(&s.gradient, |model| self.lift_table(s, &model.config));
            let buffers =
                [&shared.phase, &shared.weights, &s.basis, table, &s.iterate, &s.auxiliary, &shared.partials];
            recorder.dispatch(params, &buffers, groups(s))?;
        }
        self.record_account(recorder, beside)
    }

    /// Projects x on the directions that the pass which has moved it left over, and adds up what both have
    /// left in the partial sums.
    pub(super) fn record_account(&self, recorder: &mut Recorder, beside: Beside<'_>) -> Result<()> {
        let (shared, rank, values) = (&self.shared, beside.rank() as usize, beside.values());
        for s in self.segments.iter().filter(|_| rank > STEP_DIRECTIONS) {
            let params = StateProject {
                first: STEP_DIRECTIONS as u32,
                values,
                centered: beside.centered(),
                ..self.state_project(s, rank)
            };
            recorder.dispatch(
                params,
                &[&shared.phase, &s.basis, &s.iterate, &shared.partials],
                projection_groups(s, rank - STEP_DIRECTIONS),
            )?;
        }
        recorder.dispatch(
            PhaseAccount { slabs: self.slabs as u32, values },
            &[&shared.phase, &shared.partials, &shared.totals],
            [values, 1, 1],
        )
    }

    fn record_projected_gradient(
        &self,
        recorder: &mut Recorder,
        flow: ProjectedGradient,
        beside: Beside<'_>,
    ) -> Result<()> {
        let (shared, slab, rate) = (&self.shared, self.slab as u32, flow.rate as f32);
        let (lower, upper, volume) = self.limits();
        if let Some(volume) = volume {
            self.record_search(
                recorder,
                volume,
                Side::Falling,
                PROJECTION_MULTIPLIERS,
                |recorder, s, candidates, begins, groups| {
                    let params = ProjectionVolume {
                        len: s.len as u32,
                        slab,
                        first_slab: s.first_slab as u32,
                        candidates,
                        begins,
                        rate,
                        lower,
                        upper,
                    };
                    recorder.dispatch(
                        params,
                        &[
                            &shared.phase,
                            &shared.search,
                            &s.iterate,
                            &s.gradient,
                            &s.volume_weights,
                            &shared.partials,
                        ],
                        groups,
                    )
                },
            )?;
        }
        for s in &self.segments {
            let has_volume = u32::from(volume.is_some());
            let params = ProjectedGradientStep {
                len: s.len as u32,
                slab,
                first_slab: s.first_slab as u32,
                rank: beside.rank(),
                centered: beside.centered(),
                values: beside.values(),
                rate,
                lower,
                upper,
                has_volume,
            };
            recorder.dispatch(
                params,
                &[&shared.phase, &s.gradient, &s.volume_weights, &s.basis, &s.iterate, &shared.partials],
                groups(s),
            )?;
        }
        self.record_account(recorder, beside)
    }

    fn record_oc(&self, recorder: &mut Recorder, flow: OptimalityCriteria, beside: Beside<'_>) -> Result<()> {
        let ([lower, upper], Some(volume)) = (self.bounds, self.volume) else {
            return Err(EngineError::NoVolume { flow: self.flow.name() }.into());
        };
        let (shared, slab) = (&self.shared, self.slab as u32);
        let (lower, upper, reach) = (lower as f32, upper as f32, (flow.move_limit * (upper - lower)) as f32);
        for s in &self.segments {
            let params = OcGrowth {
                lift: beside.lift.map_or(LiftRule::default(), |model| self.lift_rule(model)),
                len: s.len as u32,
                slab,
                gradient_floor: OptimalityCriteria::GRADIENT_FLOOR as f32,
                lifts_basis: beside.lift.map_or(0, Model::lifts_basis),
            };
            // Without a lift the table is not touched.
            let table = beside.lift.map_or(&s.basis, |model| self.lift_table(s, &model.config));
            let buffers = [
                &shared.phase,
                &shared.weights,
                table,
                &s.iterate,
                &s.volume_weights,
                &s.gradient,
                &s.growth,
            ];
            recorder.dispatch(params, &buffers, groups(s))?;
        }
        self.record_search(
            recorder,
            volume,
            Side::Growing,
            OC_SCALES,
            |recorder, s, candidates, begins, groups| {
                let params = OcVolume {
                    len: s.len as u32,
                    slab,
                    first_slab: s.first_slab as u32,
                    candidates,
                    begins,
                    reach,
                    lower,
                    upper,
                };
                recorder.dispatch(
                    params,
                    &[
                        &shared.phase,
                        &shared.search,
                        &s.iterate,
                        &s.growth,
                        &s.volume_weights,
                        &shared.partials,
                    ],
                    groups,
                )
            },
        )?;
        for s in &self.segments {
            let params = OcUpdate {
                len: s.len as u32,
                slab,
                first_slab: s.first_slab as u32,
                rank: beside.rank(),
                centered: beside.centered(),
                values: beside.values(),
                reach,
                lower,
                upper,
            };
            recorder.dispatch(
                params,
                &[&shared.phase, &s.gradient, &s.growth, &s.basis, &s.iterate, &shared.partials],
                groups(s),
            )?;
        }
        self.record_account(recorder, beside)
    }
}
