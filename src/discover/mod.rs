//! Equation discovery on recorded trajectories: the surrogate's library, targets and regression, without an
//! optimizer.
//!
//! Given samples x(t_k) ∈ R^d of one or several trajectories, find sparse Ξ with x' = Ξᵀ Θ(x, u, t), or, with
//! recorded gradients, g = Ξᵀ Θ, or, for a map, x_{k+1} = Ξᵀ Θ; in x itself or in the coordinates z of the
//! trajectory's leading directions. Cost: one SVD of the samples (reduced space), the library at K samples,
//! sparse regressions. Precision: f64 but for the regression itself, which is the engine's.
//!
//! [`Search`] chooses what is not given (threshold, bumps, terms) from the recording; [`discover`] takes
//! every setting as it is.
//!
//! A pendulum's small swing, x = (cos t, −sin t), obeys x₁' = x₂ and x₂' = −x₁:
//! ```
//! use lgf::discover::{DiscoverConfig, Trajectory, Variables, discover};
//! use lgf::engine::CpuEngine;
//! use lgf::surrogate::{Differences, Regression, Ridge, Targets};
//! use ndarray::Array;
//!
//! # fn main() -> lgf::Result<()> {
//! let times = Array::linspace(0.0, 6.0, 601);
//! let swing = |t: f64| [t.cos(), -t.sin()];
//! let states = Array::from_shape_fn((601, 2), |(k, i)| swing(times[k])[i]);
//! let ridge = Regression::ridge(Ridge::Absolute(1e-6));
//! let config = DiscoverConfig {
//!     order: 2,
//!     bias: true,
//!     orthonormal: false,
//!     variables: Variables::Full,
//!     targets: Targets::StrongForm { differences: Differences::FivePoint },
//!     regression: Regression { threshold: 0.1, max_iterations: 10, ..ridge },
//! };
//! let found = discover(&Trajectory::new(states, times, None)?, &config, &mut CpuEngine::new())?;
//! assert_eq!(found.equations(), ["dx1/dt = 1.000 x2", "dx2/dt = -1.000 x1"]);
//! # Ok(())
//! # }
//! ```

mod config;
mod doubts;
mod found;
mod likelihood;
mod noise;
mod quadrature;
mod search;
mod select;
mod simulate;
mod terms;
mod text;
mod trajectory;
mod variables;

pub use config::{DiscoverConfig, discover};
pub use found::{Discovery, Kind, Refinement};
pub use noise::{WeakChoice, noise};
pub use search::{Aim, Progress, Search, Threshold, Units, Watch};
pub use select::PathEntry;
pub use simulate::{Input, recorded_input};
pub use terms::{Function, Terms};
pub use trajectory::Trajectory;
pub use variables::Variables;
