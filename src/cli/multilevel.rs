//! Coarse grids before a run, whatever runs on them.

use crate::error::Result;
use crate::objective::{Domain, Objective};
use crate::topology::{Compliance, ComplianceConfig, Grid, prolong};

/// Budgets of true evaluations of the coarsest grid and of the other coarse ones: cheap levels deserve them.
const BUDGETS: (usize, usize) = (40, 30);

/// The start on `fine` that the coarse problems lead to, the coarsest first; `run` takes a problem, a start and a budget and gives the best design, or
/// none to end it all. Without coarse problems it is the uniform design.
pub(super) fn start(
    coarse: Vec<ComplianceConfig>,
    fine: &Compliance,
    mut run: impl FnMut(&mut Compliance, &[f64], usize) -> Result<Option<Vec<f64>>>,
) -> Result<Option<Vec<f64>>> {
    let mut found = None;
    for (number, config) in coarse.into_iter().enumerate() {
        let mut problem = Compliance::new(config)?;
        let begin = begin(&problem, found.as_ref())?;
        let Some(design) = run(&mut problem, &begin, if number == 0 { BUDGETS.0 } else { BUDGETS.1 })? else { return Ok(None) };
        found = Some((*problem.grid(), design));
    }
    begin(fine, found.as_ref()).map(Some)
}

/// The coarser grid's design on this problem's, or the uniform one.
fn begin(problem: &Compliance, coarse: Option<&(Grid, Vec<f64>)>) -> Result<Vec<f64>> {
    match (coarse, problem.domain()) {
        (Some((grid, design)), Domain::BoxVolume { weights, volume, .. }) => prolong(grid, design, problem.grid(), &weights, volume),
        _ => Ok(problem.uniform_start()),
    }
}
