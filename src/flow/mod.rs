//! The base optimizers, seen as dynamics: what the surrogate learns and replays.
//!
//! One file each, holding its parameters, the auxiliary vectors of its state, and its update rule in f64, which the CPU engine maps over
//! the state. The GPU twin is the file of the same name in `shaders/`. A new flow is its own file, its shader, one variant of
//! [`Flow`] and one line in the GPU engine's table.

mod adam;
mod gradient_descent;
mod optimality_criteria;

pub use adam::Adam;
pub use gradient_descent::GradientDescent;
pub use optimality_criteria::{OptimalityCriteria, volume_scale};

use crate::error::{Error, Result};
use crate::objective::Domain;

/// A base optimizer.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Flow {
    /// x' = −g.
    GradientDescent(GradientDescent),
    /// ADAM (Kingma & Ba 2015).
    Adam(Adam),
    /// Optimality criteria for one volume constraint.
    OptimalityCriteria(OptimalityCriteria),
}

impl Flow {
    /// The field's name for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::GradientDescent(_) => "gradient-descent",
            Self::Adam(_) => "adam",
            Self::OptimalityCriteria(_) => "oc",
        }
    }

    /// The spacing dt of the iterates in flow time, if the flow has a time.
    pub fn rate(&self) -> Option<f64> {
        match self {
            Self::GradientDescent(flow) => Some(flow.rate),
            Self::Adam(flow) => Some(flow.rate),
            Self::OptimalityCriteria(_) => None,
        }
    }

    /// How many vectors of length d the state has besides x.
    pub fn auxiliary_vectors(&self) -> usize {
        match self {
            Self::GradientDescent(_) | Self::OptimalityCriteria(_) => 0,
            Self::Adam(_) => 2,
        }
    }

    /// Checks the parameters and that the flow can work on `domain`.
    pub(crate) fn validate(&self, domain: &Domain) -> Result<()> {
        match self {
            Self::GradientDescent(flow) => flow.validate()?,
            Self::Adam(flow) => flow.validate()?,
            Self::OptimalityCriteria(flow) => flow.validate()?,
        }
        match (self, domain) {
            (Self::OptimalityCriteria(_), Domain::BoxVolume { .. }) | (Self::GradientDescent(_) | Self::Adam(_), Domain::Unbounded) => Ok(()),
            (Self::OptimalityCriteria(_), _) => Err(Error::Incompatible("the OC flow needs an objective on a box with a volume constraint".into())),
            _ => Err(Error::Incompatible(format!(
                "the {} flow knows no constraints; wrap the objective in an unconstrained parametrisation (SigmoidDesign)",
                self.name()
            ))),
        }
    }
}
