//! Objectives whose answers are journaled.

use std::time::Instant;

use super::format::Kind;
use super::journal::{Journal, New};
use crate::domain::Domain;
use crate::error::ObjectiveError;
use crate::objective::Objective;

/// One objective's place in a journal.
#[derive(Debug)]
pub(crate) struct Tape {
    journal: Journal,
    object: u32,
    /// The number of the objective's last record.
    last: Option<u64>,
    /// Whether the journal has answered last and the objective's state is that of an earlier evaluation.
    is_behind: bool,
}

impl Tape {
    pub(crate) fn new(journal: &Journal) -> Self {
        Self { object: journal.register(), journal: journal.clone(), last: None, is_behind: false }
    }

    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The journal's answer to x, if it has one.
    pub(crate) fn value(&mut self, x: &[f64], gradient: &mut [f64]) -> Option<Result<f64, ObjectiveError>> {
        self.answer(Kind::Evaluation, x, gradient)
    }

    fn answer(&mut self, kind: Kind, x: &[f64], out: &mut [f64]) -> Option<Result<f64, ObjectiveError>> {
        let answer = self.journal.answer(self.object, kind, x, out)?;
        self.last = Some(answer.number);
        self.is_behind = answer.has_state;
        Some(answer.value)
    }

    /// The state that the objective has to take before it computes anything, if it is behind.
    pub(crate) fn state_to_take(&mut self) -> Option<Vec<u8>> {
        if !std::mem::take(&mut self.is_behind) {
            return None;
        }
        let state = self.last.and_then(|number| self.journal.state(self.object, number));
        if state.is_none() {
            log::warn!("a solver begins without its last state: values differ within its tolerance");
        }
        state
    }

    /// Appends what the objective has computed at x; `state` is asked for where it is due to be kept.
    pub(crate) fn append(
        &mut self,
        x: &[f64],
        value: &Result<f64, ObjectiveError>,
        gradient: &[f64],
        has_state: bool,
        state: impl FnOnce() -> Result<Vec<u8>, ObjectiveError>,
    ) {
        let new = New { object: self.object, kind: Kind::Evaluation, x, value, vector: gradient, has_state };
        let (number, is_due) = self.journal.append(&new);
        self.last = Some(number);
        if is_due {
            self.keep(state);
        }
    }

    /// Keeps the objective's state, unless it is kept already.
    pub(crate) fn keep(&self, state: impl FnOnce() -> Result<Vec<u8>, ObjectiveError>) {
        let Some(number) = self.last else { return };
        if self.is_behind || self.journal.has_state(self.object, number) {
            return;
        }
        let began = Instant::now();
        match state() {
            Ok(state) => self.journal.keep_state(self.object, number, state),
            Err(error) => log::warn!("the state of a solver is not kept: {error}"),
        }
        self.journal.charge(began.elapsed());
    }
}

/// An objective of your own whose answers are journaled: see [the module](super). The state that it
/// [carries](Objective::has_state) is kept at the journal's pace and when this is dropped.
#[derive(Debug)]
pub struct Journaled<O: Objective> {
    objective: O,
    tape: Tape,
    /// Whether the journal has given the latest value, so that the objective has not seen its x.
    was_answered: bool,
}

impl<O: Objective> Journaled<O> {
    /// The same objective, with its answers from and in `journal`. Objectives of one run are to be journaled
    /// in the same order every time.
    pub fn new(objective: O, journal: &Journal) -> Self {
        Self { objective, tape: Tape::new(journal), was_answered: false }
    }

    fn catch_up(&mut self) -> Result<(), ObjectiveError> {
        match self.tape.state_to_take() {
            Some(state) => self.objective.restore(&state),
            None => Ok(()),
        }
    }
}

impl<O: Objective> Objective for Journaled<O> {
    fn dimension(&self) -> usize {
        self.objective.dimension()
    }

    fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64, ObjectiveError> {
        if let Some(answer) = self.tape.value(x, gradient) {
            self.was_answered = true;
            return answer;
        }
        self.catch_up()?;
        let value = self.objective.evaluate(x, gradient);
        self.was_answered = false;
        let Self { objective, tape, .. } = self;
        tape.append(x, &value, gradient, objective.has_state(), || objective.state());
        value
    }

    fn newton_direction(&mut self, x: &[f64], direction: &mut [f64]) -> Result<(), ObjectiveError> {
        if let Some(answer) = self.tape.answer(Kind::Direction, x, direction) {
            return answer.map(|_| ());
        }
        self.catch_up()?;
        if std::mem::take(&mut self.was_answered) {
            self.objective.evaluate(x, direction)?;
        }
        self.objective.newton_direction(x, direction)?;
        let has_state = self.objective.has_state();
        let new = New {
            object: self.tape.object,
            kind: Kind::Direction,
            x,
            value: &Ok(0.0),
            vector: direction,
            has_state,
        };
        self.tape.last = Some(self.tape.journal.append(&new).0);
        Ok(())
    }

    fn domain(&self) -> Domain {
        self.objective.domain()
    }

    fn revision(&self) -> u64 {
        self.objective.revision()
    }

    fn has_state(&self) -> bool {
        self.objective.has_state()
    }

    fn state(&self) -> Result<Vec<u8>, ObjectiveError> {
        self.objective.state()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), ObjectiveError> {
        self.objective.restore(state)
    }
}

impl<O: Objective> Drop for Journaled<O> {
    fn drop(&mut self) {
        if self.objective.has_state() {
            self.tape.keep(|| self.objective.state());
        }
    }
}
