//! The learned model as plain data and small-matrix mathematics; knows no engine.
//!
//! ĝ(x) = decode( Tᵀ Ξᵀ Θ(z), x ),  z = U (x − c)/σ
//!
//! | symbol | shape | meaning | file |
//! |---|---|---|---|
//! | z | r | coordinates of x in the space of the last K iterates | [`space`] |
//! | Θ | P | all monomials of z up to an order | [`library`] |
//! | Ξ | P×m | coefficients, one ridge least-squares problem per column | [`regression`] |
//! | T | m×d | what is lifted by: the space's own basis, or the recorded targets themselves | [`Lift`] |
//! | decode | | undoes an elementwise transform of the targets | [`transform`] |

pub mod library;
pub mod regression;
pub mod space;
pub mod targets;
pub mod transform;

pub use library::Library;
pub use regression::Ridge;
pub use space::{Rank, Space};
pub use targets::Targets;
pub use transform::TargetTransform;

use crate::error::{Error, Result};
use crate::flow::Flow;

/// How the model's few outputs become a vector of length d.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lift {
    /// Along the span of the iterates: T = U. What lies outside is lost; the paper's choice, and the only one for the strong form.
    Trajectory,
    /// A combination of the recorded targets, with weights that are polynomials of z: T = the K targets, and column j of Ξ learns the
    /// weight of target j (regression onto the identity). With a full space this is polynomial kernel ridge regression.
    Snapshots,
}

/// What to learn, and how. Immutable; see [`validate`](Self::validate) for the ranges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SurrogateConfig {
    /// Highest order n of the monomials, ≥ 1. Order 1 is a linear field (dynamic mode decomposition and its kin).
    pub order: usize,
    /// Whether Θ has the constant.
    pub bias: bool,
    /// How many directions of the history to keep.
    pub rank: Rank,
    /// z = U(x − mean)/radius (better conditioned) instead of z = U x (the paper).
    pub centered: bool,
    /// What is regressed on.
    pub targets: Targets,
    /// Elementwise transform of the targets.
    pub transform: TargetTransform,
    /// How outputs become vectors.
    pub lift: Lift,
    /// The ridge α.
    pub ridge: Ridge,
}

impl SurrogateConfig {
    /// The paper's setting for gradient-descent and ADAM flows: order 1 with bias, uncentred space of the given rank, tracked gradients
    /// lifted along the trajectory, ridge 10⁻⁶.
    pub fn paper(rank: Rank) -> Self {
        Self {
            order: 1,
            bias: true,
            rank,
            centered: false,
            targets: Targets::Tracked,
            transform: TargetTransform::Identity,
            lift: Lift::Trajectory,
            ridge: Ridge::Absolute(1e-6),
        }
    }

    /// The general default: order 1, centred and scaled full space, tracked gradients lifted by the snapshots, ridge 10⁻³ of the mean
    /// squared feature row.
    pub fn snapshots() -> Self {
        Self {
            order: 1,
            bias: true,
            rank: Rank::Full,
            centered: true,
            targets: Targets::Tracked,
            transform: TargetTransform::Identity,
            lift: Lift::Snapshots,
            ridge: Ridge::Relative(1e-3),
        }
    }

    /// The setting for topology optimization: [`snapshots`](Self::snapshots) on y = log(−g) + a·log x with damping a = ½.
    pub fn topology() -> Self {
        Self { transform: TargetTransform::LogDamped { damping: 0.5 }, ..Self::snapshots() }
    }

    /// Checks every field, and that they fit each other, the flow and a history of `capacity` iterates.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] or [`Error::Incompatible`], naming the field.
    pub fn validate(&self, flow: &Flow, capacity: usize) -> Result<()> {
        if !(1..=4).contains(&self.order) {
            return Err(Error::invalid("the order", self.order, "between 1 and 4"));
        }
        if let Rank::Count(rank) = self.rank
            && !(1..=capacity).contains(&rank)
        {
            return Err(Error::invalid("the rank", rank, format!("between 1 and the history size, {capacity}")));
        }
        self.ridge.validate()?;
        self.transform.validate()?;
        if self.targets.samples_needed() > capacity {
            return Err(Error::invalid("the history size", capacity, format!("at least {} for these targets", self.targets.samples_needed())));
        }
        if let Targets::StrongForm { .. } = self.targets {
            if !matches!(flow, Flow::GradientDescent(_)) {
                return Err(Error::Incompatible(format!("strong-form targets learn x', which the {} flow is not driven by; use tracked targets", flow.name())));
            }
            if self.lift == Lift::Snapshots || self.transform != TargetTransform::Identity {
                return Err(Error::Incompatible("strong-form targets lie along the trajectory: they go with the trajectory lift and no transform".into()));
            }
        }
        if self.lift == Lift::Trajectory && self.transform != TargetTransform::Identity {
            return Err(Error::Incompatible("transformed targets do not lie along the trajectory: they go with the snapshot lift".into()));
        }
        Ok(())
    }
}
