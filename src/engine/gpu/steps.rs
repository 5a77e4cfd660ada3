//! Steps of the base flows.

use super::counts;
use super::kernels::{
    FlowStep, OcGrowth, OcUpdate, OcVolume, PhaseAccount, ProjectedGradientStep, ProjectionVolume,
    StateProject, bindings,
};
use super::phase::Beside;
use super::run::{Model, Recording};
use super::search::Side;
use super::shared::{DIRECTIONS, LiftRule, OC_SCALES, PROJECTION_MULTIPLIERS};
use crate::error::{EngineError, Error, Result};
use crate::flow::{Flow, OptimalityCriteria, ProjectedGradient};

/// The number of directions that the pass which moves x projects on.
const STEP_DIRECTIONS: usize = DIRECTIONS as usize;

impl Recording<'_> {
    /// Records a true step.
    pub(super) fn step(&mut self) -> Result<()> {
        self.run.steps += 1;
        self.run.ring.stepped();
        self.record_step(self.run.steps, Beside::default())
    }

    /// Records step `k` of the flow, with whatever is in the gradient buffers unless it is lifted on the way.
    pub(super) fn record_step(&mut self, k: u64, beside: Beside<'_>) -> Result<()> {
        let flow = match (self.run.flow, self.run.flow.step_parameters(k)) {
            (_, Some(parameters)) => parameters,
            (Flow::OptimalityCriteria(flow), None) => return self.record_oc(flow, beside),
            (Flow::ProjectedGradient(flow), None) => return self.record_projected_gradient(flow, beside),
            (flow, None) => {
                return Err(Error::internal(format!("the {} flow without a kernel", flow.name())));
            }
        };
        let (shared, lift) =
            (&self.run.shared, beside.lift.map_or(LiftRule::default(), |model| self.run.lift_rule(model)));
        let lifts_basis = beside.lift.map_or(0, Model::lifts_basis);
        for s in &self.run.segments {
            let params = FlowStep {
                flow,
                lift,
                len: s.len as u32,
                slab: self.run.slab as u32,
                first_slab: s.first_slab as u32,
                rank: beside.rank(),
                centered: beside.centered(),
                values: beside.values(),
                lifts_basis,
            };
            let table = beside.lift.map_or(&s.gradient, |model| self.run.lift_table(s, &model.config));
            let buffers = bindings::FlowStep {
                phase: &shared.phase,
                weights: &shared.weights,
                basis: &s.basis,
                table,
                iterate: &s.iterate,
                auxiliary: &s.auxiliary,
                partials: &shared.partials,
            };
            self.recorder.dispatch(params, &buffers, s.per_slab())?;
        }
        self.record_account(beside)
    }

    /// Projects x on the directions that are left after the pass that has moved x, and adds up the partial
    /// sums of both passes.
    pub(super) fn record_account(&mut self, beside: Beside<'_>) -> Result<()> {
        let (shared, rank, values) = (&self.run.shared, beside.rank() as usize, beside.values());
        for s in self.run.segments.iter().filter(|_| rank > STEP_DIRECTIONS) {
            let params = StateProject {
                first: STEP_DIRECTIONS as u32,
                values,
                centered: beside.centered(),
                ..self.run.state_project(s, rank)
            };
            self.recorder.dispatch(
                params,
                &bindings::StateProject {
                    phase: &shared.phase,
                    basis: &s.basis,
                    iterate: &s.iterate,
                    partials: &shared.partials,
                },
                s.per_directions(rank - STEP_DIRECTIONS),
            )?;
        }
        self.recorder.dispatch(
            PhaseAccount { slabs: self.run.slabs as u32, values },
            &bindings::PhaseAccount {
                phase: &shared.phase,
                partials: &shared.partials,
                totals: &shared.totals,
            },
            counts::each(values as usize),
        )
    }

    fn record_projected_gradient(&mut self, flow: ProjectedGradient, beside: Beside<'_>) -> Result<()> {
        let (slab, rate) = (self.run.slab as u32, flow.rate as f32);
        let (lower, upper, volume) = self.run.limits();
        let bounds_row = self.run.bounds_row();
        if let Some(volume) = volume {
            self.record_search(volume, Side::Falling, PROJECTION_MULTIPLIERS, |run, recorder, s, pass| {
                let params = ProjectionVolume {
                    len: s.len as u32,
                    slab,
                    first_slab: s.first_slab as u32,
                    candidates: pass.candidates,
                    begins: pass.begins,
                    rate,
                    lower,
                    upper,
                    bounds_row,
                };
                recorder.dispatch(
                    params,
                    &bindings::ProjectionVolume {
                        phase: &run.shared.phase,
                        search: &run.shared.search,
                        iterate: &s.iterate,
                        gradient: &s.gradient,
                        domain: &s.domain,
                        partials: &run.shared.partials,
                    },
                    pass.groups,
                )
            })?;
        }
        for s in &self.run.segments {
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
                bounds_row,
                has_volume,
            };
            self.recorder.dispatch(
                params,
                &bindings::ProjectedGradientStep {
                    phase: &self.run.shared.phase,
                    gradient: &s.gradient,
                    domain: &s.domain,
                    basis: &s.basis,
                    iterate: &s.iterate,
                    partials: &self.run.shared.partials,
                },
                s.per_slab(),
            )?;
        }
        self.record_account(beside)
    }

    fn record_oc(&mut self, flow: OptimalityCriteria, beside: Beside<'_>) -> Result<()> {
        let ([lower, upper], Some(volume)) = (self.run.bounds, self.run.volume) else {
            return Err(EngineError::NoVolume { flow: self.run.flow.name() }.into());
        };
        let (slab, bounds_row) = (self.run.slab as u32, self.run.bounds_row());
        let (lower, upper, reach) = (lower as f32, upper as f32, (flow.move_limit * (upper - lower)) as f32);
        for s in &self.run.segments {
            let params = OcGrowth {
                lift: beside.lift.map_or(LiftRule::default(), |model| self.run.lift_rule(model)),
                len: s.len as u32,
                slab,
                gradient_floor: OptimalityCriteria::GRADIENT_FLOOR as f32,
                lifts_basis: beside.lift.map_or(0, Model::lifts_basis),
            };
            // Without a lift the kernel does not read the table.
            let table = beside.lift.map_or(&s.basis, |model| self.run.lift_table(s, &model.config));
            let buffers = bindings::OcGrowth {
                phase: &self.run.shared.phase,
                weights: &self.run.shared.weights,
                table,
                iterate: &s.iterate,
                volume_weights: &s.domain,
                gradient: &s.gradient,
                growth: &s.growth,
            };
            self.recorder.dispatch(params, &buffers, s.per_slab())?;
        }
        self.record_search(volume, Side::Growing, OC_SCALES, |run, recorder, s, pass| {
            let params = OcVolume {
                len: s.len as u32,
                slab,
                first_slab: s.first_slab as u32,
                candidates: pass.candidates,
                begins: pass.begins,
                reach,
                lower,
                upper,
                bounds_row,
            };
            recorder.dispatch(
                params,
                &bindings::OcVolume {
                    phase: &run.shared.phase,
                    search: &run.shared.search,
                    iterate: &s.iterate,
                    growth: &s.growth,
                    domain: &s.domain,
                    partials: &run.shared.partials,
                },
                pass.groups,
            )
        })?;
        for s in &self.run.segments {
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
                bounds_row,
            };
            self.recorder.dispatch(
                params,
                &bindings::OcUpdate {
                    phase: &self.run.shared.phase,
                    gradient: &s.gradient,
                    growth: &s.growth,
                    basis: &s.basis,
                    domain: self.run.bounds_buffer(s),
                    iterate: &s.iterate,
                    partials: &self.run.shared.partials,
                },
                s.per_slab(),
            )?;
        }
        self.record_account(beside)
    }
}
