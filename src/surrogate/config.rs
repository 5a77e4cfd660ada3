//! What to learn, and how.

use super::{Library, Rank, Regression, Ridge, SpaceConfig, TargetTransform, Targets};
use crate::error::{Error, Result};
use crate::flow::Flow;

/// How the model's few outputs become a vector of length d.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lift {
    /// Along the span of the iterates: T = U. What lies outside is lost; the paper's choice, and the only one
    /// for the strong and weak form.
    Trajectory,
    /// A combination of the recorded targets, with weights that are polynomials of z: T = the K targets, and
    /// column j of Ξ learns the weight of target j (regression onto the identity). With a full space this is
    /// polynomial kernel ridge regression.
    Snapshots,
}

/// What to learn, and how. Immutable; see [`validate`](Self::validate) for the ranges.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SurrogateConfig {
    /// Highest order n of the monomials, 1 to 6. Order 1 is a linear field (dynamic mode decomposition and
    /// its kin).
    pub order: usize,
    /// Whether Θ has the constant.
    pub bias: bool,
    /// Whether the regression sees Θ through an orthonormal basis of the samples' features, Θ V S⁻¹ (singular
    /// values below 10⁻¹² s_max dropped).
    pub orthonormal: bool,
    /// The variables z of the library: x itself or coordinates in a basis.
    pub space: SpaceConfig,
    /// The kind of targets that are regressed on.
    pub targets: Targets,
    /// The elementwise transform of the targets.
    pub transform: TargetTransform,
    /// How the model's outputs become vectors of length d.
    pub lift: Lift,
    /// How the coefficients Ξ are found.
    pub regression: Regression,
}

impl SurrogateConfig {
    /// The paper's setting for gradient-descent and ADAM flows: order 1 with bias, tracked gradients along
    /// the trajectory, uncentred, the paper's regression with the ridge kept.
    pub fn paper(space: SpaceConfig) -> Self {
        Self {
            order: 1,
            bias: true,
            orthonormal: false,
            space,
            targets: Targets::Tracked,
            transform: TargetTransform::Identity,
            lift: Lift::Trajectory,
            regression: Regression::paper(),
        }
    }

    /// The general default: order 1, centred and scaled space of all resolved directions, tracked gradients
    /// lifted by the snapshots, ridge 10⁻³ of the mean squared feature row.
    pub fn snapshots() -> Self {
        Self {
            order: 1,
            bias: true,
            orthonormal: false,
            space: SpaceConfig::Reduced { rank: Rank::Full, centered: true },
            targets: Targets::Tracked,
            transform: TargetTransform::Identity,
            lift: Lift::Snapshots,
            regression: Regression::ridge(Ridge::Relative(1e-3)),
        }
    }

    /// The setting for topology optimization: [`snapshots`](Self::snapshots) on y = log(−g) + a·log x with
    /// damping a = ½.
    pub fn topology() -> Self {
        Self { transform: TargetTransform::LogDamped { damping: 0.5 }, ..Self::snapshots() }
    }

    /// Checks every field, and that they fit each other, the flow and a history of `capacity` iterates.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError), naming the field.
    pub fn validate(&self, flow: &Flow, capacity: usize) -> Result<()> {
        if !(1..=6).contains(&self.order) {
            return Err(Error::invalid("the order", self.order, "between 1 and 6"));
        }
        self.space.validate(capacity)?;
        self.regression.validate()?;
        self.targets.validate()?;
        self.transform.validate()?;
        if self.targets.samples_needed() > capacity {
            return Err(Error::invalid(
                "the history size",
                capacity,
                format!("at least {} for these targets", self.targets.samples_needed()),
            ));
        }
        if self.targets != Targets::Tracked {
            if !flow.is_driven_by_velocity() {
                return Err(Error::exclusive(
                    "strong- and weak-form targets",
                    format!("the {} flow", flow.name()),
                    "the targets learn x', which the flow is not driven by; use tracked targets",
                ));
            }
            if self.lift == Lift::Snapshots || self.transform != TargetTransform::Identity {
                return Err(Error::only_with(
                    "strong- and weak-form targets",
                    "the trajectory lift and no transform: they lie along the trajectory",
                ));
            }
        }
        if self.lift == Lift::Trajectory && self.transform != TargetTransform::Identity {
            return Err(Error::only_with(
                "transformed targets",
                "the snapshot lift: they do not lie along the trajectory",
            ));
        }
        if self.transform != TargetTransform::Identity && !matches!(flow, Flow::OptimalityCriteria(_)) {
            return Err(Error::exclusive(
                "logarithmic targets",
                format!("the {} flow", flow.name()),
                "the targets need gradients that are never positive and go with the OC flow",
            ));
        }
        let variables = match self.space {
            SpaceConfig::Reduced { rank: Rank::Count(rank), .. } => Some(rank),
            SpaceConfig::Reduced { centered, .. } => Some(capacity - usize::from(centered && capacity > 1)),
            SpaceConfig::Full | SpaceConfig::Implicit => None,
        };
        if let Some(variables) = variables {
            let count = Library::feature_count(variables, self.order, self.bias);
            if count.is_none_or(|c| c > Library::MAX_FEATURES) {
                let found = format!(
                    "{} for order {} in {variables} directions",
                    count.map_or("astronomical".into(), |c| c.to_string()),
                    self.order
                );
                return Err(Error::invalid(
                    "the number of polynomial features",
                    found,
                    format!(
                        "at most {}: lower the order, the rank or the history size",
                        Library::MAX_FEATURES
                    ),
                ));
            }
        }
        if self.lift == Lift::Snapshots && (self.regression.threshold > 0.0 || self.regression.refit) {
            return Err(Error::only_with(
                "thresholding and refitting",
                "the trajectory lift: the snapshot lift's weights have no sparse form",
            ));
        }
        if self.space == SpaceConfig::Implicit {
            if self.order > 3 {
                return Err(Error::invalid(
                    "the order",
                    self.order,
                    "between 1 and 3 for the implicit library",
                ));
            }
            if self.lift != Lift::Snapshots
                || self.targets != Targets::Tracked
                || self.regression.normalize
                || self.orthonormal
            {
                return Err(Error::only_with(
                    "the implicit library",
                    "tracked targets and the snapshot lift, without column normalisation or orthonormal \
                     features",
                ));
            }
        }
        Ok(())
    }
}
