//! The base flow by itself: every step is followed by a true evaluation.

use super::truth::{Ended, Truth};
use crate::engine::Engine;
use crate::objective::Objective;
use crate::observe::Observer;

/// One step of the flow and the true evaluation where it leads.
pub(super) fn advance<O: Objective, E: Engine, W: Observer>(truth: &mut Truth<O, E, W>) -> Result<(), Ended> {
    truth.stop_where_settled()?;
    truth.step()?;
    let change = truth.read_true_step()?;
    truth.require_budget()?;
    let value = truth.evaluate()?;
    enter(truth, value, change)
}

/// Trusts what was just evaluated at x.
pub(super) fn enter<O: Objective, E: Engine, W: Observer>(
    truth: &mut Truth<O, E, W>,
    value: f64,
    change: f64,
) -> Result<(), Ended> {
    let entry = truth.enter(value, true);
    truth.settle(value)?;
    truth.tell_true_step(entry, change)
}
