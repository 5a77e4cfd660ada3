//! Standard test functions, each with its reference solution.

mod functions;

pub use functions::{Quadratic, Rosenbrock};
