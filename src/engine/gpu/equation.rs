//! Surrogate phases along a differential equation whose state is of size d.

use super::buffers::Buffer;
use super::kernels::{EquationSlope, StateAccept, StepError, VectorCombine, bindings};
use super::phase::Beside;
use super::recording::Recorder;
use super::run::{EquationBuffers, Model, Place, Recording, Run, Segment, Sums, TrialBuffers};
use super::shared::{Begin, Ended, PhaseState};
use crate::engine::interface::PhaseLimits;
use crate::error::Result;
use crate::flow::{Adam, Flow, Momentum, Separable};
use crate::surrogate::Integrator;
use crate::surrogate::integrator::{DORMAND_PRINCE, EULER, RK4, StepControl, Tableau, Trial};

/// A step of a rule: where it begins and how long it is.
#[derive(Debug, Clone, Copy)]
struct Step {
    t: f64,
    size: f64,
    /// Whether it begins where the iteration does; if not, its first slope is there already.
    begins: bool,
}

impl Run {
    /// How many vectors of the equation are in each part of the state: x, and the moments.
    fn parts(&self) -> [usize; 2] {
        [1, self.flow.equation_vectors() - 1]
    }

    /// The flow's differential equation at flow time `t`, for the kernel.
    pub(super) fn equation_slope(&self, t: f64) -> EquationSlope {
        match self.flow {
            Flow::Momentum(flow) => EquationSlope {
                rule: Momentum::RULE.1,
                friction: flow.friction as f32,
                ..EquationSlope::default()
            },
            Flow::Adam(flow) => {
                let [correction1, correction2] = flow.corrections_at(t);
                EquationSlope {
                    rule: Adam::RULE.1,
                    gain1: ((1.0 - flow.beta1) / flow.rate) as f32,
                    gain2: ((1.0 - flow.beta2) / flow.rate) as f32,
                    correction1: correction1 as f32,
                    correction2: correction2 as f32,
                    epsilon: flow.epsilon as f32,
                    amsgrad: u32::from(flow.amsgrad),
                    ..EquationSlope::default()
                }
            }
            _ => EquationSlope::default(),
        }
    }
}

impl Run {
    /// Records that a part of one state becomes that of another.
    fn record_copies(
        &self,
        recorder: &mut Recorder,
        segment: &Segment,
        from: [&Buffer; 2],
        to: &[Buffer; 2],
    ) {
        for ((vectors, from), to) in self.parts().into_iter().zip(from).zip(to) {
            if vectors > 0 {
                recorder.copy(from, 0, to, 0, vectors as u64 * segment.bytes());
            }
        }
    }

    /// Records result ← (what `begin` says) + Σ factor·slope for `vectors` vectors; see
    /// `shaders/vector_combine.wgsl`.
    fn record_sum<'a>(
        &self,
        recorder: &mut Recorder,
        segment: &Segment,
        vectors: usize,
        [start, result]: [&Buffer; 2],
        begin: Begin,
        terms: impl Iterator<Item = (f64, &'a Buffer)>,
    ) -> Result<()> {
        if vectors == 0 {
            return Ok(());
        }
        for (number, (factor, slope)) in terms.filter(|(w, _)| *w != 0.0).enumerate() {
            let begin = if number == 0 { begin } else { Begin::Result } as u32;
            let [len, slab] = [segment.len, self.slab].map(|n| (vectors * n) as u32);
            let params = VectorCombine { len, slab, factor: factor as f32, begin };
            recorder.dispatch(
                params,
                &bindings::VectorCombine { phase: &self.shared.phase, base: start, slope, result },
                segment.per_slab(),
            )?;
        }
        Ok(())
    }
}

impl Recording<'_> {
    /// Surrogate steps by a Runge–Kutta rule on the flow's differential equation: recorded only, but for
    /// Dormand–Prince, which reads one error norm back per trial step.
    pub(super) async fn integrate_equation(
        &mut self,
        model: &Model,
        limits: PhaseLimits,
        h: f64,
    ) -> Result<()> {
        let (rule, tolerances) = match limits.integrator {
            Integrator::FlowStep | Integrator::Euler => (&EULER, None),
            Integrator::Rk4 => (&RK4, None),
            Integrator::DormandPrince { rtol, atol } => (&DORMAND_PRINCE, Some((rtol, atol))),
        };
        let n = self.run.flow.equation_vectors();
        for s in self.run.segments.iter_mut().filter(|s| s.equation.as_ref().is_none_or(|e| !e.suits(rule))) {
            s.equation = Some(EquationBuffers::new(self.recorder, n, s.bytes(), rule)?);
        }
        // After the phase has ended, steps copy the state that the last one left; for the first step that is
        // the state itself.
        for s in &self.run.segments {
            let e = s.equation()?;
            self.run.record_copies(self.recorder, s, [&s.iterate, &s.auxiliary], &e.at);
        }
        for k in 0..limits.steps as u64 {
            let t = (self.run.steps + k) as f64 * h;
            match tolerances {
                None => {
                    self.record_stages(model, limits.radius, rule, Step { t, size: h, begins: true })?;
                    self.record_combination(rule, rule.weights, h)?;
                }
                Some(tolerances) => {
                    if !self.try_steps(model, limits.radius, tolerances, t, h).await? {
                        return Ok(());
                    }
                }
            }
            self.record_acceptance()?;
        }
        Ok(())
    }

    /// Records the slopes of all stages of one step. `radius` is the trust radius where an iteration begins.
    fn record_stages(&mut self, model: &Model, radius: f64, rule: &Tableau, step: Step) -> Result<()> {
        for (stage, (c, row)) in
            rule.times.iter().zip(rule.stages).enumerate().skip(usize::from(!step.begins))
        {
            let (place, trust) =
                if stage == 0 { (Place::State, radius) } else { (Place::Stage, f64::INFINITY) };
            self.record_combination(rule, row, step.size)?;
            self.record_prediction(model, trust, place)?;
            let slope = EquationSlope {
                slab: self.run.slab as u32,
                ..self.run.equation_slope(step.t + c * step.size)
            };
            for s in &self.run.segments {
                let e = s.equation()?;
                let moments = if stage == 0 { &s.auxiliary } else { &e.at[1] };
                let [x, m] = &e.slopes[stage];
                let buffers = bindings::EquationSlope {
                    phase: &self.run.shared.phase,
                    gradient: s.at(place)?.1,
                    moments,
                    auxiliary: &s.auxiliary,
                    slope_x: x,
                    slope_moments: m,
                };
                self.recorder.dispatch(
                    EquationSlope { len: s.len as u32, ..slope },
                    &buffers,
                    s.per_slab(),
                )?;
            }
        }
        Ok(())
    }

    /// Records at ← start + size Σ wₜ slopeₜ for every vector of the equation; nothing for a row without
    /// weights.
    fn record_combination(&mut self, rule: &Tableau, weights: &[f64], size: f64) -> Result<()> {
        for s in &self.run.segments {
            let e = s.equation()?;
            let start =
                if rule.error.is_empty() { [&s.iterate, &s.auxiliary] } else { e.trial()?.start.each_ref() };
            for (part, vectors) in self.run.parts().into_iter().enumerate() {
                let terms = weights.iter().zip(&e.slopes).map(|(w, slope)| (size * w, &slope[part]));
                self.run.record_sum(
                    self.recorder,
                    s,
                    vectors,
                    [start[part], &e.at[part]],
                    Begin::Base,
                    terms,
                )?;
            }
        }
        Ok(())
    }

    /// Records that the state becomes what is at the step's end.
    fn record_acceptance(&mut self) -> Result<()> {
        let amsgrad = u32::from(matches!(self.run.flow, Flow::Adam(flow) if flow.amsgrad));
        for s in &self.run.segments {
            let e = s.equation()?;
            let params = StateAccept {
                len: s.len as u32,
                slab: self.run.slab as u32,
                first_slab: s.first_slab as u32,
                amsgrad,
            };
            let buffers = bindings::StateAccept {
                phase: &self.run.shared.phase,
                gradient: &s.gradient,
                end_iterate: &e.at[0],
                end_moments: &e.at[1],
                iterate: &s.iterate,
                auxiliary: &s.auxiliary,
                partials: &self.run.shared.partials,
            };
            self.recorder.dispatch(params, &buffers, s.per_slab())?;
        }
        self.record_account(Beside::default())?;
        let moments = self.run.parts()[1] as u64;
        for s in self.run.segments.iter().filter(|_| moments > 0) {
            let e = s.equation()?;
            self.recorder.copy(&e.at[1], 0, &s.auxiliary, 0, moments * s.bytes());
        }
        Ok(())
    }

    /// Takes Dormand–Prince from `t` to `t + h` by steps of its own size, leaving the end where a fixed rule
    /// would; false when the phase has ended.
    async fn try_steps(
        &mut self,
        model: &Model,
        radius: f64,
        tolerances: (f64, f64),
        t: f64,
        h: f64,
    ) -> Result<bool> {
        let rule = &DORMAND_PRINCE;
        for s in &self.run.segments {
            let e = s.equation()?;
            self.run.record_copies(self.recorder, s, [&s.iterate, &s.auxiliary], &e.trial()?.start);
        }
        let mut control = StepControl::new(t, h, self.run.inner_step);
        let mut begins = true;
        while let Some(size) = control.trial_size() {
            self.record_stages(model, radius, rule, Step { t: control.now(), size, begins })?;
            let (error, phase) = self.read_error(rule, size, tolerances).await?;
            let ended = Ended::of(&phase)?;
            if ended == Ended::Radius {
                return Ok(false);
            }
            // A later stage that is not finite has taken back the count of its step.
            let before = phase.steps - u32::from(ended == Ended::No);
            let mut set_phase = |ended: Ended, steps: u32| {
                let ended = ended as u32;
                self.recorder.upload(&self.run.shared.phase, &[PhaseState { ended, steps, ..phase }])
            };
            match control.judge(error.filter(|_| ended == Ended::No)) {
                Trial::Accepted => {
                    for s in &self.run.segments {
                        let e = s.equation()?;
                        self.run.record_copies(self.recorder, s, e.at.each_ref(), &e.trial()?.start);
                    }
                    // The last stage is at the step's end: its slope is the next step's first.
                    for e in self.run.segments.iter_mut().filter_map(|s| s.equation.as_mut()) {
                        e.slopes.swap(0, rule.times.len() - 1);
                    }
                    begins = false;
                }
                // Where the first stage itself may have failed, it is tried and counted again.
                Trial::Rejected if ended == Ended::NonFinite => {
                    set_phase(Ended::No, before + u32::from(!begins))?
                }
                Trial::Rejected => begins = false,
                Trial::Hopeless => {
                    set_phase(Ended::NonFinite, before)?;
                    return Ok(false);
                }
            }
        }
        self.run.inner_step = control.inner();
        Ok(true)
    }

    /// The scaled error norm of a trial step, `None` if it is not finite, and the phase so far: one
    /// read-back.
    async fn read_error(
        &mut self,
        rule: &Tableau,
        size: f64,
        (rtol, atol): (f64, f64),
    ) -> Result<(Option<f64>, PhaseState)> {
        let n = self.run.flow.equation_vectors();
        let mut v = 0;
        for (part, vectors) in self.run.parts().into_iter().enumerate() {
            for s in &self.run.segments {
                let e = s.equation()?;
                let TrialBuffers { start, error } = e.trial()?;
                let terms = rule.error.iter().zip(&e.slopes).map(|(w, slope)| (size * w, &slope[part]));
                self.run.record_sum(self.recorder, s, vectors, [&start[part], error], Begin::Zero, terms)?;
            }
            for row in 0..vectors as u32 {
                for s in &self.run.segments {
                    let e = s.equation()?;
                    let TrialBuffers { start, error } = e.trial()?;
                    let (len, slab, first_slab) = (s.len as u32, self.run.slab as u32, s.first_slab as u32);
                    let params =
                        StepError { len, slab, first_slab, rtol: rtol as f32, atol: atol as f32, row };
                    self.recorder.dispatch(
                        params,
                        &bindings::StepError {
                            phase: &self.run.shared.phase,
                            start: &start[part],
                            next: &e.at[part],
                            estimate: error,
                            partials: &self.run.shared.partials,
                        },
                        s.per_slab(),
                    )?;
                }
                self.record_reduction(1, Sums::Totals, v)?;
                v += 1;
            }
        }
        let head = size_of::<PhaseState>();
        let bytes = (head + 8 * n) as u64;
        self.recorder.ensure_staging(&mut self.run.shared.staging, bytes)?;
        self.recorder.copy(&self.run.shared.phase, 0, &self.run.shared.staging, 0, head as u64);
        self.recorder.copy(&self.run.shared.totals, 0, &self.run.shared.staging, head as u64, 8 * n as u64);
        let data = self.recorder.read_async(&self.run.shared.staging, bytes).await?;
        let sums: Vec<[f32; 2]> = bytemuck::pod_collect_to_vec(&data[head..]);
        let square: f64 = sums.iter().map(|[hi, lo]| f64::from(*hi) + f64::from(*lo)).sum();
        let error = (square / (n * self.run.dimension) as f64).sqrt();
        Ok((error.is_finite().then_some(error), bytemuck::pod_read_unaligned(&data[..head])))
    }
}
