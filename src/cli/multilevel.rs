//! Coarse grids before a run, whatever runs on them.

use crate::engine::Pair;
use crate::error::Result;
use crate::objective::{Domain, Objective};
use crate::topology::{Compliance, ComplianceConfig, Grid, interpolate, prolong};

/// Budgets of true evaluations of the coarsest grid and of the other coarse ones: cheap levels deserve them.
const BUDGETS: (usize, usize) = (40, 30);
/// On the coarsest grid the penalty is raised from 1, where compliance is convex, in this many steps of this many evaluations before it is what was asked
/// for: which layout is found is decided there, and better ones are found that way.
const PENALTY_STEPS: (usize, usize) = (4, 10);

/// A design, and what is known of the curvature around it.
#[derive(Debug, Clone, Default)]
pub(super) struct Start {
    pub design: Vec<f64>,
    pub pairs: Vec<Pair>,
}

/// The start on `fine` that the coarse problems lead to, the coarsest first; `run` takes a problem, a start and a budget and gives the best design and
/// what was learned, or none to end it all. Without coarse problems it is the uniform design.
pub(super) fn start(
    coarse: Vec<ComplianceConfig>,
    fine: &Compliance,
    mut run: impl FnMut(&mut Compliance, &Start, usize) -> Result<Option<Start>>,
) -> Result<Option<Start>> {
    let mut found = None;
    for (number, config) in coarse.into_iter().enumerate() {
        let mut problem = Compliance::new(config.clone())?;
        let mut begun = begin(&problem, found.as_ref())?;
        if number == 0 {
            for penalty in penalties(config.penalty) {
                let mut softer = Compliance::new(ComplianceConfig { penalty, ..config.clone() })?;
                let Some(better) = run(&mut softer, &begun, PENALTY_STEPS.1)? else { return Ok(None) };
                // The curvature belongs to the penalty.
                begun.design = better.design;
            }
        }
        let Some(ended) = run(&mut problem, &begun, if number == 0 { BUDGETS.0 } else { BUDGETS.1 })? else { return Ok(None) };
        found = Some((*problem.grid(), ended));
    }
    begin(fine, found.as_ref()).map(Some)
}

/// The penalties before the last one.
fn penalties(last: f64) -> impl Iterator<Item = f64> {
    let steps = if last > 1.0 { PENALTY_STEPS.0 } else { 0 };
    (0..steps).map(move |step| 1.0 + (last - 1.0) * step as f64 / steps as f64)
}

/// The coarser grid's result on this problem's, or the uniform design. A gradient's entries are shares of their element, which get smaller with it.
fn begin(problem: &Compliance, coarse: Option<&(Grid, Start)>) -> Result<Start> {
    let (Some((grid, ended)), Domain::BoxVolume { weights, volume, .. }) = (coarse, problem.domain()) else {
        return Ok(Start { design: problem.uniform_start(), pairs: Vec::new() });
    };
    let fine = problem.grid();
    let share = grid.elements() as f64 / fine.elements() as f64;
    let pair = |pair: &Pair| -> Result<Pair> {
        let change = interpolate(grid, &pair.change, fine)?.iter().map(|y| share * y).collect();
        Ok(Pair { displacement: interpolate(grid, &pair.displacement, fine)?, change })
    };
    Ok(Start { design: prolong(grid, &ended.design, fine, &weights, volume)?, pairs: ended.pairs.iter().map(pair).collect::<Result<_>>()? })
}
