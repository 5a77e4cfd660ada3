//! The start of a run.

use std::fmt::Debug;

use crate::domain::Domain;
use crate::engine::Pair;
use crate::error::Result;
use crate::report::Report;

/// Pairs that are made one at a time, as all of them together would take too much memory.
pub(crate) trait PairSource: Debug {
    /// Makes every pair and hands it to `take`, oldest first.
    fn for_each(&self, take: &mut dyn FnMut(&Pair) -> Result<()>) -> Result<()>;
}

/// What is known of the curvature at a start.
#[derive(Debug, Clone, Copy)]
enum Known<'a> {
    Pairs(&'a [Pair]),
    Source(&'a dyn PairSource),
}

/// The start of a run, and what is known there.
///
/// A slice of numbers is a start of which nothing is known: `minimize(objective, &x0)`.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    x: &'a [f64],
    known: Known<'a>,
    pub(super) earlier: Option<&'a Report>,
}

impl<'a> Start<'a> {
    /// A start at `x`, of which nothing is known.
    pub fn at(x: &'a [f64]) -> Self {
        Self { x, known: Known::Pairs(&[]), earlier: None }
    }

    /// Where an earlier run has ended, on whatever engine: one that was cut short, interrupted, or had too
    /// small a budget. Its best iterate is evaluated once more, for the gradient; counts, history, budgets
    /// and the reported seconds go on. What only the earlier engine knew is learned anew: the flow's momenta,
    /// the samples, the trust region. The objective must be the one that the earlier run ended with.
    /// ```
    /// use lgf::problems::Rosenbrock;
    /// use lgf::{Lgf, Start, Stopping};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let chain = Rosenbrock { dimension: 2 };
    /// let short = Lgf::potential().stopping(Stopping::default().evaluations(10))?;
    /// let first = short.minimize(chain, &[-1.2, 1.0])?;
    /// let report = Lgf::potential().minimize(chain, Start::after(&first))?;
    /// assert!(report.objective < 1e-6 && report.true_evaluations > first.true_evaluations);
    /// assert!(report.history.starts_with(&first.history));
    /// # Ok(())
    /// # }
    /// ```
    pub fn after(report: &'a Report) -> Self {
        Self { x: &report.x, known: Known::Pairs(&[]), earlier: Some(report) }
    }

    /// The same start with `pairs` that were learned elsewhere, oldest first: on a coarser grid, say, from
    /// [`Engine::pairs`](crate::engine::Engine::pairs) at the end of its run, in the objective's own unit
    /// (see [`Report::gradient_unit`]). A learned potential begins with them; the other methods have no use
    /// for them.
    /// ```
    /// use lgf::engine::{CpuEngine, Engine};
    /// use lgf::problems::Quadratic;
    /// use lgf::{Lgf, Start};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // The same curvatures about another minimum.
    /// let at = |a: f64| Quadratic { minimizer: vec![a; 3], ..Quadratic::geometric(3, 100.0) };
    /// let mut engine = CpuEngine::new();
    /// Lgf::potential().on(&mut engine).minimize(at(1.0), &[-1.0; 3])?;
    /// let pairs = engine.pairs()?;
    /// let start = Start::at(&[-1.0; 3]);
    /// let cold = Lgf::potential().on(&mut engine).minimize(at(2.0), start)?;
    /// let warm = Lgf::potential().on(&mut engine).minimize(at(2.0), start.with_pairs(&pairs))?;
    /// assert!(warm.true_evaluations < cold.true_evaluations);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_pairs(self, pairs: &'a [Pair]) -> Self {
        Self { known: Known::Pairs(pairs), ..self }
    }

    /// The same start with the pairs that `source` makes.
    pub(crate) fn with_pairs_of(self, source: &'a dyn PairSource) -> Self {
        Self { known: Known::Source(source), ..self }
    }

    /// Hands every pair to `take`, oldest first.
    pub(super) fn for_each_pair(&self, take: &mut dyn FnMut(&Pair) -> Result<()>) -> Result<()> {
        match self.known {
            Known::Pairs(pairs) => pairs.iter().try_for_each(take),
            Known::Source(source) => source.for_each(take),
        }
    }

    /// The first iterate. An earlier run's may be beyond a bound by the rounding of its engine's number
    /// format.
    pub(super) fn x(&self, domain: &Domain) -> Vec<f64> {
        match self.earlier {
            Some(_) => domain.clamped(self.x),
            None => self.x.to_vec(),
        }
    }
}

impl<'a> From<&'a [f64]> for Start<'a> {
    fn from(x: &'a [f64]) -> Self {
        Self::at(x)
    }
}

impl<'a> From<&'a Vec<f64>> for Start<'a> {
    fn from(x: &'a Vec<f64>) -> Self {
        Self::at(x)
    }
}

impl<'a, const N: usize> From<&'a [f64; N]> for Start<'a> {
    fn from(x: &'a [f64; N]) -> Self {
        Self::at(x)
    }
}

impl<'a> From<&'a Report> for Start<'a> {
    fn from(report: &'a Report) -> Self {
        Self::after(report)
    }
}
