//! The list of the problems, and their scales.

use clap::ValueEnum;

use super::case::Case;
use super::{elastic_network, heat_inverse, nonlinear_heat, scattering, topology_reduced};
use crate::error::Result;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Problem {
    /// Two conductivities from a transient temperature field: 2 unknowns, gradient descent
    HeatInverse,
    /// A strongly nonlinear temperature field: 225 unknowns, Newton
    NonlinearHeat,
    /// A slowness field from scattered waves: 346 unknowns, ADAM
    Scattering,
    /// An elastic cube whose displacement is a neural network: 560 unknowns, ADAM
    ElasticNetwork,
    /// The half-MBB beam in a sigmoid parametrisation: 1200 unknowns, gradient descent, reduced space of rank
    /// 2
    TopologyReduced,
}

impl Problem {
    pub(in crate::cli) fn name(self) -> &'static str {
        match self {
            Self::HeatInverse => "heat-inverse",
            Self::NonlinearHeat => "nonlinear-heat",
            Self::Scattering => "scattering",
            Self::ElasticNetwork => "elastic-network",
            Self::TopologyReduced => "topology-reduced",
        }
    }

    pub(in crate::cli) fn open(self, scale: Scale) -> Result<Box<dyn Case>> {
        Ok(match self {
            Self::HeatInverse => Box::new(heat_inverse::Heat::new(scale)?),
            Self::NonlinearHeat => Box::new(nonlinear_heat::Heat::new(scale)?),
            Self::Scattering => Box::new(scattering::Waves::new(scale)?),
            Self::ElasticNetwork => Box::new(elastic_network::Cube::new(scale)?),
            Self::TopologyReduced => Box::new(topology_reduced::Beam::new(scale)?),
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Scale {
    /// As in the paper: a second to ten minutes
    Full,
    /// The size of the reference data: seconds
    Small,
}
