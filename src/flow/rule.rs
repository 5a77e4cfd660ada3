//! The interface of the base flows, and the parameters of their kernels.

use crate::domain::Domain;
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// A base flow. What has a default holds for most.
pub(crate) trait FlowRule {
    /// The name of the flow, as in the literature.
    const NAME: &'static str;

    /// Checks the range of each parameter.
    fn validate_parameters(&self) -> Result<()>;

    /// The spacing dt of the iterates in flow time, if the flow has a time.
    fn rate(&self) -> Option<f64>;

    /// How many vectors of length d the state has besides x.
    fn auxiliary_vectors(&self) -> usize {
        0
    }

    /// Whether x' is a function of x alone.
    fn is_driven_by_velocity(&self) -> bool {
        false
    }

    /// Whether a step is driven by H⁻¹g instead of g.
    fn needs_newton_direction(&self) -> bool {
        false
    }

    /// How many of the state's vectors follow a differential equation.
    fn equation_vectors(&self) -> usize {
        0
    }

    /// The longest step of any unknown, where the parameters bound it.
    fn longest_step(&self) -> Option<f64> {
        None
    }

    /// Checks that the flow can work on `domain`.
    fn check_domain(&self, domain: &Domain) -> Result<()> {
        match domain {
            Domain::Unbounded => Ok(()),
            _ => Err(Error::domain(
                Self::NAME,
                "an objective without constraints; wrap the objective in an unconstrained parametrisation \
                 (SigmoidDesign) or use the projected-gradient flow",
            )),
        }
    }
}

/// A flow whose unknowns move by themselves. Its twin is its branch of `flow_update` in
/// `shaders/lib/flow.wgsl`.
pub(crate) trait Separable: FlowRule {
    /// The constant that the kernels know the rule by: its name and its value, one for each rule.
    const RULE: (&'static str, u32);

    /// The parameters of the kernel at step number `k` ≥ 1.
    fn parameters(&self, k: u64) -> StepParameters;

    /// Step number `k` ≥ 1 of a chunk of unknowns; `own` are the flow's vectors there.
    fn advance<T: Scalar>(&self, k: u64, x: &mut [T], own: &mut [&mut [T]], g: &[T]);
}

macro_rules! parameters {
    ($($(#[$doc:meta])* $field:ident: $type:ty,)*) => {
        /// The parameters of one step on the device: `struct FlowRule` of `shaders/lib/flow.wgsl`.
        #[repr(C)]
        #[derive(Debug, Clone, Copy, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
        pub(crate) struct StepParameters { $($(#[$doc])* pub(crate) $field: $type),* }

        impl StepParameters {
            /// The name and the offset in bytes of every member.
            pub(crate) const MEMBERS: &[(&'static str, usize)] =
                &[$((stringify!($field), core::mem::offset_of!(Self, $field))),*];
        }
    };
}

parameters! {
    /// The value of [`Separable::RULE`].
    rule: u32,
    rate: f32,
    decay: f32,
    nesterov: u32,
    beta1: f32,
    beta2: f32,
    one_minus_beta1: f32,
    one_minus_beta2: f32,
    epsilon: f32,
    correction1: f32,
    correction2: f32,
    amsgrad: u32,
}
