//! The command `lgf benchmark` compares optimizers, on structures or on smooth functions.

mod contest;
mod functions;
mod run;
mod topology;

pub(super) use run::{Args, run};
