//! Checkpoints: a run that was killed goes on as if nothing had happened.
//!
//! A run is a function of what its objective has answered: the engine, the method and the recipe take the
//! same steps, to the last bit, if they get the same values and gradients. So a checkpoint is a [`Journal`]:
//! every value and gradient, appended to a file as soon as it is known. To go on, the run is begun again, and
//! the journal answers in the objective's place, which takes the optimizer's own time and no solve, until it
//! has no more to tell. What an objective itself carries from one evaluation to the next (the displacement
//! that an iterative solver starts from) is kept beside the journal from time to time, and at the end of
//! every run.
//!
//! It serves every method, engine and grid alike, and an objective of your own by way of [`Journaled`].
//!
//! Cost: 8 bytes per unknown and evaluation on disk, written once, by a thread of its own; the state of a
//! structure in space takes 24 bytes a node and load case, written at the pace of [`Every`]. Two vectors and
//! a state at most wait in memory to be written. When not to use it: for objectives that answer faster than
//! a disk writes.
//!
//! ```
//! use lgf::checkpoint::{Every, Journal, Journaled};
//! use lgf::engine::CpuEngine;
//! use lgf::problems::Rosenbrock;
//! use lgf::{Lgf, Stopping};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = std::env::temp_dir().join(format!("lgf-doc-{}", std::process::id()));
//! let run = |journal: &Journal, evaluations| {
//!     let objective = Journaled::new(Rosenbrock { dimension: 2 }, journal);
//!     let stopping = Stopping::default().evaluations(evaluations).tolerance(1e-6);
//!     Lgf::potential().stopping(stopping)?.on(CpuEngine::new()).minimize(objective, &[-1.2, 1.0])
//! };
//! // This run ends after 9 evaluations, and the next one goes on from there.
//! run(&Journal::create(&folder, "Rosenbrock", Every::default())?, 9)?;
//! let journal = Journal::resume(&folder, "Rosenbrock", Every::default())?;
//! assert_eq!(journal.replays(), 9);
//! let report = run(&journal, 1000)?;
//! assert!(report.objective < 1e-6);
//! journal.remove()?;
//! # Ok(())
//! # }
//! ```

mod format;
mod journal;
mod journaled;
#[cfg(test)]
mod tests;
mod writer;

pub use journal::{Every, Journal};
pub use journaled::Journaled;
pub(crate) use journaled::Tape;
