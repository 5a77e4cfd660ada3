//! The paper's five problems: their settings, measures of success and pictures.

mod case;
mod elastic_network;
mod heat_inverse;
mod nonlinear_heat;
mod problem;
mod scattering;
mod topology_reduced;

pub(super) use case::{Case, Settings, Solved};
pub(super) use problem::{Problem, Scale};
