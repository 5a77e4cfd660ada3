//! The engine a command works with, and what becomes of a run whose GPU fails.

use super::EngineArgs;
use crate::engine::{CpuEngine, Engine, EngineChoice, TableFormat};
use crate::error::{EngineError, Error, Result};
use crate::objective::Objective;
use crate::observe::Observer;
use crate::optimizer::{Lgf, Origin, RunError};
use crate::report::Report;

/// An open engine, and why it is this one.
pub(super) struct Opened {
    pub engine: Box<dyn Engine>,
    pub reason: String,
    pub tables: TableFormat,
}

impl Opened {
    pub(super) fn new(args: EngineArgs) -> Result<Self> {
        let options = args.options();
        EngineChoice::from(args.engine).open_with(&options).map(|(engine, reason)| Self {
            engine,
            reason,
            tables: options.tables,
        })
    }

    /// Minimises `objective`. Where a GPU is lost, this run goes on from its best iterate on the CPU engine,
    /// which is then the one for all that follow; should that fail as well, the best iterate comes back.
    pub(super) fn minimize(
        &mut self,
        lgf: &Lgf,
        origin: Origin<'_>,
        objective: &mut dyn Objective,
        observer: &mut dyn Observer,
    ) -> Result<Report> {
        let run = |engine: &mut dyn Engine,
                   origin: Origin<'_>,
                   objective: &mut dyn Objective,
                   observer: &mut dyn Observer| {
            lgf.begin(origin, objective, engine, |event: crate::observe::Event<'_>| observer.event(event))?
                .finish()
        };
        let keep = |outcome| match outcome {
            Ok(report) => Ok(report),
            Err(RunError::CutShort { report, .. }) => Ok(*report),
            Err(RunError::NotStarted(error)) => Err(error),
            Err(ended @ RunError::Ended) => Err(Error::internal(ended.to_string())),
        };
        let outcome = run(&mut *self.engine, origin, objective, observer);
        if self.engine.info().engine == "cpu" {
            return keep(outcome);
        }
        match outcome {
            Err(RunError::CutShort { source, report }) => {
                log::warn!(
                    "{source}; going on from true evaluation {} on the CPU engine",
                    report.best_evaluation
                );
                self.replace(&source);
                keep(run(&mut *self.engine, Origin::after(&report), objective, observer))
            }
            // Lost between two runs.
            Err(RunError::NotStarted(source @ Error::Engine(EngineError::Lost(_)))) => {
                log::warn!("{source}; taking the CPU engine");
                self.replace(&source);
                keep(run(&mut *self.engine, origin, objective, observer))
            }
            outcome => keep(outcome),
        }
    }

    fn replace(&mut self, fault: &Error) {
        self.reason = format!("{}; then {fault}", self.reason);
        self.engine = Box::new(CpuEngine::new().with_tables(self.tables));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LgfConfig;
    use crate::engine::GpuEngine;
    use crate::engine::gpu::AdapterChoice;
    use crate::observe::Event;
    use crate::report::StopReason;
    use crate::schedule::Potential;
    use crate::topology::{Compliance, ComplianceConfig, FilterKind};
    use std::ops::ControlFlow;

    /// As the command does it: the device goes while a coarse grid or the fine one is worked on.
    #[test]
    fn a_run_that_loses_its_gpu_ends_on_the_cpu() {
        let lgf = Lgf::new(LgfConfig::potential(Potential::default())).unwrap();
        let mut problem = Compliance::new(ComplianceConfig::mbb(30, 10, FilterKind::Density)).unwrap();
        let start = problem.uniform_start();
        let engine =
            GpuEngine::open(AdapterChoice::Any).expect("GPU tests need an adapter, software will do");
        let device = engine.device().clone();
        let mut opened = Opened {
            engine: Box::new(engine),
            reason: "the GPU engine was asked for".into(),
            tables: TableFormat::State,
        };
        let mut best = f64::INFINITY;
        let mut watch = |event: Event<'_>| {
            let (Event::TrueStep { entry, .. } | Event::Landed { entry: Some(entry), .. }) = event else {
                return ControlFlow::Continue(());
            };
            if entry.evaluation == 7 {
                device.destroy();
            } else if entry.evaluation < 7 && entry.accepted {
                best = entry.objective.min(best);
            }
            ControlFlow::Continue(())
        };
        let report = opened.minimize(&lgf, Origin::at(&start), &mut problem, &mut watch).unwrap();
        assert!(!report.stop.is_fault() && report.stop != StopReason::Interrupted, "{}", report.stop);
        assert_eq!((report.engine.engine, opened.engine.info().engine), ("cpu", "cpu"));
        assert!(report.history.len() > 8 && report.objective < best, "{report:?}");
        assert!(report.history.windows(2).all(|w| w[0].evaluation < w[1].evaluation));
        assert!(opened.reason.contains("lost"), "{}", opened.reason);
    }
}
