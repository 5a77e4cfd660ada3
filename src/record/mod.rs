//! Plain records of a run: what it reports, what it tells observers, what engines say of themselves.
//! Everything in here can be written with serde and, but for the borrowed events, read back.

mod engine;
pub mod observe;
pub mod report;
#[cfg(test)]
mod tests;
mod verdict;

pub use engine::{EngineInfo, EngineKind, Fit, NumberFormat, PhaseEnd, Traffic};
pub use observe::{Event, Observer};
pub use report::{HistoryEntry, PhaseEntry, Report, StopReason};
pub use verdict::Verdict;
