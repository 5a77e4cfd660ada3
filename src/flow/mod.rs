//! The base optimizers, seen as dynamics: what the surrogate learns and replays.
//!
//! Each flow has a file of its own with its parameters, its update rule and, where it has auxiliary vectors
//! and a differential equation, that equation, in the precision of the state ([`Scalar`]). The
//! CPU engine maps them over the state. The GPU twins are in `shaders/`: `lib/flow.wgsl` for the flows whose
//! unknowns move by themselves, `oc_growth.wgsl` and `oc_update.wgsl` for the optimality criteria,
//! `projected_gradient.wgsl` for the projected gradient. A flow's file says what its kernel is given as well.
//!
//! A flow is a method by itself, the plain one. Gradient descent on ½ (x − 1)² with the rate ½ halves the
//! distance to the minimum at every step; the first of the 4 evaluations is that of the start:
//! ```
//! use lgf::engine::CpuEngine;
//! use lgf::flow::{Flow, GradientDescent};
//! use lgf::problems::Quadratic;
//! use lgf::{Lgf, Stopping};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let flow = Flow::GradientDescent(GradientDescent { rate: 0.5 });
//! let lgf = Lgf::new(flow)?.stopping(Stopping::default().evaluations(4).tolerance(0.0))?;
//! let report = lgf.on(CpuEngine::new()).minimize(Quadratic::geometric(1, 1.0), &[0.0])?;
//! assert_eq!(report.x, [0.875]);
//! # Ok(())
//! # }
//! ```
//!
//! # Writing a new flow
//! 1. Its own file here: a parameter struct that implements `FlowRule` and, if its unknowns move by
//!    themselves, `Separable`: its name, checks, step, and the kernel's parameters with a rule number of its
//!    own.
//! 2. Its branch of `flow_update` in `shaders/lib/flow.wgsl`.
//! 3. One line in the list of flows below.
//!
//! A flow with a differential equation has a `velocity` as well, an arm in `take` (`engine/cpu/equation.rs`)
//! and one in `equation_slope.wgsl`; a flow whose unknowns depend on each other has kernels of its own. The
//! tests that compare the two engines take their flows from one list (`flows` in
//! `engine/gpu/tests/common.rs`).

mod rule;

pub(crate) use rule::{FlowRule, Separable, StepParameters};

use crate::domain::Domain;
use crate::error::Result;
use crate::scalar::Scalar;

/// Makes the enumeration of all flows, and hands every question on to the flow's own file.
macro_rules! flows {
    (
        separable { $($(#[$own_doc:meta])* $own:ident = $own_file:ident;)* }
        coupled { $($(#[$doc:meta])* $coupled:ident = $file:ident;)* }
    ) => {
        $(mod $own_file; pub use $own_file::$own;)*
        $(mod $file; pub use $file::$coupled;)*

        /// A base optimizer.
        ///
        /// ```
        /// use lgf::flow::{Adam, Flow};
        ///
        /// let flow = Flow::Adam(Adam::new(0.05));
        /// assert_eq!((flow.name(), flow.rate(), flow.auxiliary_vectors()), ("adam", Some(0.05), 2));
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[non_exhaustive]
        pub enum Flow {
            $($(#[$own_doc])* $own($own),)*
            $($(#[$doc])* $coupled($coupled),)*
        }

        /// The constants that the kernels know the rules by, each once.
        pub(crate) fn rules() -> Vec<(&'static str, u32)> {
            let mut rules = vec![$($own::RULE),*];
            rules.sort_by_key(|(_, value)| *value);
            rules.dedup();
            rules
        }

        impl Flow {
            /// The name of the flow, as in the literature.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$own(_) => $own::NAME,)*
                    $(Self::$coupled(_) => $coupled::NAME,)*
                }
            }

            flows! { @ask [$($own)* $($coupled)*]
                /// The spacing dt of the iterates in flow time, if the flow has a time.
                pub fn rate -> Option<f64>;
                /// How many vectors of length d the state has besides x.
                pub fn auxiliary_vectors -> usize;
                /// Whether x' is a function of x alone, so that it can be learned from the iterates without
                /// gradients.
                pub fn is_driven_by_velocity -> bool;
                /// Whether a step is driven by H⁻¹g instead of g.
                pub fn needs_newton_direction -> bool;
                /// How many of the state's vectors (x first) follow the flow's differential equation; 0 if it
                /// has none.
                pub fn equation_vectors -> usize;
                /// The longest step of any unknown, where the parameters bound it.
                pub(crate) fn longest_step -> Option<f64>;
                /// Checks the range of each parameter.
                pub(crate) fn validate_parameters -> Result<()>;
            }

            /// Checks that the flow can work on `domain`.
            pub(crate) fn validate(&self, domain: &Domain) -> Result<()> {
                match self {
                    $(Self::$own(flow) => flow.check_domain(domain),)*
                    $(Self::$coupled(flow) => flow.check_domain(domain),)*
                }
            }

            /// What the kernel of step number `k` ≥ 1 is given; none where unknowns depend on each other.
            pub(crate) fn step_parameters(&self, k: u64) -> Option<StepParameters> {
                match self {
                    $(Self::$own(flow) => Some(flow.parameters(k)),)*
                    $(Self::$coupled(_) => None,)*
                }
            }

            /// Step number `k` ≥ 1 of a chunk of unknowns; false, and nothing done, where unknowns depend on
            /// each other. `own` are as many vectors as [`auxiliary_vectors`](Self::auxiliary_vectors) says.
            pub(crate) fn advance<T: Scalar>(
                &self,
                k: u64,
                x: &mut [T],
                own: &mut [&mut [T]],
                g: &[T],
            ) -> bool {
                match self {
                    $(Self::$own(flow) => flow.advance(k, x, own, g),)*
                    $(Self::$coupled(_) => return false,)*
                }
                true
            }
        }
    };
    (@ask $flows:tt $($(#[$doc:meta])* $scope:vis fn $name:ident -> $answer:ty;)*) => {
        $(flows! { @one $flows $(#[$doc])* $scope fn $name -> $answer; })*
    };
    (@one [$($flow:ident)*] $(#[$doc:meta])* $scope:vis fn $name:ident -> $answer:ty;) => {
        $(#[$doc])*
        $scope fn $name(&self) -> $answer {
            match self {
                $(Self::$flow(flow) => FlowRule::$name(flow),)*
            }
        }
    };
}

flows! {
    separable {
        /// Gradient descent, x' = −g.
        GradientDescent = gradient_descent;
        /// x' = −H⁻¹g; the objective supplies the direction.
        Newton = newton;
        /// m' = −c m − g, x' = m: heavy ball or Nesterov.
        Momentum = momentum;
        /// ADAM, with AMSGrad if asked for.
        Adam = adam;
    }
    coupled {
        /// Optimality criteria for one volume constraint.
        OptimalityCriteria = optimality_criteria;
        /// Gradient descent projected onto bounds, or bounds and one linear constraint.
        ProjectedGradient = projected_gradient;
    }
}
