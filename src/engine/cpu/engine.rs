//! The engine on the CPU: what it holds, and how it is made.

use ndarray::{Array2, ArrayView1};

use super::kernels::copy;
use super::phase;
use super::phase::{Model, Tables};
use super::potential;
use super::state::State;
use crate::domain::Domain;
use crate::engine::best::Best;
use crate::engine::interface::{Landing, PhaseEnd, TableFormat, Traffic};
use crate::engine::protocol::Protocol;
use crate::engine::ring::Ring;
use crate::error::{EngineError, Result};
use crate::flow::Flow;
use crate::scalar::Scalar;
use crate::surrogate::higher_order::PairNote;

/// The engine on the CPU; see the [module](super).
///
/// [`new`](CpuEngine::new) is the reference: everything in f64. [`single`](CpuEngine::single) keeps state,
/// history and tables in f32, as the GPU engine does, and computes in f32 what concerns one unknown alone;
/// sums over d, factorisations, multipliers of a volume constraint and the minimisation of a learned
/// potential stay in f64. That halves the memory and the bytes of every pass, and quotients and roots come at
/// more than twice the rate: a surrogate step takes half the time or less. What it costs in accuracy is a
/// rounding of 6·10⁻⁸ per stored number: enough to tell runs apart, not to make them worse.
///
/// Driven by hand: one step of gradient descent with the rate ¼ on ½ |x|², whose gradient is x.
/// ```
/// use lgf::domain::Domain;
/// use lgf::engine::{CpuEngine, Engine, Samples, Setup};
/// use lgf::flow::{Flow, GradientDescent};
///
/// # fn main() -> lgf::Result<()> {
/// let flow = Flow::GradientDescent(GradientDescent { rate: 0.25 });
/// let (domain, start, samples) = (Domain::Unbounded, &[4.0, -2.0], Samples::Points);
/// let mut engine = CpuEngine::new();
/// engine.start(Setup { flow, domain: &domain, start, capacity: 0, samples, directions: None })?;
/// let gradient = engine.set_gradient(&[4.0, -2.0])?;
/// assert!(gradient.is_finite && gradient.largest == 4.0);
/// engine.step()?;
/// let mut x = [0.0; 2];
/// let landing = engine.read(&mut x)?;
/// assert_eq!(x, [3.0, -1.5]);
/// // max |Δx| and g·Δx.
/// assert_eq!((landing.change, landing.predicted_change), (1.0, -5.0));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct CpuEngine<T = f64> {
    pub(super) format: TableFormat,
    pub(super) protocol: Protocol,
    pub(super) flow: Option<Flow>,
    pub(super) domain: Domain,
    pub(super) ring: Ring,
    pub(super) iterates: Array2<T>,
    pub(super) gradients: Array2<T>,
    pub(super) state: State<T>,
    pub(super) trusted: State<T>,
    pub(super) best: Best<T>,
    pub(super) model: Option<Model>,
    pub(super) tables: Tables<T>,
    /// The sums the model asks of x, if no step has been taken since they were.
    pub(super) observed: Option<Vec<f64>>,
    pub(super) fit_residual: Option<f64>,
    pub(super) equation: phase::InnerStates<T>,
    /// Inner products of a history of pairs: displacements by row, then changes of the gradient by row.
    pub(super) pair_products: Array2<f64>,
    /// The same rows in f32, which the projected steps read twice each; none where they are f32 already.
    pub(super) narrow_pairs: Array2<f32>,
    pub(super) potential: Option<potential::Potential>,
    pub(super) landing: Landing,
    /// The step size Dormand–Prince has come to.
    pub(super) inner_step: f64,
    pub(super) traffic: Traffic,
}

pub(super) const NOTHING: Landing = Landing {
    steps: 0,
    end: PhaseEnd::Horizon,
    predicted_change: 0.0,
    fit_residual: None,
    change: 0.0,
    is_finite: true,
};

impl Default for CpuEngine {
    fn default() -> Self {
        Self::new()
    }
}

impl CpuEngine {
    /// An engine without a run, in f64.
    pub fn new() -> Self {
        Self::without_run(TableFormat::State)
    }
}

impl CpuEngine<f32> {
    /// An engine without a run, in f32.
    pub fn single() -> Self {
        Self::without_run(TableFormat::State)
    }
}

impl<T: Scalar> CpuEngine<T> {
    /// This engine, without a run, with its basis in another format.
    #[must_use]
    pub fn with_tables(self, format: TableFormat) -> Self {
        Self::without_run(format)
    }

    pub(super) fn without_run(format: TableFormat) -> Self {
        Self {
            format,
            protocol: Protocol::default(),
            flow: None,
            domain: Domain::Unbounded,
            ring: Ring::default(),
            iterates: Array2::zeros((0, 0)),
            gradients: Array2::zeros((0, 0)),
            state: State::default(),
            trusted: State::default(),
            best: Best::default(),
            model: None,
            tables: Tables::new(format),
            observed: None,
            fit_residual: None,
            equation: phase::InnerStates::default(),
            pair_products: Array2::zeros((0, 0)),
            narrow_pairs: Array2::zeros((0, 0)),
            potential: None,
            landing: NOTHING,
            inner_step: 0.0,
            traffic: Traffic::default(),
        }
    }

    pub(super) fn started(&self) -> Result<Flow> {
        self.flow.ok_or_else(|| EngineError::NotStarted.into())
    }

    /// A new row of the history of pairs, and its inner products with all others.
    pub(super) fn enter_pair(&mut self, displacement: &[T], change: &[T], note: PairNote) {
        let Some(row) = self.ring.push_pair(note) else { return };
        let places = [row, self.iterates.nrows() + row];
        for (table, vector) in [(&mut self.iterates, displacement), (&mut self.gradients, change)] {
            if let Some(row) = table.row_mut(row).into_slice() {
                copy(vector, row);
            }
        }
        for (place, vector) in places.into_iter().zip([displacement, change]) {
            // In single precision the rows themselves are narrow, and these are empty.
            if let Some(row) = self.narrow_pairs.row_mut(place).into_slice().filter(|row| !row.is_empty()) {
                copy(vector, row);
            }
        }
        let table: Vec<&[T]> = [&self.iterates, &self.gradients]
            .into_iter()
            .flat_map(|t| t.rows().into_iter().filter_map(|row| row.to_slice()))
            .collect();
        for (place, products) in places.into_iter().zip(potential::products(&table, [displacement, change])) {
            let products = ArrayView1::from(&products);
            self.pair_products.row_mut(place).assign(&products);
            self.pair_products.column_mut(place).assign(&products);
        }
    }
}
