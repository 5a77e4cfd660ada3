//! Your own objective, on whichever engine there is: ADAM by itself and with a learned flow, at the same number of true evaluations.
//!
//! `cargo run --release --example own_objective`

use lgf::engine::EngineChoice;
use lgf::error::ObjectiveError;
use lgf::flow::{Adam, Flow};
use lgf::objective::Objective;
use lgf::schedule::{Adaptive, Schedule};
use lgf::surrogate::SurrogateConfig;
use lgf::{Lgf, LgfConfig, Stopping};

/// A chain of springs between two walls, each unknown a support's height: ½ Σ k (x_{i+1} − xᵢ − ℓᵢ)² + ¼ Σ xᵢ⁴ / d.
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
    let (mut engine, why) = EngineChoice::Auto.open()?;
    println!("{}: {} ({why})", engine.info().engine, engine.info().adapter);
    println!("| schedule | true evaluations | surrogate steps | objective |");
    println!("|----------|-----------------:|----------------:|----------:|");
    let mut finals = Vec::new();
    for schedule in [Schedule::None, Schedule::Adaptive(Adaptive::default())] {
        let mut objective = Chain { lengths: (0..d).map(|i| (i as f64 * 0.1).sin()).collect() };
        let flow = Flow::Adam(Adam::new(0.05));
        let stopping = Stopping { max_evaluations: 150, tolerance: 0.0, ..Stopping::default() };
        let lgf = Lgf::new(LgfConfig { stopping, ..LgfConfig::new(flow, schedule, SurrogateConfig::snapshots()) })?;
        let report = lgf.minimize(&mut objective, &vec![0.0; d], &mut *engine, &mut ())?;
        println!("| {:8} | {:16} | {:15} | {:9.4} |", schedule.name(), report.true_evaluations, report.surrogate_steps, report.objective);
        finals.push(report.objective);
    }
    assert!(finals[1] < finals[0], "the learned flow should be ahead at equal cost");
    Ok(())
}
