//! A problem written for the crate `argmin`, by argmin's own L-BFGS and by a learned potential, with the same
//! executor and the same target.
//!
//! `cargo run --release --features argmin --example argmin`

use argmin::core::{CostFunction, Error, Executor, Gradient, IterState, Solver, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use lgf::argmin::ArgminSolver;
use lgf::engine::CpuEngine;
use lgf::{Lgf, Stopping};

/// A hanging cable: masses on springs between two walls, ½ k Σ (|p_{i+1} − pᵢ| − ℓ)² + m g Σ yᵢ.
/// The unknowns are the masses' places, x₁ y₁ x₂ y₂ …
struct Cable;

/// The number of masses, the distance of the walls and the length of a spring at rest.
const MASSES: usize = 100;
const SPAN: f64 = 1.0;
const LENGTH: f64 = 1.0 / MASSES as f64;
const STIFFNESS: f64 = 100.0;
const WEIGHT: f64 = 0.01;

impl Cable {
    /// The energy of the cable, and each spring's derivative for the masses at its two ends.
    fn energy(&self, x: &[f64], mut force: impl FnMut(usize, f64)) -> f64 {
        let mass = |i: usize| match i {
            0 => [0.0, 0.0],
            i if i > MASSES => [SPAN, 0.0],
            i => [x[2 * i - 2], x[2 * i - 1]],
        };
        let mut energy = 0.0;
        for i in 0..=MASSES {
            let (a, b) = (mass(i), mass(i + 1));
            let d = [b[0] - a[0], b[1] - a[1]];
            let distance = d[0].hypot(d[1]);
            energy += 0.5 * STIFFNESS * (distance - LENGTH).powi(2);
            for (axis, d) in d.into_iter().enumerate() {
                let pull = STIFFNESS * (distance - LENGTH) * d / distance;
                if i > 0 {
                    force(2 * i - 2 + axis, -pull);
                }
                if i < MASSES {
                    force(2 * i + axis, pull);
                }
            }
        }
        for i in 0..MASSES {
            energy += WEIGHT * x[2 * i + 1];
            force(2 * i + 1, WEIGHT);
        }
        energy
    }
}

impl CostFunction for Cable {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
        Ok(self.energy(x, |_, _| ()))
    }
}

impl Gradient for Cable {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
        let mut gradient = vec![0.0; x.len()];
        self.energy(x, |i, force| gradient[i] += force);
        Ok(gradient)
    }
}

/// Runs `solver` on the cable and says what it reached. Returns the energy and the number of gradients.
fn run<S>(name: &str, solver: S) -> Result<(f64, u64), Error>
where
    S: Solver<Cable, IterState<Vec<f64>, Vec<f64>, (), (), (), f64>>,
{
    // The masses stand at equal distances on a line between the walls.
    let line = (1..=MASSES).flat_map(|i| [SPAN * i as f64 / (MASSES + 1) as f64, 0.0]).collect();
    let result =
        Executor::new(Cable, solver).configure(|state| state.param(line).max_iters(100_000)).run()?;
    let (energy, gradients) = (result.state.get_best_cost(), result.problem.counts["gradient_count"]);
    println!("{name:18} {energy:.9} after {gradients} gradients: {}", result.state.get_termination_status());
    Ok((energy, gradients))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (theirs, _) = run("argmin's L-BFGS", LBFGS::new(MoreThuenteLineSearch::new(), 10))?;
    let precise = Stopping::default().evaluations(10_000).tolerance(1e-8);
    let lgf = Lgf::potential().stopping(precise)?.on(CpuEngine::new());
    let (ours, _) = run("learned potential", ArgminSolver::new(lgf))?;
    assert!((ours - theirs).abs() <= 1e-6 * theirs.abs(), "the same cable hangs: {ours} and {theirs}");
    Ok(())
}
