//! Surrogate steps along a differential equation whose state is of size d.

use std::ops::Range;

use super::kernels::{CHUNK, sweep};
use super::lanes::{sum_of, vectorised};
use super::phase::{Field, InnerStates, Phase};
use crate::flow::Flow;
use crate::surrogate::integrator::{DORMAND_PRINCE, EULER, RK4, StepControl, Tableau, Trial};
use crate::surrogate::{Integrator, TargetTransform};

/// One step of a rule.
struct Step<'a> {
    field: &'a Field<'a>,
    flow: Flow,
    rule: &'a Tableau,
    t: f64,
    size: f64,
    tolerances: Option<(f64, f64)>,
    /// Where the iteration began, and the weights there.
    origin: &'a [f64],
    first: &'a [f64],
    /// AMSGrad's maximum, held.
    held: Option<&'a [f64]>,
}

/// What a step has come to.
struct Outcome {
    /// The scaled error norm, 0 without an estimate; `None` if something is not finite.
    error: Option<f64>,
    /// Σ g·Δx from where the iteration began, with the gradient there.
    change: f64,
    /// The field's sums at the end.
    sums: Vec<f64>,
    /// The weights of the last stage.
    last: Vec<f64>,
}

impl Phase<'_> {
    /// One iteration along the flow's differential equation from where the lift's weights are `weights`; false, and nothing has moved, if it left the
    /// finite numbers.
    pub(super) fn equation_step(&mut self, rule: Integrator, weights: Vec<f64>) -> bool {
        let (n, h) = (self.flow.equation_vectors(), self.flow.rate().unwrap_or(0.0));
        let (tableau, tolerances) = match rule {
            Integrator::FlowStep | Integrator::Euler => (&EULER, None),
            Integrator::Rk4 => (&RK4, None),
            Integrator::DormandPrince { rtol, atol } => (&DORMAND_PRINCE, Some((rtol, atol))),
        };
        let d = self.state.x.len();
        let InnerStates { start, end } = &mut *self.equation;
        end.resize_with(n, || vec![0.0; d]);
        let own = &self.state.auxiliary[..n - 1];
        let origin: Vec<&[f64]> = std::iter::once(&self.state.x).chain(own).map(|v| &v[..]).collect();
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
                let at: Vec<&[f64]> = if moved { start.iter().map(|v| &v[..]).collect() } else { origin.clone() };
                let trial = step.take(&at, begin.clone(), end);
                match control.judge(trial.error) {
                    Trial::Accepted => {
                        std::mem::swap(start, end);
                        end.resize_with(n, || vec![0.0; d]);
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
            sweep(d, vec![maximum], 0, 0, |here, maximum, _, _| maximum[0].iter_mut().zip(&v[here]).for_each(|(a, v)| *a = a.max(*v)));
        }
        true
    }
}

impl Step<'_> {
    /// The step from `start`, where the lift's weights are `weights`, to `end`.
    fn take(&self, start: &[&[f64]], weights: Vec<f64>, end: &mut [Vec<f64>]) -> Outcome {
        let inverse: Vec<[f64; 2]> = match self.flow {
            Flow::Adam(flow) => self.rule.times.iter().map(|c| flow.corrections_at(self.t + c * self.size).map(f64::recip)).collect(),
            _ => Vec::new(),
        };
        // One loop per equation: each is vectorised as a whole.
        match (self.flow, start, end) {
            (Flow::Momentum(flow), [x, m], [x_end, m_end]) => self.by(
                [x, m],
                weights,
                [x_end, m_end],
                #[inline(always)]
                |_, [_, m], g, _| {
                    let mut slopes = [[0.0; LANES]; 2];
                    (0..LANES).for_each(|i| [slopes[0][i], slopes[1][i]] = flow.velocity(m[i], g[i]));
                    slopes
                },
            ),
            (Flow::Adam(flow), [x, m, v], [x_end, m_end, v_end]) => {
                let amsgrad = self.held.is_some();
                self.by(
                    [x, m, v],
                    weights,
                    [x_end, m_end, v_end],
                    #[inline(always)]
                    |stage, [_, m, v], g, held| {
                        let (inverse, second) = (inverse[stage], if amsgrad { held } else { v });
                        let mut slopes = [[0.0; LANES]; 3];
                        for i in 0..LANES {
                            [slopes[0][i], slopes[1][i], slopes[2][i]] = flow.velocity(inverse, m[i], v[i], second[i], g[i]);
                        }
                        slopes
                    },
                )
            }
            (_, [x, ..], [x_end, ..]) => self.by(
                [x],
                weights,
                [x_end],
                #[inline(always)]
                |_, _, g, _| [g.map(|g| -g)],
            ),
            _ => Outcome { error: None, change: 0.0, sums: Vec::new(), last: Vec::new() },
        }
    }

    /// `vector_combine`, `equation_slope`, `step_error`, `state_accept`, with the equation's `velocity`.
    ///
    /// One pass per stage. No slope is stored: a pass lifts the gradients of the stages before again, from the same chunk of the table, and makes their
    /// slopes anew in registers, which costs less than writing and reading them.
    fn by<const N: usize>(&self, start: [&[f64]; N], weights: Vec<f64>, end: [&mut [f64]; N], velocity: impl Velocity<N>) -> Outcome {
        let (field, rule, d) = (self.field, self.rule, self.origin.len());
        let scratch = (rule.times.len() + N) * CHUNK;
        let mut known = vec![weights];
        while known.len() < rule.times.len() {
            let mut x = vec![0.0; if field.reads_x() { d } else { 0 }];
            let vectors = if field.reads_x() { vec![&mut x[..]] } else { Vec::new() };
            let sums = sweep(d, vectors, field.sums(), scratch, |here, vectors, sums, scratch| {
                let (out, gradients) = scratch.split_at_mut(CHUNK);
                let out = &mut out[..here.len()];
                self.combine(&here, start, &known, gradients, &velocity, rule.stages[known.len()], &mut [&mut *out], &mut []);
                field.observe(&here, out, sums);
                if let [x] = vectors {
                    x.copy_from_slice(out);
                }
            });
            known.push(field.weights(&sums, &x));
        }
        let observed = field.sums();
        let mut sums = sweep(d, end.into(), observed + 3, scratch, |here, end, sums, scratch| {
            let (sums, own) = sums.split_at_mut(observed);
            let (room, gradients) = scratch.split_at_mut(N * CHUNK);
            let mut errors: Vec<&mut [f64]> = room.chunks_exact_mut(CHUNK).map(|v| &mut v[..here.len()]).collect();
            let wanted = if self.tolerances.is_some() { N } else { 0 };
            self.combine(&here, start, &known, gradients, &velocity, rule.weights, end, &mut errors[..wanted]);
            for (v, end) in end.iter().enumerate() {
                if let Some((rtol, atol)) = self.tolerances {
                    own[0] += sum_of([&start[v][here.clone()], end, errors[v]], |[from, end, estimate]| {
                        let scale = atol + rtol * from.abs().max(end.abs());
                        if estimate == 0.0 { 0.0 } else { (estimate / scale) * (estimate / scale) }
                    });
                }
                // Zero times anything finite.
                own[1] += sum_of([end], |[v]| 0.0 * v);
            }
            let (g, origin) = (&mut *errors[0], &self.origin[here.clone()]);
            field.lift(&here, &[self.first], &mut [&mut *g]);
            field.decode(origin, g);
            own[2] += sum_of([g, end[0], origin], |[g, new, old]| g * (new - old));
            field.observe(&here, end[0], sums);
        });
        let own = sums.split_off(observed);
        let error = (own[0] / (N * d).max(1) as f64).sqrt();
        let is_finite = error.is_finite() && own[1] == 0.0;
        Outcome { error: is_finite.then_some(error), change: own[2], sums, last: known.pop().unwrap_or_default() }
    }

    /// On one chunk: outᵥ = startᵥ + size Σ weights·slopes and errorsᵥ = size Σ error weights·slopes, for as many vectors as there are results, from the
    /// slopes of all stages whose weights are known.
    #[expect(clippy::too_many_arguments, reason = "slices of one chunk")]
    fn combine<const N: usize>(
        &self,
        here: &Range<usize>,
        start: [&[f64]; N],
        known: &[Vec<f64>],
        gradients: &mut [f64],
        velocity: &impl Velocity<N>,
        weights: &[f64],
        out: &mut [&mut [f64]],
        errors: &mut [&mut [f64]],
    ) {
        let len = here.len();
        let columns: Vec<&[f64]> = known.iter().map(|w| &w[..]).collect();
        let mut lifted: Vec<&mut [f64]> = gradients.chunks_exact_mut(CHUNK).take(known.len()).map(|g| &mut g[..len]).collect();
        self.field.lift(here, &columns, &mut lifted);
        let start = start.map(|v| &v[here.clone()]);
        let held = self.held.map_or(start[N - 1], |a| &a[here.clone()]);
        let (rule, size, transform) = (self.rule, self.size, self.field.model.transform);
        let is_plain = transform == TargetTransform::Identity;
        let lifted = &lifted[..];
        vectorised(
            #[inline(always)]
            move || {
                for begin in (0..len).step_by(LANES) {
                    let from = start.map(|v| block(v, begin));
                    let maximum = block(held, begin);
                    let mut slopes = [[[0.0; LANES]; N]; STAGES];
                    for (stage, g) in lifted.iter().enumerate() {
                        let mut g = block(g, begin);
                        let mut at = from;
                        add(&mut at, size, rule.stages[stage], &slopes);
                        if !is_plain {
                            (0..LANES).for_each(|i| g[i] = transform.decode(g[i], at[0][i]));
                        }
                        slopes[stage] = velocity(stage, &at, &g, &maximum);
                    }
                    let mut end = from;
                    add(&mut end, size, weights, &slopes);
                    out.iter_mut().zip(end).for_each(|(out, end)| store(end, out, begin));
                    if !errors.is_empty() {
                        let mut error = [[0.0; LANES]; N];
                        add(&mut error, size, rule.error, &slopes);
                        errors.iter_mut().zip(error).for_each(|(out, error)| store(error, out, begin));
                    }
                }
            },
        );
    }
}

type Lanes = [f64; LANES];
/// Unknowns at a time, and the most stages a rule has.
const LANES: usize = 8;
const STAGES: usize = 7;

/// The equation of a few unknowns at a time, from (stage, vectors, gradient, held maximum).
trait Velocity<const N: usize>: Fn(usize, &[Lanes; N], &Lanes, &Lanes) -> [Lanes; N] + Sync {}

impl<const N: usize, F: Fn(usize, &[Lanes; N], &Lanes, &Lanes) -> [Lanes; N] + Sync> Velocity<N> for F {}

/// values[begin..], filled up with zeros.
#[inline(always)]
fn block(values: &[f64], begin: usize) -> [f64; LANES] {
    let rest = &values[begin..];
    match rest.first_chunk() {
        Some(whole) => *whole,
        None => std::array::from_fn(|i| rest.get(i).copied().unwrap_or(0.0)),
    }
}

#[inline(always)]
fn store(from: [f64; LANES], values: &mut [f64], begin: usize) {
    let rest = &mut values[begin..];
    match rest.first_chunk_mut() {
        Some(whole) => *whole = from,
        None => rest.iter_mut().zip(from).for_each(|(v, f)| *v = f),
    }
}

/// at ← at + size Σ weights·slopes.
#[inline(always)]
fn add<const N: usize>(at: &mut [[f64; LANES]; N], size: f64, weights: &[f64], slopes: &[[[f64; LANES]; N]; STAGES]) {
    for (weight, slope) in weights.iter().zip(slopes) {
        let factor = size * weight;
        if factor != 0.0 {
            for (at, slope) in at.iter_mut().zip(slope) {
                for lane in 0..LANES {
                    at[lane] += factor * slope[lane];
                }
            }
        }
    }
}
