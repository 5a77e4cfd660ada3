//! The base optimizers, seen as dynamics: what the surrogate learns and replays.
//!
//! Each flow has a file of its own with its parameters, its update rule and, where it has auxiliary vectors
//! and a differential equation, that equation, in the precision of the state ([`Scalar`](crate::Scalar)). The
//! CPU engine maps them over the state. The GPU twins are in `shaders/`: `lib/flow.wgsl` for the flows whose
//! unknowns move by themselves, `oc_growth.wgsl` and `oc_update.wgsl` for the optimality criteria,
//! `projected_gradient.wgsl` for the projected gradient.
//!
//! # Writing a new flow
//! 1. Its own file here: a parameter struct with `validate` and `update` (one unknown, one step), and
//!    `velocity` if it is a differential equation.
//! 2. A variant of [`Flow`] and one arm in each `match` of this file: name, rate, auxiliary vectors, domain.
//! 3. An arm in the CPU engine's `advance` or `step` (`engine/cpu/kernels.rs`) that maps `update` over the
//!    state, and one in `take` (`engine/cpu/equation.rs`) for `velocity`.
//! 4. A case of `Rule` (`engine/gpu/shared.rs`) with its branch of `flow_update` in `shaders/lib/flow.wgsl`
//!    (or, where the unknowns depend on each other, a shader of its own and an entry in the table of
//!    `engine/gpu/kernels.rs`) and an arm in `record_step` (`engine/gpu/steps.rs`).
//! 5. Nothing else: the tests that compare the two engines take their flows from one list (`flows` in
//!    `engine/gpu/tests/common.rs`); add it there.

mod adam;
mod gradient_descent;
mod momentum;
mod newton;
mod optimality_criteria;
mod projected_gradient;

pub use adam::Adam;
pub use gradient_descent::GradientDescent;
pub use momentum::Momentum;
pub use newton::Newton;
pub use optimality_criteria::OptimalityCriteria;
pub use projected_gradient::ProjectedGradient;

use crate::domain::Domain;
use crate::error::{Error, Result};

/// A base optimizer.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Flow {
    /// x' = −g.
    GradientDescent(GradientDescent),
    /// x' = −H⁻¹g; the objective supplies the direction.
    Newton(Newton),
    /// m' = −c m − g, x' = m: heavy ball or Nesterov.
    Momentum(Momentum),
    /// ADAM, with AMSGrad if asked for.
    Adam(Adam),
    /// Optimality criteria for one volume constraint.
    OptimalityCriteria(OptimalityCriteria),
    /// Gradient descent projected onto bounds, or bounds and one linear constraint.
    ProjectedGradient(ProjectedGradient),
}

impl Flow {
    /// The field's name for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::GradientDescent(_) => "gradient-descent",
            Self::Newton(_) => "newton",
            Self::Momentum(_) => "momentum",
            Self::Adam(_) => "adam",
            Self::OptimalityCriteria(_) => "oc",
            Self::ProjectedGradient(_) => "projected-gradient",
        }
    }

    /// The spacing dt of the iterates in flow time, if the flow has a time.
    pub fn rate(&self) -> Option<f64> {
        match self {
            Self::GradientDescent(flow) => Some(flow.rate),
            Self::Newton(flow) => Some(flow.rate),
            Self::Momentum(flow) => Some(flow.rate),
            Self::Adam(flow) => Some(flow.rate),
            Self::ProjectedGradient(flow) => Some(flow.rate),
            Self::OptimalityCriteria(_) => None,
        }
    }

    /// How many vectors of length d the state has besides x.
    pub fn auxiliary_vectors(&self) -> usize {
        match self {
            Self::GradientDescent(_)
            | Self::Newton(_)
            | Self::OptimalityCriteria(_)
            | Self::ProjectedGradient(_) => 0,
            Self::Momentum(_) => 1,
            Self::Adam(flow) => 2 + usize::from(flow.amsgrad),
        }
    }

    /// Whether x' is a function of x alone, so that it can be learned from the iterates without gradients.
    pub fn is_driven_by_velocity(&self) -> bool {
        matches!(self, Self::GradientDescent(_) | Self::Newton(_))
    }

    /// Whether a step is driven by H⁻¹g instead of g.
    pub fn needs_newton_direction(&self) -> bool {
        matches!(self, Self::Newton(_))
    }

    /// How many of the state's vectors (x first) follow the flow's differential equation; 0 if it has none.
    pub fn equation_vectors(&self) -> usize {
        match self {
            Self::GradientDescent(_) | Self::Newton(_) => 1,
            Self::Momentum(_) => 2,
            Self::Adam(_) => 3,
            Self::OptimalityCriteria(_) | Self::ProjectedGradient(_) => 0,
        }
    }

    /// Checks the parameters.
    pub(crate) fn validate_parameters(&self) -> Result<()> {
        match self {
            Self::GradientDescent(flow) => flow.validate(),
            Self::Newton(flow) => flow.validate(),
            Self::Momentum(flow) => flow.validate(),
            Self::Adam(flow) => flow.validate(),
            Self::OptimalityCriteria(flow) => flow.validate(),
            Self::ProjectedGradient(flow) => flow.validate(),
        }
    }

    /// Checks that the flow can work on `domain`.
    pub(crate) fn validate(&self, domain: &Domain) -> Result<()> {
        match (self, domain) {
            (Self::OptimalityCriteria(_), Domain::BoxVolume { bounds, volume }) => {
                let each = (0..volume.weights.len()).map(|i| bounds.view().at(i));
                match each.into_iter().find(|[lower, upper]| *lower < 0.0 || *upper == f64::INFINITY) {
                    Some([lower, _]) if lower < 0.0 => Err(Error::invalid(
                        "the design's lower bound",
                        lower,
                        "at least 0 for the OC flow, whose steps are factors",
                    )),
                    Some([_, upper]) => Err(Error::invalid(
                        "the design's upper bound",
                        upper,
                        "finite for the OC flow, whose move limit is a share of the bounds' width",
                    )),
                    None => Ok(()),
                }
            }
            (Self::OptimalityCriteria(_), _) => {
                Err(Error::domain("the OC flow", "an objective on a box with a volume constraint"))
            }
            (Self::ProjectedGradient(_), _) | (_, Domain::Unbounded) => Ok(()),
            _ => Err(Error::domain(
                self.name(),
                "an objective without constraints; wrap the objective in an unconstrained parametrisation \
                 (SigmoidDesign) or use the projected-gradient flow",
            )),
        }
    }
}
