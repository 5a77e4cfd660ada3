//! Running a method: the objective, the start, the engine and the observer.

mod lgf;
mod session;
mod start;
#[cfg(test)]
mod tests;

pub use lgf::{Lgf, LgfConfig, RunError, Unopened};
pub use session::Session;
pub(crate) use start::PairSource;
pub use start::Start;
