//! Every kernel against its f64 twin on odd sizes and split buffers, and every WGSL file against its Rust
//! contract.

mod budgets;
mod common;
mod contract;
mod halves;
mod invariants;
mod phases;
mod potentials;
mod regressions;
mod searches;
mod twins;
