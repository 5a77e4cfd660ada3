//! The problems that come before a run (coarse grids, lower penalties, softer projections) and what is handed
//! from one to the next, whatever method runs on them.

use super::{Compliance, ComplianceConfig, Grid, Projection, interpolate, prolong};
use crate::engine::Pair;
use crate::error::{Error, Result};
use crate::objective::Objective;

/// The budget of true evaluations of the coarsest grid, which is cheap and finds the layout.
const COARSEST_BUDGET: usize = 40;
/// The budget of every other problem before the run.
const INTERMEDIATE_BUDGET: usize = 30;
/// The budget of each of the two layouts of a coarse grid that is the only one: the better one is taken.
const ALTERNATIVE_BUDGET: usize = 30;
/// The number of penalties below the final one that a continuation goes through on the first grid, from 1,
/// where compliance is convex. The layout is decided there, and continuation finds better ones.
const PENALTY_STEPS: usize = 4;
/// The budget of each of these steps.
const PENALTY_BUDGET: usize = 10;

/// A design, with what is known of the curvature around it.
#[derive(Debug, Clone)]
pub(crate) struct WarmStart {
    pub design: Vec<f64>,
    pub pairs: Vec<Pair>,
    /// The objective at the design; ∞ where it has not been evaluated.
    pub value: f64,
}

impl WarmStart {
    /// A design around which nothing is known yet.
    pub(crate) fn at(design: Vec<f64>) -> Self {
        Self { design, pairs: Vec::new(), value: f64::INFINITY }
    }
}

/// The problems before `fine`: on `coarse` grids, the coarsest first, then on its own grid with
/// projections of half its sharpness and so on, the softest (β ≤ 1, which the coarse grids have as well)
/// first.
pub(super) fn stages(mut coarse: Vec<ComplianceConfig>, fine: &ComplianceConfig) -> Vec<ComplianceConfig> {
    let Some(Projection { beta }) = fine.projection else { return coarse };
    let mut softer: Vec<f64> =
        std::iter::successors(Some(beta), |b| (*b > 1.0).then(|| 0.5 * b)).skip(1).collect();
    softer.reverse();
    let softest = softer.first().copied().unwrap_or(beta);
    coarse.iter_mut().for_each(|config| config.projection = Some(Projection { beta: softest }));
    coarse.extend(
        softer
            .into_iter()
            .map(|beta| ComplianceConfig { projection: Some(Projection { beta }), ..fine.clone() }),
    );
    coarse
}

/// Minimises a problem from a start within a budget; none ends the whole continuation.
type Runner<'a> = dyn FnMut(&mut Compliance, &WarmStart, usize) -> Result<Option<WarmStart>> + 'a;

/// The start on `fine` that the problems before it lead to; the uniform design without any. With
/// `raise_penalty` the penalty is raised on the first problem, or on `fine` itself if there is none before
/// it. On the coarsest of several grids the values are too far from those on the fine grid to compare layouts
/// by; a single coarse grid is also solved with the final penalty at once, and the better design is taken.
/// `run` takes a problem, a start and a budget and returns the best design and what was learned, or none to
/// end the whole continuation.
pub(crate) fn warm_start(
    before: Vec<ComplianceConfig>,
    raise_penalty: bool,
    fine: &Compliance,
    mut run: impl FnMut(&mut Compliance, &WarmStart, usize) -> Result<Option<WarmStart>>,
) -> Result<Option<WarmStart>> {
    // The curvature belongs to the penalty, so it is not handed on.
    let raise = |config: &ComplianceConfig, mut start: WarmStart, run: &mut Runner| {
        for penalty in penalties(config.penalty) {
            let mut softer = Compliance::new(ComplianceConfig { penalty, ..config.clone() })?;
            let Some(better) = run(&mut softer, &start, PENALTY_BUDGET)? else { return Ok(None) };
            start.design = better.design;
        }
        Ok::<_, Error>(Some(start))
    };
    let mut found = None;
    if raise_penalty && before.is_empty() {
        return raise(fine.config(), begin(fine, None)?, &mut run);
    }
    let count = before.iter().filter(|config| config.size != fine.config().size).count();
    for (number, config) in before.into_iter().enumerate() {
        let mut problem = Compliance::new(config.clone())?;
        let start = begin(&problem, found.as_ref())?;
        let result = if raise_penalty && number == 0 && count == 1 {
            // Neither start leads to the better layout always; half the fine grid's resolution is enough to
            // tell which one did.
            let Some(direct) = run(&mut problem, &start, ALTERNATIVE_BUDGET)? else { return Ok(None) };
            let Some(softened) = raise(&config, start, &mut run)? else { return Ok(None) };
            let Some(continued) = run(&mut problem, &softened, ALTERNATIVE_BUDGET)? else { return Ok(None) };
            log::info!(
                "layouts on the coarse grid: {} directly, {} by raising the penalty",
                direct.value,
                continued.value
            );
            if continued.value <= direct.value { continued } else { direct }
        } else {
            let mut start = start;
            if raise_penalty && number == 0 {
                let Some(softened) = raise(&config, start, &mut run)? else { return Ok(None) };
                start = softened;
            }
            let Some(result) =
                run(&mut problem, &start, if number == 0 { COARSEST_BUDGET } else { INTERMEDIATE_BUDGET })?
            else {
                return Ok(None);
            };
            result
        };
        found = Some((*problem.grid(), result));
    }
    begin(fine, found.as_ref()).map(Some)
}

/// The penalties below the final one.
fn penalties(last: f64) -> impl Iterator<Item = f64> {
    let steps = if last > 1.0 { PENALTY_STEPS } else { 0 };
    (0..steps).map(move |step| 1.0 + (last - 1.0) * step as f64 / steps as f64)
}

/// The start on this problem's grid: the coarser grid's result, interpolated, or the uniform design. The
/// entries of a gradient scale with the area of their element, so the pairs are scaled along.
fn begin(problem: &Compliance, coarse: Option<&(Grid, WarmStart)>) -> Result<WarmStart> {
    let (Some((grid, result)), Some(volume)) = (coarse, problem.domain().volume().cloned()) else {
        return Ok(WarmStart::at(problem.uniform_start()));
    };
    let fine = problem.grid();
    let share = grid.elements() as f64 / fine.elements() as f64;
    if grid == fine {
        // On the same grid the projection is another, and the curvature belongs to the projection.
        return Ok(WarmStart::at(result.design.clone()));
    }
    let pair = |pair: &Pair| -> Result<Pair> {
        let change = interpolate(grid, &pair.change, fine)?.iter().map(|y| share * y).collect();
        Ok(Pair { displacement: interpolate(grid, &pair.displacement, fine)?, change, note: pair.note })
    };
    let pairs = result.pairs.iter().map(pair).collect::<Result<_>>()?;
    let design = prolong(grid, &result.design, fine, &volume.weights, volume.bound)?;
    Ok(WarmStart { pairs, ..WarmStart::at(design) })
}
