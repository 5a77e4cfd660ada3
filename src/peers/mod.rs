//! What a user would pick instead: optimizers without a learned flow, for benchmarks.
//!
//! All of them minimise an [`Objective`](crate::objective::Objective) on a box, or a box with one volume
//! bound, from a feasible start, but for the last two, which want no bounds at all; and all count every true
//! evaluation, trial points of line searches included.
//!
//! - [`Peer::Anderson`]: OC, every fourth step replaced by Anderson mixing. Source: Pratapa, Suryanarayana &
//!   Pask, J. Comput. Phys. 306 (2016) 43.
//! - [`Peer::Spg`]: spectral projected gradient, non-monotone line search. Source: Birgin, Martínez & Raydan,
//!   SIAM J. Optim. 10 (2000) 1196.
//! - [`Peer::Pqn`]: projected quasi-Newton: an L-BFGS model minimised by SPG. Source: Schmidt, van den Berg,
//!   Friedlander & Murphy, AISTATS 2009.
//! - [`Peer::Mma`]: method of moving asymptotes. Source: Svanberg, Int. J. Numer. Meth. Eng. 24 (1987) 359.
//! - [`Peer::Simpl`]: mirror descent with the Fermi–Dirac entropy, spectral step, Armijo's rule. Source: Kim,
//!   Lazarov, Surowiec & Keith, arXiv 2411.19421; analysis: arXiv 2409.19341.
//! - [`Peer::LbfgsSigmoid`]: L-BFGS on a sigmoid's argument, augmented Lagrangian for the volume. Source:
//!   Nocedal, Math. Comput. 35 (1980) 773; Rockafellar, Math. Program. 5 (1973) 354.
//! - [`Peer::Extrapolation`]: OC, every fourth step replaced by its last difference, lengthened. Source:
//!   Aitken, Proc. R. Soc. Edinb. 46 (1926) 289.
//! - [`Peer::Dmd`]: OC, every fourth step replaced by 4 of a linear reduced model of OC. Source: Schmid, J.
//!   Fluid Mech. 656 (2010) 5; Tu et al., J. Comput. Dyn. 1 (2014) 391.
//! - [`Peer::Lbfgs`]: L-BFGS, line search by Wolfe's conditions. Source: Nocedal, Math. Comput. 35 (1980)
//!   773; Liu & Nocedal, Math. Program. 45 (1989) 503.
//! - [`Peer::AndersonDescent`]: gradient descent, every fourth step replaced by Anderson mixing, undone if
//!   worse. Source: Anderson, J. ACM 12 (1965) 547; Banerjee, Suryanarayana & Pask, Chem. Phys. Lett. 647
//!   (2016) 31.
//!
//! ```
//! use lgf::peers::Peer;
//! use lgf::problems::Rosenbrock;
//!
//! # fn main() -> lgf::Result<()> {
//! let mut chain = Rosenbrock { dimension: 2 };
//! let course = Peer::Lbfgs.minimize(&mut chain, &[-1.2, 1.0], 100, 1e-8, &mut ())?;
//! assert!(course.objective < 1e-12 && course.history.len() < 60);
//! # Ok(())
//! # }
//! ```

mod anderson;
mod anderson_descent;
mod criteria;
mod dmd;
mod extrapolation;
mod latent;
mod lbfgs;
mod lbfgs_sigmoid;
mod mma;
mod peer;
mod pqn;
mod simpl;
mod spg;
#[cfg(test)]
mod tests;
mod truth;

pub use peer::Peer;
pub use truth::Course;
