//! A run's method with what it remembers between two pieces.

use super::truth::{Ended, Truth};
use super::{Method, cosine, field, plain, potential};
use crate::engine::Engine;
use crate::objective::Objective;
use crate::observe::Observer;

/// Where a run is in its method's cycle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Course {
    /// Nothing has been evaluated yet.
    Start(Method),
    /// The plain flow remembers nothing.
    Plain,
    Field(field::Cycle),
    Cosine(cosine::Cycle),
    Potential(potential::Cycle),
}

impl Course {
    /// One piece of the run: the evaluated start, a true step with its evaluation, or a surrogate phase with
    /// the evaluation of its landing.
    pub(crate) fn advance<O: Objective, E: Engine, W: Observer>(
        &mut self,
        truth: &mut Truth<O, E, W>,
    ) -> Result<(), Ended> {
        match self {
            Self::Start(method) => {
                let method = *method;
                *self = Self::begin(method, truth)?;
                Ok(())
            }
            Self::Plain => plain::advance(truth),
            Self::Field(cycle) => cycle.advance(truth),
            Self::Cosine(cycle) => cycle.advance(truth),
            Self::Potential(cycle) => cycle.advance(truth),
        }
    }

    fn begin<O: Objective, E: Engine, W: Observer>(
        method: Method,
        truth: &mut Truth<O, E, W>,
    ) -> Result<Self, Ended> {
        let (value, told) = truth.evaluate_start()?;
        let course = match method {
            Method::Plain(_) => {
                plain::enter(truth, value, 0.0)?;
                Self::Plain
            }
            Method::Field(settings) => {
                let mut cycle = field::Cycle::new(settings);
                cycle.enter(truth, value, 0.0)?;
                Self::Field(cycle)
            }
            Method::Cosine(settings) => {
                let mut cycle = cosine::Cycle::new(settings)?;
                cycle.enter(truth, value, 0.0)?;
                Self::Cosine(cycle)
            }
            Method::Potential(rule) => {
                let mut cycle = potential::Cycle::new(rule, truth, value)?;
                cycle.enter(truth, value, 0.0)?;
                Self::Potential(cycle)
            }
        };
        told?;
        Ok(course)
    }
}
