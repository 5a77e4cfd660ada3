//! The choice of a method.

use serde::{Deserialize, Serialize};

use super::{Cadence, Cosine, Field, Potential};
use crate::engine::Samples;
use crate::error::Result;
use crate::flow::{Flow, ProjectedGradient};

/// Which method a run follows; each variant holds exactly the settings that it uses.
///
/// ```
/// use lgf::flow::{Adam, Flow};
/// use lgf::method::{Field, Method, Potential};
/// use lgf::surrogate::SurrogateConfig;
///
/// let flow = Flow::Adam(Adam::new(0.05));
/// assert_eq!(Method::from(flow).name(), "plain");
/// assert_eq!(Method::from(Field::adaptive(flow, SurrogateConfig::snapshots())).name(), "adaptive");
/// assert_eq!(Method::from(Potential::default()).name(), "potential");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Method {
    /// The base flow by itself: every step is followed by a true evaluation.
    Plain(Flow),
    /// The gradient is learned as a field, and the base flow runs on the model between true evaluations.
    Field(Field),
    /// As a field, with learned steps within a reach that follows the angle between learned and true steps.
    Cosine(Cosine),
    /// A potential is learned and minimised in a trust region between any two true evaluations.
    Potential(Potential),
}

impl Method {
    /// The one name that the library, the command line and the records use: `plain`, `fixed`, `adaptive`,
    /// `cosine` or `potential`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Plain(_) => "plain",
            Self::Field(Field { cadence: Cadence::Fixed(_), .. }) => "fixed",
            Self::Field(Field { cadence: Cadence::Adaptive(_), .. }) => "adaptive",
            Self::Cosine(_) => "cosine",
            Self::Potential(_) => "potential",
        }
    }

    /// The base flow that was chosen; none for a potential, which is minimised by projected gradient steps.
    pub fn flow(&self) -> Option<&Flow> {
        match self {
            Self::Plain(flow) => Some(flow),
            Self::Field(field) => Some(&field.flow),
            Self::Cosine(cosine) => Some(&cosine.flow),
            Self::Potential(_) => None,
        }
    }

    /// The flow whose rule the engine steps by. The first step of a potential is a projected gradient step.
    pub(crate) fn engine_flow(&self) -> Flow {
        self.flow().copied().unwrap_or(Flow::ProjectedGradient(ProjectedGradient { rate: 1.0 }))
    }

    /// How many samples the history holds; 0 without a model.
    pub fn capacity(&self) -> usize {
        match self {
            Self::Plain(_) => 0,
            Self::Field(field) => field.cadence.capacity(),
            Self::Cosine(cosine) => cosine.rule.window,
            Self::Potential(potential) => potential.memory,
        }
    }

    /// What a sample of the history is.
    pub(crate) fn samples(&self) -> Samples {
        if let Self::Potential(_) = self { Samples::Pairs } else { Samples::Points }
    }

    /// How many directions a fit keeps at most, where the settings say.
    pub(crate) fn max_rank(&self) -> Option<usize> {
        match self {
            Self::Plain(_) | Self::Potential(_) => None,
            Self::Field(field) => field.max_rank(),
            Self::Cosine(cosine) => Some(cosine.surrogate.space.most_directions(cosine.rule.window)),
        }
    }

    /// Whether no setting of the method has the unit of an unknown or of a gradient.
    pub(crate) fn is_free_of_units(&self) -> bool {
        self.flow().is_none_or(|flow| matches!(flow, Flow::OptimalityCriteria(_)))
    }

    /// Whether the tolerance is a share of the unit of length, not in the unit of the unknowns: so it is but
    /// for ADAM, whose rate is the length of its steps.
    pub(crate) fn tolerance_is_relative(&self) -> bool {
        !matches!(self.flow(), Some(Flow::Adam(_)))
    }

    /// The longest step that the method can take at first, where its parameters bound it.
    pub(crate) fn longest_step(&self) -> Option<f64> {
        match self {
            Self::Potential(potential) => Some(potential.radius),
            method => method.flow().and_then(Flow::longest_step),
        }
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// [`Error::Settings`](crate::Error), naming the culprit.
    pub fn validate(&self) -> Result<()> {
        if let Some(flow) = self.flow() {
            flow.validate_parameters()?;
        }
        match self {
            Self::Plain(_) => Ok(()),
            Self::Field(field) => field.validate(),
            Self::Cosine(cosine) => cosine.validate(),
            Self::Potential(potential) => potential.validate(),
        }
    }
}

impl From<Flow> for Method {
    fn from(flow: Flow) -> Self {
        Self::Plain(flow)
    }
}

impl From<Field> for Method {
    fn from(field: Field) -> Self {
        Self::Field(field)
    }
}

impl From<Cosine> for Method {
    fn from(cosine: Cosine) -> Self {
        Self::Cosine(cosine)
    }
}

impl From<Potential> for Method {
    fn from(potential: Potential) -> Self {
        Self::Potential(potential)
    }
}
