//! A discovery whose every setting is given.

use super::{Aim, Discovery, Search, Threshold, Trajectory, Units, Variables, WeakChoice};
use crate::engine::Engine;
use crate::error::Result;
use crate::surrogate::{Regression, Targets};

/// The settings of a discovery by [`discover`], all of them given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DiscoverConfig {
    /// Highest order of the monomials, ≥ 1.
    pub order: usize,
    /// Whether there is a constant.
    pub bias: bool,
    /// Whether the regression sees the features through an orthonormal basis.
    pub orthonormal: bool,
    /// The variables that the equations are written in.
    pub variables: Variables,
    /// The kind of targets that are regressed on.
    pub targets: Targets,
    /// How the coefficients are regressed: ridge, threshold and refits.
    pub regression: Regression,
}

/// Finds the equations of `trajectory` with `engine`'s regression, every setting as it is given.
///
/// # Errors
/// Settings outside their ranges, targets that the trajectory does not have, and faults of the engine.
pub fn discover(
    trajectory: &Trajectory,
    config: &DiscoverConfig,
    engine: &mut dyn Engine,
) -> Result<Discovery> {
    Search::from(config).run(std::slice::from_ref(trajectory), engine)
}

impl From<&DiscoverConfig> for Search {
    fn from(config: &DiscoverConfig) -> Self {
        let regression = config.regression;
        Self {
            order: config.order,
            bias: config.bias,
            orthonormal: config.orthonormal,
            variables: config.variables,
            aim: match config.targets {
                Targets::Tracked => Aim::Tracked,
                Targets::StrongForm { differences } => Aim::Strong(differences),
                Targets::WeakForm(weak) => Aim::Weak(WeakChoice {
                    half_width: Some(weak.half_width),
                    power: Some(weak.power),
                    stride: Some(weak.stride),
                    include_endpoints: weak.include_endpoints,
                }),
            },
            threshold: Threshold::Given(regression.threshold),
            units: Units::Own,
            ridge: regression.ridge,
            max_iterations: regression.max_iterations,
            normalize: regression.normalize,
            refit: regression.refit,
            likelihood: false,
            ..Self::default()
        }
    }
}
