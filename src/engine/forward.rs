//! Engines that forward their calls to another engine: borrowed, boxed, or watched call by call.

use super::interface::{
    Engine, EngineInfo, Fit, GradientSummary, Landing, Pair, PhaseLimits, Sealed, Setup, StepComparison,
    Traffic, TrustLimits,
};
use crate::error::{Error, Result};
use crate::surrogate::potential::PotentialConfig;
use crate::surrogate::regression::Solution;
use crate::surrogate::selection::Selection;
use crate::surrogate::{RegressionProblem, SurrogateConfig};

/// Implements [`Engine`] by the engine at the place `$inner`, `$shared` for calls that change nothing. Every
/// call that can fail is announced to `$before` by its name first, and `$start` sees the setup of a run
/// before the engine does.
macro_rules! forward_engine {
    ([$($generics:tt)*] $engine:ty, $self:ident => $shared:expr, $inner:expr,
     before($call:ident) $before:expr, $(start($setup:ident) $start:expr,)?
     fall_back($fault:ident) $fall_back:expr) => {
        impl<$($generics)*> Sealed for $engine {}

        impl<$($generics)*> Engine for $engine {
            fn info(&$self) -> EngineInfo {
                $shared.info()
            }
            fn start(&mut $self, setup: Setup<'_>) -> Result<()> {
                let $call = "start";
                $before?;
                $({
                    let $setup = &setup;
                    $start;
                })?
                $inner.start(setup)
            }
            fn set_gradient(&mut $self, gradient: &[f64]) -> Result<GradientSummary> {
                let $call = "set_gradient";
                $before?;
                $inner.set_gradient(gradient)
            }
            fn record(&mut $self) -> Result<()> {
                let $call = "record";
                $before?;
                $inner.record()
            }
            fn step(&mut $self) -> Result<()> {
                let $call = "step";
                $before?;
                $inner.step()
            }
            fn select(&mut $self, candidates: &[SurrogateConfig], folds: usize) -> Result<Selection> {
                let $call = "select";
                $before?;
                $inner.select(candidates, folds)
            }
            fn fit(&mut $self, config: &SurrogateConfig) -> Result<Fit> {
                let $call = "fit";
                $before?;
                $inner.fit(config)
            }
            fn integrate(&mut $self, limits: PhaseLimits) -> Result<()> {
                let $call = "integrate";
                $before?;
                $inner.integrate(limits)
            }
            fn record_pair(&mut $self, change: f64, is_kept: bool) -> Result<()> {
                let $call = "record_pair";
                $before?;
                $inner.record_pair(change, is_kept)
            }
            fn put_pair(&mut $self, pair: &Pair) -> Result<()> {
                let $call = "put_pair";
                $before?;
                $inner.put_pair(pair)
            }
            fn pairs(&mut $self) -> Result<Vec<Pair>> {
                let $call = "pairs";
                $before?;
                $inner.pairs()
            }
            fn fit_potential(&mut $self, flat: f64, config: PotentialConfig) -> Result<Fit> {
                let $call = "fit_potential";
                $before?;
                $inner.fit_potential(flat, config)
            }
            fn minimize(&mut $self, limits: TrustLimits) -> Result<()> {
                let $call = "minimize";
                $before?;
                $inner.minimize(limits)
            }
            fn read(&mut $self, x: &mut [f64]) -> Result<Landing> {
                let $call = "read";
                $before?;
                $inner.read(x)
            }
            fn compare(&mut $self, learned: &[f64]) -> Result<StepComparison> {
                let $call = "compare";
                $before?;
                $inner.compare(learned)
            }
            fn trust(&mut $self, is_best: bool) -> Result<()> {
                let $call = "trust";
                $before?;
                $inner.trust(is_best)
            }
            fn restore(&mut $self) -> Result<()> {
                let $call = "restore";
                $before?;
                $inner.restore()
            }
            fn best(&mut $self, x: &mut [f64], gradient: &mut [f64]) -> Result<()> {
                let $call = "best";
                $before?;
                $inner.best(x, gradient)
            }
            fn regress(&mut $self, batch: &[RegressionProblem<'_>]) -> Result<Vec<Solution>> {
                let $call = "regress";
                $before?;
                $inner.regress(batch)
            }
            fn forget(&mut $self) {
                $inner.forget()
            }
            fn samples(&$self) -> usize {
                $shared.samples()
            }
            fn traffic(&$self) -> Traffic {
                $shared.traffic()
            }
            fn fall_back(&mut $self, $fault: &Error) -> bool {
                $fall_back
            }
        }
    };
}
pub(crate) use forward_engine;

forward_engine!([E: Engine + ?Sized] &mut E, self => (**self), (**self),
    before(_call) Ok::<(), Error>(()), fall_back(fault) (**self).fall_back(fault));
forward_engine!([E: Engine + ?Sized] Box<E>, self => (**self), (**self),
    before(_call) Ok::<(), Error>(()), fall_back(fault) (**self).fall_back(fault));
