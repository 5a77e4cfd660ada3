//! The half-MBB beam of the README's results as `lgf topology` optimizes it, and what the README says of it.
//!
//! `cargo run --release --example recipe`

use lgf::engine::CpuEngine;
use lgf::topology::{Compliance, FilterKind, Recipe, Structure};

fn main() -> lgf::Result<()> {
    let mut beam = Compliance::new(Structure::mbb(150, 50, FilterKind::Density))?;
    let solution = Recipe::default().solve(&mut beam, CpuEngine::new(), ())?;
    let (compliance, report) = (solution.objective, &solution.report);
    println!("compliance {compliance:.4} after {} evaluations: {}", report.true_evaluations, report.stop);
    // Where plain optimality criteria end after 363 evaluations.
    assert_eq!((report.evaluations_to_reach(235.7352), report.true_evaluations), (Some(2), 17));
    assert!((compliance - 233.9765).abs() <= 5e-5, "{compliance}");
    Ok(())
}
