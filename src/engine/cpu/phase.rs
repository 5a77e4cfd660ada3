//! A fitted surrogate as a field over d, and the phases that follow it.

use std::ops::Range;

use ndarray::{Array2, ArrayView1};

use super::basis::{Basis, Directions, leading};
use super::state::State;
use super::sweep::{CHUNK, chunks, sweep};
use super::{kernels, lanes};
use crate::domain::Domain;
use crate::engine::interface::{Landing, PhaseEnd, PhaseLimits, TableFormat};
use crate::flow::Flow;
use crate::scalar::Scalar;
use crate::surrogate::library::combine;
use crate::surrogate::space::implicit_kernel;
use crate::surrogate::{Integrator, Library, TargetTransform};

/// A fitted surrogate, as numbers of the size of the history; its tables belong to the engine.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub predictor: Predictor,
    pub transform: TargetTransform,
    pub lift: LiftTable,
    /// An upper bound on the magnitude of the entries of each row of the lift's table.
    pub bounds: Vec<f64>,
    /// The samples it was fitted to, as rows of the history, oldest first.
    pub rows: Vec<usize>,
    /// The samples' largest distance from their mean: the trust region.
    pub radius: f64,
}

/// The table T whose rows the predictor's outputs combine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LiftTable {
    /// There is no table: the outputs are the gradient itself.
    Direct,
    Basis,
    /// The recorded gradients, read from the history.
    Gradients,
    /// The recorded gradients after the target transform.
    Encoded,
}

/// The map from x to the lift's weights.
#[derive(Debug, Clone)]
pub(super) enum Predictor {
    Explicit {
        library: Library,
        coefficients: Array2<f64>,
        /// The coordinates z of x; none if z = x.
        space: Option<Coordinates>,
    },
    Implicit {
        order: usize,
        bias: bool,
        weights: Array2<f64>,
    },
}

/// The coordinates z = U (x − c)/σ.
#[derive(Debug, Clone)]
pub(super) struct Coordinates {
    pub scale: f64,
    pub centered: bool,
    /// The history's mean in the coordinates, U (mean − c).
    pub mean: Vec<f64>,
}

/// Intermediate states of a differential equation, kept from step to step.
#[derive(Debug, Clone, Default)]
pub(super) struct InnerStates<T> {
    /// The state at the beginning of the next inner step.
    pub start: Vec<Vec<T>>,
    /// The state at the end of the inner step.
    pub end: Vec<Vec<T>>,
}

/// Tables of size d that a fit makes. They are kept from fit to fit: fresh memory costs as much as filling
/// it.
#[derive(Debug, Clone)]
pub(super) struct Tables<T> {
    pub mean: Vec<T>,
    pub basis: Basis<T>,
    pub encoded: Vec<Vec<T>>,
}

impl<T: Scalar> Tables<T> {
    pub(super) fn new(format: TableFormat) -> Self {
        Self { mean: Vec::new(), basis: Basis::new(format), encoded: Vec::new() }
    }
}

/// The rows `which` of a table, in that order.
pub(super) fn rows<'a, T>(table: &'a Array2<T>, which: &[usize]) -> Vec<&'a [T]> {
    which.iter().filter_map(|&row| table.row(row).to_slice()).collect()
}

/// A model with its tables.
///
/// All that is asked of x is in as many sums over d as [`sums`](Self::sums) says, so that the pass that moves
/// x can take them on its way.
pub(super) struct Field<'a, T> {
    pub model: &'a Model,
    pub mean: &'a [T],
    pub basis: Directions<'a, T>,
    /// The samples that the implicit library evaluates its kernel at.
    pub samples: Vec<&'a [T]>,
    /// The rows that the lift combines, where those are not the basis.
    pub table: Vec<&'a [T]>,
}

impl<'a, T: Scalar> Field<'a, T> {
    pub(super) fn new(
        model: &'a Model,
        tables: &'a Tables<T>,
        iterates: &'a Array2<T>,
        gradients: &'a Array2<T>,
    ) -> Self {
        let rank = match &model.predictor {
            Predictor::Explicit { space: Some(space), .. } => space.mean.len(),
            _ => 0,
        };
        let samples = if matches!(model.predictor, Predictor::Implicit { .. }) {
            rows(iterates, &model.rows)
        } else {
            Vec::new()
        };
        let table = match model.lift {
            LiftTable::Direct | LiftTable::Basis => Vec::new(),
            LiftTable::Gradients => rows(gradients, &model.rows),
            LiftTable::Encoded => leading(&tables.encoded, model.rows.len()),
        };
        Self { model, mean: &tables.mean, basis: tables.basis.leading(rank), samples, table }
    }

    /// The number of sums: ‖x − mean‖², then what the weights are computed from.
    pub(super) fn sums(&self) -> usize {
        1 + self.basis.len() + 3 * self.samples.len()
    }

    /// Whether the weights are computed from x itself, not from sums over x.
    pub(super) fn reads_x(&self) -> bool {
        matches!(self.model.predictor, Predictor::Explicit { space: None, .. })
    }

    /// The length of the scratch memory that a chunk needs.
    pub(super) fn scratch(&self) -> usize {
        self.basis.scratch()
    }

    /// The part of the field on the unknowns `here`.
    pub(super) fn at<'b>(&'b self, here: &Range<usize>, scratch: &'b mut [T]) -> FieldChunk<'b, T> {
        FieldChunk { field: self, here: here.clone(), basis: self.basis.at(here, scratch) }
    }

    /// The sums at x, computed in a pass of their own.
    fn observe_all(&self, x: &[T]) -> Vec<f64> {
        sweep(x.len(), Vec::new(), self.sums(), self.scratch(), |here, _, sums, scratch| {
            self.at(&here, scratch).observe(&x[here], sums)
        })
    }

    /// The distance ‖x − mean‖, in units of the history's radius.
    fn distance(&self, sums: &[f64]) -> f64 {
        sums[0].sqrt() / if self.model.radius > 0.0 { self.model.radius } else { 1.0 }
    }

    /// The lift's weights where the sums are `sums`.
    pub(super) fn weights(&self, sums: &[f64], x: &[T]) -> Vec<f64> {
        match &self.model.predictor {
            Predictor::Explicit { library, coefficients, space } => {
                let z: Vec<f64> = match space {
                    None => x.iter().map(|x| (*x).into()).collect(),
                    Some(space) => sums[1..].iter().map(|y| y / space.scale).collect(),
                };
                combine(coefficients.view(), &library.evaluate(&z))
            }
            Predictor::Implicit { order, bias, weights } => {
                let kernel: Vec<f64> =
                    sums[1..].as_chunks::<3>().0.iter().map(|p| implicit_kernel(*order, *bias, *p)).collect();
                weights.dot(&ArrayView1::from(&kernel)).to_vec()
            }
        }
    }

    /// Whether the lifted vector (before it is decoded) is certainly finite, judged by the weights.
    pub(super) fn is_finite(&self, weights: &[f64]) -> bool {
        match self.model.lift {
            LiftTable::Direct => weights.iter().all(|w| w.is_finite()),
            _ => weights
                .iter()
                .zip(&self.model.bounds)
                .map(|(w, bound)| w.abs() * bound)
                .sum::<f64>()
                .is_finite(),
        }
    }

    /// Undoes the transform of the targets at x.
    pub(super) fn decode(&self, x: &[T], y: &mut [T]) {
        if self.model.transform != TargetTransform::Identity {
            y.iter_mut()
                .zip(x)
                .for_each(|(y, x)| *y = T::of(self.model.transform.decode((*y).into(), (*x).into())));
        }
    }
}

/// A field on the unknowns of one chunk.
pub(super) struct FieldChunk<'a, T> {
    field: &'a Field<'a, T>,
    here: Range<usize>,
    basis: Vec<&'a [T]>,
}

impl<T: Scalar> FieldChunk<'_, T> {
    /// Adds the chunk's part to the sums.
    pub(super) fn observe(&self, x: &[T], sums: &mut [f64]) {
        let (field, here) = (self.field, &self.here);
        let centered = matches!(
            &field.model.predictor,
            Predictor::Explicit { space: Some(Coordinates { centered: true, .. }), .. }
        );
        let (project, powers) = sums.split_at_mut(1 + self.basis.len());
        kernels::state_project(&self.basis, x, &field.mean[here.clone()], centered, project);
        kernels::power_sums(&chunks(&field.samples, here), x, powers);
    }

    /// `gradient_lift`: outⱼ = Tᵀ wⱼ, not decoded.
    pub(super) fn lift(&self, weights: &[&[f64]], out: &mut [&mut [T]]) {
        match self.field.model.lift {
            LiftTable::Direct => {
                for (out, weights) in out.iter_mut().zip(weights) {
                    out.iter_mut().zip(&weights[self.here.clone()]).for_each(|(out, w)| *out = T::of(*w));
                }
            }
            LiftTable::Basis => lanes::combine::<T, _, _>(&self.basis, weights, out),
            LiftTable::Gradients | LiftTable::Encoded => {
                lanes::combine::<T, _, _>(&chunks(&self.field.table, &self.here), weights, out)
            }
        }
    }
}

/// What one surrogate phase works on: the learned field, the flow and the state.
pub(super) struct Phase<'a, T> {
    pub field: Field<'a, T>,
    pub flow: Flow,
    pub domain: &'a Domain,
    pub state: &'a mut State<T>,
    pub landing: &'a mut Landing,
    /// The field's sums at x, if they are known.
    pub observed: &'a mut Option<Vec<f64>>,
    pub equation: &'a mut InnerStates<T>,
    /// The step size Dormand–Prince has come to.
    pub inner_step: &'a mut f64,
}

impl<T: Scalar> Phase<'_, T> {
    pub(super) fn run(&mut self, limits: PhaseLimits) {
        // The phase runs inside the thread pool: called from outside, each of its many short passes would put
        // this thread to sleep and wake it again.
        if self.state.x.len() > CHUNK {
            rayon::scope(|_| self.run_inside(limits))
        } else {
            self.run_inside(limits)
        }
    }

    fn run_inside(&mut self, limits: PhaseLimits) {
        let outputs_move_z = matches!(self.field.model.lift, LiftTable::Basis | LiftTable::Direct);
        if let (true, true, Some(h)) = (self.flow.is_driven_by_velocity(), outputs_move_z, self.flow.rate()) {
            return self.integrate_reduced(limits, h);
        }
        for _ in 0..limits.steps {
            let sums = self.observed.take().unwrap_or_else(|| self.field.observe_all(&self.state.x));
            let distance = self.field.distance(&sums);
            let weights = self.field.weights(&sums, &self.state.x);
            *self.observed = Some(sums);
            if distance > limits.radius {
                self.landing.end = PhaseEnd::Radius;
                break;
            }
            let went = distance.is_finite()
                && self.field.is_finite(&weights)
                && match limits.integrator {
                    Integrator::FlowStep => self.flow_step(&weights),
                    rule => self.equation_step(rule, weights),
                };
            if !went {
                self.landing.end = PhaseEnd::NonFinite;
                break;
            }
            self.landing.steps += 1;
            self.state.steps += 1;
        }
    }

    /// One step of the flow with the predicted gradient; false if that is not finite.
    ///
    /// Where every unknown moves by itself one pass lifts, moves x and the flow's vectors and takes the next
    /// step's sums.
    fn flow_step(&mut self, weights: &[f64]) -> bool {
        let (field, flow, k) = (&self.field, self.flow, self.state.steps + 1);
        let State { x, gradient, auxiliary, .. } = &mut *self.state;
        let d = x.len();
        if flow.equation_vectors() > 0 && field.model.transform == TargetTransform::Identity {
            let vectors = std::iter::once(x).chain(auxiliary).map(|v| &mut v[..]).collect();
            let mut sums =
                sweep(d, vectors, field.sums() + 1, field.scratch(), |here, vectors, sums, scratch| {
                    let mut g = [T::zero(); CHUNK];
                    let (g, at) = (&mut g[..here.len()], field.at(&here, scratch));
                    at.lift(&[weights], &mut [g]);
                    if let Some((change, sums)) = sums.split_last_mut() {
                        *change += kernels::advance(flow, k, vectors, g);
                        at.observe(vectors[0], sums);
                    }
                });
            self.landing.predicted_change += sums.pop().unwrap_or(0.0);
            *self.observed = Some(sums);
            return true;
        }
        let spoiled = sweep(d, vec![&mut *gradient], 1, field.scratch(), |here, out, sums, scratch| {
            field.at(&here, scratch).lift(&[weights], out);
            field.decode(&x[here], out[0]);
            sums[0] += lanes::sum_of([&*out[0]], |[g]| 0.0 * g);
        });
        // The sum is 0 exactly if all entries are finite: zero times infinity or NaN is NaN.
        if spoiled[0] != 0.0 {
            return false;
        }
        let vectors = std::iter::once(x).chain(auxiliary).map(|v| &mut v[..]).collect();
        self.landing.predicted_change += kernels::step(flow, self.domain, k, vectors, gradient);
        *self.observed = None;
        true
    }

    /// `reduced_integrate`, `reduced_lift`: surrogate iterations of a flow whose state is the reduced
    /// coordinate alone, y' = −Ξᵀ Θ(y/σ), y = σ z. The cost does not depend on d but for one pass at the end,
    /// which reads U and moves x.
    fn integrate_reduced(&mut self, limits: PhaseLimits, h: f64) {
        let Predictor::Explicit { library, coefficients, space } = &self.field.model.predictor else {
            return;
        };
        let sums = self.observed.take().unwrap_or_else(|| self.field.observe_all(&self.state.x));
        let wide = |vector: &[T]| vector.iter().map(|v| (*v).into()).collect::<Vec<f64>>();
        let (start, mean, scale) = match space {
            None => (wide(&self.state.x), wide(self.field.mean), 1.0),
            Some(space) => (sums[1..].to_vec(), space.mean.clone(), space.scale),
        };
        // All is f64 here: these numbers are few.
        let square = |y: &[f64]| y.iter().zip(&mean).map(|(y, m)| (y - m).powi(2)).sum::<f64>();
        // The component of x outside the span stays as it is.
        let outside = sums[0] - square(&start);
        let mut rhs = |_: f64, y: &[f64], slope: &mut [f64]| {
            let features = library.evaluate(&y.iter().map(|y| y / scale).collect::<Vec<_>>());
            slope.iter_mut().zip(combine(coefficients.view(), &features)).for_each(|(s, g)| *s = -g);
        };
        let rule =
            if limits.integrator == Integrator::FlowStep { Integrator::Euler } else { limits.integrator };
        let (mut y, mut inner) = (start.clone(), h);
        let mut slope = vec![0.0; y.len()];
        for _ in 0..limits.steps {
            let distance = (square(&y) + outside).max(0.0).sqrt();
            if distance > limits.radius * self.field.model.radius {
                self.landing.end = PhaseEnd::Radius;
                break;
            }
            rhs(0.0, &y, &mut slope);
            let before = y.clone();
            if !distance.is_finite() || !rule.advance(&mut rhs, 0.0, h, &mut y, &mut inner) {
                y = before;
                self.landing.end = PhaseEnd::NonFinite;
                break;
            }
            self.landing.predicted_change -=
                slope.iter().zip(&y).zip(&before).map(|((s, y), b)| s * (y - b)).sum::<f64>();
            self.landing.steps += 1;
            self.state.steps += 1;
        }
        if space.is_none() {
            kernels::copy(&y, &mut self.state.x);
        } else {
            let moved: Vec<f64> = y.iter().zip(&start).map(|(y, s)| y - s).collect();
            self.field.basis.add_combination(&moved, &mut self.state.x);
        }
        let coordinates = if space.is_some() { &y[..] } else { &[] };
        *self.observed = Some(
            std::iter::once((square(&y) + outside).max(0.0)).chain(coordinates.iter().copied()).collect(),
        );
    }
}
