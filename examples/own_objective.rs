//! Your own objective, on whichever engine there is: ADAM by itself and with a learned flow, and a learned
//! potential, at the same number of true evaluations.
//!
//! `cargo run --release --example own_objective`

use lgf::engine::{Engine, EngineChoice};
use lgf::error::ObjectiveError;
use lgf::flow::{Adam, Flow};
use lgf::method::{Field, Method, Potential};
use lgf::objective::Objective;
use lgf::surrogate::SurrogateConfig;
use lgf::{Lgf, Stopping};

/// A chain of springs between two walls, each unknown a support's height: ½ Σ k (x_{i+1} − xᵢ − ℓᵢ)² + ¼ Σ
/// xᵢ⁴ / d.
struct Chain {
    lengths: Vec<f64>,
}

impl Objective for Chain {
    fn dimension(&self) -> usize {
        self.lengths.len()
    }

    fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64, ObjectiveError> {
        let d = x.len();
        let mut value = 0.0;
        for (g, x) in gradient.iter_mut().zip(x) {
            value += 0.25 * x.powi(4) / d as f64;
            *g = x.powi(3) / d as f64;
        }
        for i in 0..d {
            let next = if i + 1 < d { x[i + 1] } else { 0.0 };
            let stretch = next - x[i] - self.lengths[i];
            value += 5.0 * stretch * stretch;
            gradient[i] -= 10.0 * stretch;
            if i + 1 < d {
                gradient[i + 1] += 10.0 * stretch;
            }
        }
        Ok(value)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let d = 200;
    let mut engine = EngineChoice::Auto.open()?;
    println!("{}: {} ({})", engine.info().kind.name(), engine.info().adapter, engine.reason());
    println!("| method    | true evaluations | surrogate steps | objective |");
    println!("|-----------|-----------------:|----------------:|----------:|");
    let mut finals = Vec::new();
    let adam = Flow::Adam(Adam::new(0.05));
    let learned = Field::adaptive(adam, SurrogateConfig::snapshots());
    // Curvatures from 10⁻³ to 40: the potential takes more projected steps than the default.
    let potential = Potential { memory: 10, steps: 100, ..Potential::default() };
    for method in [Method::from(adam), learned.into(), potential.into()] {
        let objective = Chain { lengths: (0..d).map(|i| (i as f64 * 0.1).sin()).collect() };
        let lgf = Lgf::new(method)?.stopping(Stopping::default().evaluations(150).tolerance(0.0))?;
        let report = lgf.on(&mut engine).minimize(objective, &vec![0.0; d])?;
        println!(
            "| {:9} | {:16} | {:15} | {:9.4} |",
            method.name(),
            report.true_evaluations,
            report.surrogate_steps,
            report.objective
        );
        finals.push(report.objective);
    }
    // ADAM's momentum makes a field that is hard to learn here; the objective's own gradient is that of a
    // function, and a potential knows it.
    assert!(
        finals[2] < finals[0] && finals[2] < finals[1],
        "the learned potential should be ahead at equal cost"
    );
    Ok(())
}
