//! The feasible set: bounds on the unknowns, one volume constraint, and what is computed from them on the
//! host.
//!
//! | you want to | use |
//! |---|---|
//! | say where x may be | [`Domain`], made of [`Bounds`] and a [`Volume`] |
//! | find the nearest feasible point | [`Domain::project`] |
//! | know how far x is from a stationary point | [`kkt_residual`] |
//! | scale a design to a volume | [`volume_scale`] |
//!
//! All of it is f64. Every search for a multiplier on the host goes through one loop with one stopping rule;
//! those of the shaders, and the one of a learned potential's trust region, are the engines' own and twins
//! of each other.
//!
//! One pair of bounds for all unknowns, or a pair for each of them; single bounds may be missing:
//! ```
//! use lgf::domain::{Bounds, Domain};
//!
//! let unit = Domain::uniform(0.0, 1.0);
//! assert_eq!(unit.project(&[-0.5, 0.25, 7.0]), [0.0, 0.25, 1.0]);
//!
//! let each = Domain::Box(Bounds::per_unknown(vec![0.0, -1.0, 2.0], vec![f64::INFINITY, 1.0, 3.0]));
//! assert_eq!(each.project(&[-0.5, 0.25, 7.0]), [0.0, 0.25, 3.0]);
//! ```

mod bounds;
mod feasible_set;
mod kkt;
mod multiplier;
mod projection;
mod sigmoid;
mod volume;

pub use bounds::{Bounds, BoundsRef};
pub use feasible_set::Domain;
pub use kkt::kkt_residual;
pub use multiplier::volume_scale;
pub(crate) use multiplier::{bisect, bracket_above, newton};
pub(crate) use projection::clip;
pub(crate) use sigmoid::{logit, sigmoid};
pub use volume::Volume;
