//! Surrogate phases: projection, prediction, steps of the flow, integration in the reduced space.

use super::buffers::Buffer;
use super::counts;
use super::kernels::{
    GradientLift, Params, ReducedIntegrate, ReducedLift, StateGather, StateProject, WeightsEvaluate,
    bindings, finite_or_none,
};
use super::run::{Model, Place, Recording, Run, Segment, Sums};
use super::shared::{LiftRule, MESA_TURNS, UNROLLED};
use crate::engine::fit::FitPlan;
use crate::engine::interface::PhaseLimits;
use crate::error::{EngineError, Error, Result};
use crate::flow::Flow;
use crate::surrogate::{Integrator, Lift, SpaceConfig, SurrogateConfig, TargetTransform, integrator};

/// What a step does beside moving x with the gradient that is there.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Beside<'a> {
    /// Lifts the gradient from this model's weights.
    pub(super) lift: Option<&'a Model>,
    /// Projects the new x.
    pub(super) projection: Option<Projection>,
}

impl Beside<'_> {
    pub(super) fn rank(&self) -> u32 {
        self.projection.map_or(0, |p| p.rank)
    }

    pub(super) fn centered(&self) -> u32 {
        self.projection.map_or(0, |p| p.centered)
    }

    /// Partial sums per slab: a projection's, the squared distance from the mean, and Σ g·Δx.
    pub(super) fn values(&self) -> u32 {
        self.projection.map_or(1, |p| p.rank + 2)
    }
}

/// On so many directions, about the mean or 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Projection {
    rank: u32,
    centered: u32,
}

impl Model {
    /// Whether the table its outputs are lifted by is the basis: 1 or 0, as kernels take it.
    pub(super) fn lifts_basis(&self) -> u32 {
        u32::from(self.config.lift == Lift::Trajectory)
    }

    /// What its predictions are made from, if that is a projection.
    pub(super) fn projection(&self) -> Option<Projection> {
        let plan = self.plan.as_ref().filter(|plan| plan.space.is_some())?;
        Some(Projection {
            rank: plan.coordinates.ncols() as u32,
            centered: u32::from(self.config.space.is_centered()),
        })
    }
}

impl Run {
    /// Whether the model's outputs are the gradient itself.
    pub(super) fn is_direct(&self, model: &Model) -> bool {
        model.config.space == SpaceConfig::Full && model.config.lift == Lift::Trajectory
    }

    /// The table the model's outputs are lifted by.
    pub(super) fn lift_table<'a>(&self, segment: &'a Segment, config: &SurrogateConfig) -> &'a Buffer {
        match (config.lift, config.transform) {
            (Lift::Trajectory, _) => &segment.basis,
            (Lift::Snapshots, TargetTransform::Identity) => &segment.gradients,
            (Lift::Snapshots, TargetTransform::LogDamped { .. }) => &segment.encoded,
        }
    }

    /// A projection of the segment's x, or of the first row of a table, on `rank` directions about 0.
    pub(super) fn state_project(&self, segment: &Segment, rank: usize) -> StateProject {
        StateProject {
            len: segment.len as u32,
            slab: self.slab as u32,
            first_slab: segment.first_slab as u32,
            rank: rank as u32,
            values: rank as u32 + 1,
            of_basis: 1,
            ..StateProject::default()
        }
    }

    pub(super) fn lift_rule(&self, model: &Model) -> LiftRule {
        let (log_damped, damping) = match model.config.transform {
            TargetTransform::Identity => (0, 0.0),
            TargetTransform::LogDamped { damping } => (1, damping as f32),
        };
        let rows = if self.is_direct(model) { 0 } else { model.outputs() as u32 };
        LiftRule { rows, log_damped, damping, iterate_floor: TargetTransform::ITERATE_FLOOR as f32 }
    }
}

impl Recording<'_> {
    /// Takes the steps of a surrogate phase with the latest fit.
    pub(super) async fn integrate(&mut self, limits: PhaseLimits) -> Result<()> {
        let Some(model) = self.run.model.take() else {
            return Err(Error::internal("integrate() comes after fit()"));
        };
        self.run.ring.moved();
        match (self.run.flow.rate(), &model.plan, limits.integrator) {
            (Some(h), Some(plan), _)
                if self.run.flow.is_driven_by_velocity() && model.config.lift == Lift::Trajectory =>
            {
                self.record_reduced(&model, plan, limits, h)?
            }
            (_, _, Integrator::FlowStep) => self.integrate_flow(&model, limits)?,
            (Some(h), ..) if self.run.flow.equation_vectors() > 0 => {
                self.integrate_equation(&model, limits, h).await?
            }
            (_, _, integrator) => {
                return Err(Error::internal(format!(
                    "the {} flow has no differential equation that {integrator:?} could integrate",
                    self.run.flow.name()
                )));
            }
        }
        self.run.model = Some(model);
        Ok(())
    }

    /// Records U (x − c) (or x itself) and |x − mean|² into the totals.
    fn record_projection(&mut self, model: &Model, plan: &FitPlan, place: Place) -> Result<()> {
        let (shared, slab) = (&self.run.shared, self.run.slab as u32);
        let rank = plan.coordinates.ncols();
        let directions = if plan.space.is_some() { rank } else { 0 };
        for s in &self.run.segments {
            let params = StateProject {
                centered: u32::from(model.config.space.is_centered()),
                ..self.run.state_project(s, directions)
            };
            let buffers = bindings::StateProject {
                phase: &shared.phase,
                basis: &s.basis,
                iterate: s.at(place)?.0,
                partials: &shared.partials,
            };
            self.recorder.dispatch(params, &buffers, s.per_directions(directions))?;
            if directions == 0 {
                let params = StateGather { len: s.len as u32, slab, first: s.start as u32 };
                self.recorder.dispatch(
                    params,
                    &bindings::StateGather {
                        phase: &shared.phase,
                        iterate: s.at(place)?.0,
                        projection: &shared.totals,
                    },
                    s.per_slab(),
                )?;
            }
        }
        self.record_reduction(directions + 1, Sums::Totals, rank - directions)
    }

    /// Records surrogate iterations of a flow whose state is the reduced coordinate alone: one dispatch,
    /// whatever d and the number of steps.
    pub(super) fn record_reduced(
        &mut self,
        model: &Model,
        plan: &FitPlan,
        limits: PhaseLimits,
        h: f64,
    ) -> Result<()> {
        let (rule, rtol, atol) = match limits.integrator {
            Integrator::FlowStep | Integrator::Euler => (&integrator::EULER, -1.0, 0.0),
            Integrator::Rk4 => (&integrator::RK4, -1.0, 0.0),
            Integrator::DormandPrince { rtol, atol } => (&integrator::DORMAND_PRINCE, rtol, atol),
        };
        let stages = rule.times.len();
        let rank = plan.coordinates.ncols();
        let scale = plan.space.as_ref().map_or(1.0, |s| s.scale);
        let mut constants = vec![0.0_f32; stages * (stages + 2)];
        for (s, row) in rule.stages.iter().enumerate() {
            row.iter().enumerate().for_each(|(t, a)| constants[s * stages + t] = *a as f32);
        }
        for (t, b) in rule.weights.iter().enumerate() {
            constants[stages * stages + t] = *b as f32;
        }
        for (t, e) in rule.error.iter().enumerate() {
            constants[stages * (stages + 1) + t] = *e as f32;
        }
        let k = plan.coordinates.nrows() as f64;
        // About the mean itself if the space is centred.
        constants.extend(
            plan.coordinates
                .columns()
                .into_iter()
                .map(|c| if model.config.space.is_centered() { 0.0 } else { (c.sum() / k * scale) as f32 }),
        );
        self.recorder.ensure(&mut self.run.shared.rule, "rule", 4 * constants.len() as u64)?;
        self.recorder.ensure(
            &mut self.run.shared.reduced,
            "reduced",
            4 * ((4 + stages) * rank + plan.library.len()) as u64,
        )?;
        self.recorder.upload(&self.run.shared.rule, &constants)?;
        let turns = {
            let threads = ReducedIntegrate::THREADS as usize;
            let (per_thread, features) = (rank.div_ceil(threads), plan.library.len());
            let derivative = features.div_ceil(threads) * (1 + plan.library.order())
                + per_thread * (1 + features.div_ceil(UNROLLED as usize));
            // A few reductions and passes over y per step; step control may take many inner steps.
            let inner = if rtol < 0.0 { 1 } else { 64 };
            inner * ((stages + 1) * (derivative + per_thread * (1 + stages)) + 4 * (8 + per_thread)) + 40
        };
        let chunk = if self.recorder.gpu.is_software() { (MESA_TURNS / turns).max(1) } else { limits.steps };
        if self.recorder.gpu.is_software() && turns > MESA_TURNS && rtol < 0.0 {
            return Err(EngineError::Beyond {
                what: format!("a surrogate with {} features of {rank} variables", plan.library.len()),
                adapter: self.recorder.gpu.info.name.clone(),
            }
            .into());
        }
        for begin in (0..limits.steps).step_by(chunk.max(1)) {
            self.record_projection(model, plan, Place::State)?;
            let shared = &self.run.shared;
            let params = ReducedIntegrate {
                rank: rank as u32,
                features: plan.library.len() as u32,
                order: plan.library.order() as u32,
                steps: chunk.min(limits.steps - begin) as u32,
                h: h as f32,
                inverse_scale: (1.0 / scale) as f32,
                radius: model.radius as f32,
                trust: finite_or_none(limits.radius),
                stages: stages as u32,
                rtol: rtol as f32,
                atol: atol as f32,
                smallest: integrator::SMALLEST as f32,
            };
            let buffers = bindings::ReducedIntegrate {
                phase: &shared.phase,
                projection: &shared.totals,
                terms: &shared.terms,
                coefficients: &shared.coefficients,
                constants: &shared.rule,
                work: &shared.reduced,
            };
            self.recorder.dispatch(params, &buffers, counts::ONE)?;
            for s in &self.run.segments {
                let rows = if plan.space.is_some() { rank } else { 0 };
                let params = ReducedLift {
                    len: s.len as u32,
                    slab: self.run.slab as u32,
                    rows: rows as u32,
                    first: s.start as u32,
                    rank: rank as u32,
                };
                self.recorder.dispatch(
                    params,
                    &bindings::ReducedLift { work: &shared.reduced, basis: &s.basis, iterate: &s.iterate },
                    s.per_slab(),
                )?;
            }
        }
        Ok(())
    }

    /// Records steps of the flow as it is, with predicted gradients.
    ///
    /// Each pass that moves x also projects it for the next prediction; a phase begins with a projection of
    /// its own.
    pub(super) fn integrate_flow(&mut self, model: &Model, limits: PhaseLimits) -> Result<()> {
        // The projected gradient's multiplier reads g many times over.
        let needs_gradient = self.run.is_direct(model) || matches!(self.run.flow, Flow::ProjectedGradient(_));
        let mut is_projected = false;
        for k in 1..=limits.steps {
            self.record_weights(model, limits.radius, Place::State, is_projected)?;
            if needs_gradient {
                self.record_lift(model, Place::State)?;
            }
            let beside = Beside {
                lift: Some(model).filter(|_| !needs_gradient),
                projection: model.projection().filter(|_| k < limits.steps),
            };
            self.record_step(self.run.steps + k as u64, beside)?;
            is_projected = beside.projection.is_some();
        }
        Ok(())
    }

    /// Records the prediction of the gradient at the current x (or at a Runge–Kutta stage's); only the former
    /// begins a surrogate step.
    pub(super) fn record_prediction(&mut self, model: &Model, trust: f64, place: Place) -> Result<()> {
        self.record_weights(model, trust, place, false)?;
        self.record_lift(model, place)
    }

    /// Records the weights of the lift; `is_projected`: the projection of x is in the totals already.
    fn record_weights(&mut self, model: &Model, trust: f64, place: Place, is_projected: bool) -> Result<()> {
        let form = match &model.plan {
            Some(plan) => {
                if !is_projected {
                    self.record_projection(model, plan, place)?;
                }
                WeightsEvaluate {
                    rank: plan.coordinates.ncols() as u32,
                    features: plan.library.len() as u32,
                    order: plan.library.order() as u32,
                    outputs: model.outputs() as u32,
                    inverse_scale: (1.0 / plan.space.as_ref().map_or(1.0, |s| s.scale)) as f32,
                    ..WeightsEvaluate::default()
                }
            }
            None => self.record_implicit_kernel(model, place)?,
        };
        let params = WeightsEvaluate {
            radius: model.radius as f32,
            trust: finite_or_none(trust),
            counts: u32::from(place == Place::State),
            ..form
        };
        let shared = &self.run.shared;
        let buffers = bindings::WeightsEvaluate {
            phase: &shared.phase,
            projection: &shared.totals,
            terms: &shared.terms,
            coefficients: &shared.coefficients,
            monomials: &shared.monomials,
            weights: &shared.weights,
        };
        self.recorder.dispatch(params, &buffers, counts::ONE)
    }

    /// Records the gradient that the weights stand for.
    fn record_lift(&mut self, model: &Model, place: Place) -> Result<()> {
        let lift = self.run.lift_rule(model);
        for s in &self.run.segments {
            let lifts_basis = model.lifts_basis();
            let params = GradientLift {
                lift,
                len: s.len as u32,
                slab: self.run.slab as u32,
                first: s.start as u32,
                lifts_basis,
            };
            let (iterate, gradient) = s.at(place)?;
            let buffers = bindings::GradientLift {
                phase: &self.run.shared.phase,
                table: self.run.lift_table(s, &model.config),
                weights: &self.run.shared.weights,
                iterate,
                gradient,
            };
            self.recorder.dispatch(params, &buffers, s.per_slab())?;
        }
        Ok(())
    }
}
