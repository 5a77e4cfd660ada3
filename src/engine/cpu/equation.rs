//! Surrogate steps along a differential equation whose state is of size d.

use std::ops::Range;

use super::lanes::{sum_of, vectorised};
use super::phase::{Field, FieldChunk, InnerStates, Phase};
use super::sweep::{CHUNK, sweep};
use crate::flow::Flow;
use crate::scalar::Scalar;
use crate::surrogate::integrator::{DORMAND_PRINCE, EULER, RK4, StepControl, Tableau, Trial};
use crate::surrogate::{Integrator, TargetTransform};

/// One step of a Runge–Kutta rule.
struct Step<'a, T> {
    field: &'a Field<'a, T>,
    flow: Flow,
    rule: &'a Tableau,
    t: f64,
    size: f64,
    tolerances: Option<(f64, f64)>,
    /// The state where the iteration began, and the lift's weights there.
    origin: &'a [T],
    first: &'a [f64],
    /// AMSGrad's maximum of the second moment, fixed within the step.
    held: Option<&'a [T]>,
}

/// The result of a step.
struct Outcome {
    /// The scaled error norm, 0 without an error estimate; `None` if an entry is not finite.
    error: Option<f64>,
    /// Σ g·Δx from the beginning of the iteration, with the gradient there.
    change: f64,
    /// The sums of the field at the end of the step.
    sums: Vec<f64>,
    /// The lift's weights at the last stage.
    last: Vec<f64>,
}

impl<T: Scalar> Phase<'_, T> {
    /// One iteration along the flow's differential equation from where the lift's weights are `weights`;
    /// false, and nothing has moved, if it left the finite numbers.
    pub(super) fn equation_step(&mut self, rule: Integrator, weights: Vec<f64>) -> bool {
        let (n, h) = (self.flow.equation_vectors(), self.flow.rate().unwrap_or(0.0));
        let (tableau, tolerances) = match rule {
            Integrator::FlowStep | Integrator::Euler => (&EULER, None),
            Integrator::Rk4 => (&RK4, None),
            Integrator::DormandPrince { rtol, atol } => (&DORMAND_PRINCE, Some((rtol, atol))),
        };
        let d = self.state.x.len();
        let InnerStates { start, end } = &mut *self.equation;
        end.resize_with(n, || vec![T::zero(); d]);
        let own = &self.state.auxiliary[..n - 1];
        let origin: Vec<&[T]> = std::iter::once(&self.state.x).chain(own).map(|v| &v[..]).collect();
        let mut step = Step {
            field: &self.field,
            flow: self.flow,
            rule: tableau,
            t: self.state.steps as f64 * h,
            size: h,
            tolerances,
            origin: &self.state.x,
            first: &weights,
            held: self.state.auxiliary.get(n - 1).map(|a| &a[..]),
        };
        let outcome = if tolerances.is_none() {
            step.take(&origin, weights.clone(), end)
        } else {
            let mut control = StepControl::new(step.t, h, *self.inner_step);
            let (mut moved, mut begin, mut latest) = (false, weights.clone(), None);
            while let Some(size) = control.trial_size() {
                (step.t, step.size) = (control.now(), size);
                let at: Vec<&[T]> =
                    if moved { start.iter().map(|v| &v[..]).collect() } else { origin.clone() };
                let trial = step.take(&at, begin.clone(), end);
                match control.judge(trial.error) {
                    Trial::Accepted => {
                        std::mem::swap(start, end);
                        end.resize_with(n, || vec![T::zero(); d]);
                        // The last stage is at the step's end: its weights are the next step's first.
                        begin.clone_from(&trial.last);
                        (moved, latest) = (true, Some(trial));
                    }
                    Trial::Rejected => {}
                    Trial::Hopeless => return false,
                }
            }
            *self.inner_step = control.inner();
            std::mem::swap(start, end);
            match latest {
                Some(trial) => trial,
                None => return false,
            }
        };
        if outcome.error.is_none() {
            return false;
        }
        self.landing.predicted_change += outcome.change;
        *self.observed = Some(outcome.sums);
        let vectors = std::iter::once(&mut self.state.x).chain(&mut self.state.auxiliary);
        vectors.zip(end).for_each(|(vector, end)| std::mem::swap(vector, end));
        if let [.., v, maximum] = &mut self.state.auxiliary[..]
            && n == 3
            && self.flow.auxiliary_vectors() == 3
        {
            sweep(d, vec![maximum], 0, 0, |here, maximum, _, _| {
                maximum[0].iter_mut().zip(&v[here]).for_each(|(a, v)| *a = a.max(*v))
            });
        }
        true
    }
}

impl<T: Scalar> Step<'_, T> {
    /// The step from `start`, where the lift's weights are `weights`, to `end`.
    fn take(&self, start: &[&[T]], weights: Vec<f64>, end: &mut [Vec<T>]) -> Outcome {
        // One loop per equation: each is vectorised as a whole.
        match (self.flow, start, end) {
            (Flow::Momentum(flow), [x, m], [x_end, m_end]) => {
                let velocity = flow.velocity();
                self.by(
                    [x, m],
                    weights,
                    [x_end, m_end],
                    #[inline(always)]
                    move |_, [_, m], g, _| velocity(m, g),
                )
            }
            (Flow::Adam(flow), [x, m, v], [x_end, m_end, v_end]) => {
                let amsgrad = self.held.is_some();
                let time = |stage| self.t + self.rule.times.get(stage).unwrap_or(&0.0) * self.size;
                let velocities: [_; STAGES] = std::array::from_fn(|stage| {
                    flow.velocity(flow.corrections_at(time(stage)).map(f64::recip))
                });
                self.by(
                    [x, m, v],
                    weights,
                    [x_end, m_end, v_end],
                    #[inline(always)]
                    move |stage, [_, m, v], g, held| {
                        velocities[stage](m, v, if amsgrad { held } else { v }, g)
                    },
                )
            }
            (_, [x, ..], [x_end, ..]) => self.by(
                [x],
                weights,
                [x_end],
                #[inline(always)]
                move |_, _, g, _| [-g],
            ),
            _ => Outcome { error: None, change: 0.0, sums: Vec::new(), last: Vec::new() },
        }
    }

    /// `vector_combine`, `equation_slope`, `step_error`, `state_accept`, with the equation's `velocity`.
    ///
    /// One pass per stage. No slope is stored: a pass lifts the gradients of the stages before again, from
    /// the same chunk of the table, and makes their slopes anew in registers, which costs less than writing
    /// and reading them.
    fn by<const N: usize>(
        &self,
        start: [&[T]; N],
        weights: Vec<f64>,
        end: [&mut [T]; N],
        velocity: impl Velocity<N, T>,
    ) -> Outcome {
        let (field, rule, d) = (self.field, self.rule, self.origin.len());
        let own = (rule.times.len() + N) * CHUNK;
        let scratch = own + field.scratch();
        let mut known = vec![weights];
        while known.len() < rule.times.len() {
            let mut x = vec![T::zero(); if field.reads_x() { d } else { 0 }];
            let vectors = if field.reads_x() { vec![&mut x[..]] } else { Vec::new() };
            let sums = sweep(d, vectors, field.sums(), scratch, |here, vectors, sums, scratch| {
                let (own, scratch) = scratch.split_at_mut(own);
                let (out, gradients) = own.split_at_mut(CHUNK);
                let (out, at) = (&mut out[..here.len()], field.at(&here, scratch));
                self.combine(
                    &here,
                    &at,
                    start,
                    &known,
                    gradients,
                    velocity,
                    rule.stages[known.len()],
                    &mut [&mut *out],
                    &mut [],
                );
                at.observe(out, sums);
                if let [x] = vectors {
                    x.copy_from_slice(out);
                }
            });
            known.push(field.weights(&sums, &x));
        }
        let observed = field.sums();
        let mut sums = sweep(d, end.into(), observed + 3, scratch, |here, end, sums, scratch| {
            let (own, scratch) = scratch.split_at_mut(own);
            let at = field.at(&here, scratch);
            let (errors, gradients) = own.split_at_mut(N * CHUNK);
            let (sums, own) = sums.split_at_mut(observed);
            let mut errors: Vec<&mut [T]> =
                errors.chunks_exact_mut(CHUNK).map(|v| &mut v[..here.len()]).collect();
            let estimates = if self.tolerances.is_some() { N } else { 0 };
            self.combine(
                &here,
                &at,
                start,
                &known,
                gradients,
                velocity,
                rule.weights,
                end,
                &mut errors[..estimates],
            );
            for (v, end) in end.iter().enumerate() {
                if let Some((rtol, atol)) = self.tolerances {
                    own[0] +=
                        sum_of([&start[v][here.clone()], &**end, &*errors[v]], |[from, end, estimate]| {
                            let scale = atol + rtol * from.abs().max(end.abs());
                            if estimate == 0.0 { 0.0 } else { (estimate / scale) * (estimate / scale) }
                        });
                }
                // The sum is 0 exactly if all entries are finite: zero times infinity or NaN is NaN.
                own[1] += sum_of([&**end], |[v]| 0.0 * v);
            }
            let (g, origin) = (&mut *errors[0], &self.origin[here.clone()]);
            at.lift(&[self.first], &mut [&mut *g]);
            field.decode(origin, g);
            own[2] += sum_of([&*g, &*end[0], origin], |[g, new, old]| g * (new - old));
            at.observe(end[0], sums);
        });
        let own = sums.split_off(observed);
        let error = (own[0] / (N * d).max(1) as f64).sqrt();
        let is_finite = error.is_finite() && own[1] == 0.0;
        Outcome {
            error: is_finite.then_some(error),
            change: own[2],
            sums,
            last: known.pop().unwrap_or_default(),
        }
    }

    /// On one chunk: outᵥ = startᵥ + size Σ weights·slopes and errorsᵥ = size Σ error weights·slopes, for as
    /// many vectors as there are results, from the slopes of all stages whose weights are known.
    #[expect(clippy::too_many_arguments, reason = "slices of one chunk")]
    fn combine<const N: usize>(
        &self,
        here: &Range<usize>,
        field: &FieldChunk<'_, T>,
        start: [&[T]; N],
        known: &[Vec<f64>],
        gradients: &mut [T],
        velocity: impl Velocity<N, T>,
        weights: &[f64],
        out: &mut [&mut [T]],
        errors: &mut [&mut [T]],
    ) {
        let len = here.len();
        let columns: Vec<&[f64]> = known.iter().map(|w| &w[..]).collect();
        let mut lifted: Vec<&mut [T]> =
            gradients.chunks_exact_mut(CHUNK).take(known.len()).map(|g| &mut g[..len]).collect();
        field.lift(&columns, &mut lifted);
        let chunk = Chunk {
            start: start.map(|v| &v[here.clone()]),
            held: self.held.map_or(&start[N - 1][here.clone()], |a| &a[here.clone()]),
            size: self.size,
            rule: self.rule,
            weights,
            transform: self.field.model.transform,
        };
        match lifted.len() {
            1 => chunk.combine::<1>(&lifted, velocity, out, errors),
            2 => chunk.combine::<2>(&lifted, velocity, out, errors),
            3 => chunk.combine::<3>(&lifted, velocity, out, errors),
            4 => chunk.combine::<4>(&lifted, velocity, out, errors),
            5 => chunk.combine::<5>(&lifted, velocity, out, errors),
            6 => chunk.combine::<6>(&lifted, velocity, out, errors),
            _ => chunk.combine::<7>(&lifted, velocity, out, errors),
        }
    }
}

/// What the stages of one chunk read.
struct Chunk<'a, const N: usize, T> {
    start: [&'a [T]; N],
    held: &'a [T],
    size: f64,
    rule: &'a Tableau,
    weights: &'a [f64],
    transform: TargetTransform,
}

impl<const N: usize, T: Scalar> Chunk<'_, N, T> {
    /// The first S stages of a rule: their number has to be known when this is compiled for the slopes to
    /// stay in registers.
    fn combine<const S: usize>(
        &self,
        lifted: &[&mut [T]],
        velocity: impl Velocity<N, T>,
        out: &mut [&mut [T]],
        errors: &mut [&mut [T]],
    ) {
        let factors = |weights: &[f64]| -> [T; S] {
            std::array::from_fn(|s| T::of(self.size * weights.get(s).copied().unwrap_or(0.0)))
        };
        let stages = Stages {
            before: std::array::from_fn(|s| factors(self.rule.stages[s])),
            weights: factors(self.weights),
            error: factors(self.rule.error),
            estimates: !errors.is_empty(),
        };
        let lifted: [&[T]; S] = std::array::from_fn(|s| &*lifted[s]);
        let (start, held, transform) = (self.start, self.held, self.transform);
        vectorised(
            #[inline(always)]
            move || {
                let nothing = [[T::zero(); BLOCK]; N];
                let (mut from, mut gradients, mut end, mut estimate) =
                    (nothing, [[T::zero(); BLOCK]; S], nothing, nothing);
                let mut maximum = [T::zero(); BLOCK];
                for begin in (0..held.len()).step_by(BLOCK) {
                    from.iter_mut().zip(start).for_each(|(block, v)| load(block, &v[begin..]));
                    gradients.iter_mut().zip(lifted).for_each(|(block, g)| load(block, &g[begin..]));
                    load(&mut maximum, &held[begin..]);
                    let (from, gradients, end, estimate) = (&from, &gradients, &mut end, &mut estimate);
                    if transform == TargetTransform::Identity {
                        stages.take(from, gradients, &maximum, velocity, |g, _| g, end, estimate);
                    } else {
                        stages.take(
                            from,
                            gradients,
                            &maximum,
                            velocity,
                            |g, x| T::of(transform.decode(g.into(), x.into())),
                            end,
                            estimate,
                        );
                    }
                    out.iter_mut().zip(&*end).for_each(|(out, end)| store(end, &mut out[begin..]));
                    errors
                        .iter_mut()
                        .zip(&*estimate)
                        .for_each(|(out, estimate)| store(estimate, &mut out[begin..]));
                }
            },
        );
    }
}

/// The weights of a stage, times the step's size.
#[derive(Clone, Copy)]
struct Stages<const S: usize, T> {
    before: [[T; S]; S],
    weights: [T; S],
    error: [T; S],
    /// Whether the rule estimates its error.
    estimates: bool,
}

impl<const S: usize, T: Scalar> Stages<S, T> {
    /// One block. Its vectors lie on the stack, where nothing can overlap, and an unknown's slopes in
    /// registers: that is what the loop needs to vectorise.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "vectors of one block")]
    #[expect(clippy::needless_range_loop, reason = "many vectors, one index")]
    #[expect(clippy::reversed_empty_ranges, reason = "the first stage has none before it")]
    fn take<const N: usize>(
        &self,
        from: &[Block<T>; N],
        gradients: &[Block<T>; S],
        maximum: &Block<T>,
        velocity: impl Velocity<N, T>,
        decode: impl Fn(T, T) -> T,
        end: &mut [Block<T>; N],
        estimate: &mut [Block<T>; N],
    ) {
        for i in 0..BLOCK {
            let mut start = [T::zero(); N];
            for v in 0..N {
                start[v] = from[v][i];
            }
            let mut slopes = [[T::zero(); N]; S];
            // The loop over the stages is written out: otherwise the slopes do not stay in registers.
            macro_rules! each_stage {
                ($($stage:literal)*) => { $(
                    if $stage < S {
                        let mut at = start;
                        for t in 0..$stage {
                            for v in 0..N {
                                at[v] = at[v] + self.before[$stage][t] * slopes[t][v];
                            }
                        }
                        let gradient = decode(gradients[$stage][i], at[0]);
                        slopes[$stage] = velocity($stage, at, gradient, maximum[i]);
                    }
                )* };
            }
            each_stage!(0 1 2 3 4 5 6);
            for v in 0..N {
                let mut sum = start[v];
                for t in 0..S {
                    sum = sum + self.weights[t] * slopes[t][v];
                }
                end[v][i] = sum;
            }
            if self.estimates {
                for v in 0..N {
                    let mut sum = T::zero();
                    for t in 0..S {
                        sum = sum + self.error[t] * slopes[t][v];
                    }
                    estimate[v][i] = sum;
                }
            }
        }
    }
}

/// The number of unknowns of a block, and the largest number of stages of a rule.
const BLOCK: usize = 64;
const STAGES: usize = 7;

type Block<T> = [T; BLOCK];

/// The equation of one unknown, from (stage, vectors, gradient, held maximum).
trait Velocity<const N: usize, T>: Fn(usize, [T; N], T, T) -> [T; N] + Copy + Sync {}

impl<const N: usize, T, F: Fn(usize, [T; N], T, T) -> [T; N] + Copy + Sync> Velocity<N, T> for F {}

/// The leading values; the rest of a last, shorter block belongs to no unknown.
#[inline(always)]
fn load<T: Scalar>(block: &mut Block<T>, values: &[T]) {
    match values.first_chunk() {
        Some(whole) => *block = *whole,
        None => block.iter_mut().zip(values).for_each(|(b, v)| *b = *v),
    }
}

#[inline(always)]
fn store<T: Scalar>(block: &Block<T>, values: &mut [T]) {
    match values.first_chunk_mut() {
        Some(whole) => *whole = *block,
        None => values.iter_mut().zip(block).for_each(|(v, b)| *v = *b),
    }
}
