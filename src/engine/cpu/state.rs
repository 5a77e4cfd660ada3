//! The state of a run.

use super::kernels;
use crate::scalar::Scalar;

/// What a step reads and writes.
#[derive(Debug, Clone, Default)]
pub(super) struct State<T> {
    pub(super) x: Vec<T>,
    pub(super) gradient: Vec<T>,
    /// The flow's own vectors (ADAM: m and v).
    pub(super) auxiliary: Vec<Vec<T>>,
    /// Steps taken, true and surrogate.
    pub(super) steps: u64,
}

impl<T: Scalar> State<T> {
    /// Becomes a copy of `other`, which has as many vectors of the same length.
    pub(super) fn copy_from(&mut self, other: &Self) {
        kernels::copy(&other.x, &mut self.x);
        kernels::copy(&other.gradient, &mut self.gradient);
        self.auxiliary.iter_mut().zip(&other.auxiliary).for_each(|(to, from)| kernels::copy(from, to));
        self.steps = other.steps;
    }
}
