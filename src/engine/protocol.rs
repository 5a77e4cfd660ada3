//! The order in which an engine takes its calls: one implementation for all engines, so that they refuse
//! alike.

use super::interface::{Samples, Setup};
use crate::domain::Domain;
use crate::error::{EngineError, Result};
use crate::flow::Flow;
use crate::surrogate::{Lift, SpaceConfig, SurrogateConfig, TargetTransform};

/// Which calls an engine has had, as far as later calls depend on them. An engine asks it at the beginning of
/// every call whether the call is in order, and tells it of every call that succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Protocol {
    run: Option<Started>,
}

/// The run that an engine works on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Started {
    samples: Samples,
    /// The number of points in the history.
    recorded: usize,
    capacity: usize,
    learned: Learned,
    /// Whether the host has read the state's x, and set the state's gradient, since the state moved last.
    is_read: bool,
    has_gradient: bool,
}

/// What the latest fit has learned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Learned {
    Nothing,
    /// A learned field, and the rows of the history that it predicts from.
    Field(Vec<usize>),
    Potential,
}

impl Protocol {
    /// Checks that a run may begin: the domain has what the flow needs.
    pub(crate) fn check_start(setup: &Setup<'_>) -> Result<()> {
        match (setup.flow, setup.domain) {
            (Flow::OptimalityCriteria(_), Domain::Unbounded | Domain::Box(_)) => {
                Err(EngineError::NoVolume { flow: setup.flow.name() }.into())
            }
            _ => Ok(()),
        }
    }

    /// Notes that a run has begun.
    pub(crate) fn started(setup: &Setup<'_>) -> Self {
        Self {
            run: Some(Started {
                samples: setup.samples,
                recorded: 0,
                capacity: setup.capacity,
                learned: Learned::Nothing,
                is_read: false,
                has_gradient: false,
            }),
        }
    }

    fn run(&self) -> Result<&Started> {
        self.run.as_ref().ok_or_else(|| EngineError::NotStarted.into())
    }

    fn run_of(&self, samples: Samples, call: &'static str) -> Result<&Started> {
        let run = self.run()?;
        if run.samples == samples {
            return Ok(run);
        }
        let needs = match samples {
            Samples::Points => "points",
            Samples::Pairs => "pairs",
        };
        Err(EngineError::WrongSamples { call, needs }.into())
    }

    /// Checks that there is a run.
    pub(crate) fn check_run(&self) -> Result<()> {
        self.run().map(drop)
    }

    /// Checks that the run records points, which `call` needs.
    pub(crate) fn check_points(&self, call: &'static str) -> Result<()> {
        self.run_of(Samples::Points, call).map(drop)
    }

    /// Checks that the run records pairs, which `call` needs.
    pub(crate) fn check_pairs(&self, call: &'static str) -> Result<()> {
        self.run_of(Samples::Pairs, call).map(drop)
    }

    /// Checks that there is a recorded point, which `call` needs to learn a field.
    pub(crate) fn check_recorded(&self, call: &'static str) -> Result<()> {
        match self.run_of(Samples::Points, call)?.recorded {
            0 => Err(EngineError::OutOfOrder { call, needs: "record()" }.into()),
            _ => Ok(()),
        }
    }

    /// Checks that there is a learned field whose samples are all still recorded, which `integrate` needs.
    pub(crate) fn check_integrate(&self) -> Result<()> {
        match self.run_of(Samples::Points, "integrate")?.learned {
            Learned::Field(_) => Ok(()),
            Learned::Nothing | Learned::Potential => Err(EngineError::OutOfOrder {
                call: "integrate",
                needs: "fit(), and before record() overwrites the samples of that fit",
            }
            .into()),
        }
    }

    /// Checks that there is a learned potential, which `minimize` needs.
    pub(crate) fn check_minimize(&self) -> Result<()> {
        match self.run_of(Samples::Pairs, "minimize")?.learned {
            Learned::Potential => Ok(()),
            Learned::Nothing | Learned::Field(_) => {
                Err(EngineError::OutOfOrder { call: "minimize", needs: "fit_potential()" }.into())
            }
        }
    }

    /// Checks that the host has read the state and set its gradient, which `trust` needs.
    pub(crate) fn check_trust(&self) -> Result<()> {
        let run = self.run()?;
        if run.is_read && run.has_gradient {
            return Ok(());
        }
        Err(EngineError::OutOfOrder { call: "trust", needs: "read() and set_gradient() at the same state" }
            .into())
    }

    /// Notes that the state has moved, or gone back to the trusted one.
    pub(crate) fn moved(&mut self) {
        if let Some(run) = &mut self.run {
            (run.is_read, run.has_gradient) = (false, false);
        }
    }

    /// Notes that the host has read x.
    pub(crate) fn was_read(&mut self) {
        if let Some(run) = &mut self.run {
            run.is_read = true;
        }
    }

    /// Notes that the host has set the gradient.
    pub(crate) fn gradient_was_set(&mut self) {
        if let Some(run) = &mut self.run {
            run.has_gradient = true;
        }
    }

    /// Notes that a sample was written to `row` of the history. A field that predicts from the sample that
    /// was there before is no longer valid.
    pub(crate) fn recorded(&mut self, row: usize) {
        let Some(run) = &mut self.run else { return };
        run.recorded = (run.recorded + 1).min(run.capacity);
        if matches!(&run.learned, Learned::Field(rows) if rows.contains(&row)) {
            run.learned = Learned::Nothing;
        }
    }

    /// Notes that a field was learned with `config` from the samples in `rows` of the history.
    pub(crate) fn fitted(&mut self, config: &SurrogateConfig, rows: &[usize]) {
        let snapshots = config.lift == Lift::Snapshots && config.transform == TargetTransform::Identity;
        let reads_history = snapshots || config.space == SpaceConfig::Implicit;
        self.learned(Learned::Field(if reads_history { rows.to_vec() } else { Vec::new() }));
    }

    /// Notes that a potential was learned.
    pub(crate) fn fitted_potential(&mut self) {
        self.learned(Learned::Potential);
    }

    /// Takes what was learned away: for a call that loses it where it breaks off, and that gives it back to
    /// [`learned`](Self::learned) where it does not.
    pub(crate) fn take_learned(&mut self) -> Learned {
        self.run
            .as_mut()
            .map_or(Learned::Nothing, |run| std::mem::replace(&mut run.learned, Learned::Nothing))
    }

    /// Notes that `learned` is the result of the latest fit.
    pub(crate) fn learned(&mut self, learned: Learned) {
        if let Some(run) = &mut self.run {
            run.learned = learned;
        }
    }

    /// Notes that the history is empty.
    pub(crate) fn forgot(&mut self) {
        if let Some(run) = &mut self.run {
            run.recorded = 0;
        }
    }
}
