//! Running a method: what to minimise, from where, on which engine, watched by whom.

mod lgf;
mod session;
mod start;
#[cfg(test)]
mod tests;

pub use lgf::{Lgf, LgfConfig, RunError, Unopened};
pub use session::Session;
pub use start::Start;
