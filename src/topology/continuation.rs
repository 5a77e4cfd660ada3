//! The problems that come before a run (coarse grids, lower penalties, softer projections) and what is handed
//! from one to the next, whatever method runs on them.

use super::{Compliance, ComplianceConfig, Grid, Projection, interpolate, prolong};
use crate::engine::Pair;
use crate::error::{Error, Result};
use crate::objective::Objective;

/// The budget of true evaluations of the coarsest grid: it is cheap and finds the layout.
const COARSEST_BUDGET: usize = 40;
/// The budget of every other problem before the run.
const INTERMEDIATE_BUDGET: usize = 30;
/// The budget of either layout of a coarse grid that is the only one: the better of two is taken from it.
const ALTERNATIVE_BUDGET: usize = 30;
/// The penalty is raised from 1, where compliance is convex, in this many steps before it is what was asked
/// for, on the first grid: which layout is found is decided there, and better ones are found that way.
const PENALTY_STEPS: usize = 4;
/// The budget of each of these steps.
const PENALTY_BUDGET: usize = 10;

/// A design, and what is known of the curvature around it.
#[derive(Debug, Clone)]
pub(crate) struct WarmStart {
    pub design: Vec<f64>,
    pub pairs: Vec<Pair>,
    /// The objective there; ∞ where it has not been evaluated.
    pub value: f64,
}

impl WarmStart {
    /// A design of which nothing is known yet.
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

/// Minimises a problem from a start with a budget; none to end it all.
type Runner<'a> = dyn FnMut(&mut Compliance, &WarmStart, usize) -> Result<Option<WarmStart>> + 'a;

/// The start on `fine` that the problems before it lead to; with `raised` the penalty is raised on the first
/// (on `fine` itself if there is none). On the coarsest of several grids values are too far from the fine
/// one's to choose by; a single coarse grid is also solved straight on, and the better design taken. `run`
/// takes a problem, a start and a budget and gives the best design and what was learned, or none to end it
/// all. Without any it is the uniform design.
pub(crate) fn warm_start(
    before: Vec<ComplianceConfig>,
    raised: bool,
    fine: &Compliance,
    mut run: impl FnMut(&mut Compliance, &WarmStart, usize) -> Result<Option<WarmStart>>,
) -> Result<Option<WarmStart>> {
    // The curvature belongs to the penalty: it is not handed on.
    let raise = |config: &ComplianceConfig, mut begun: WarmStart, run: &mut Runner| {
        for penalty in penalties(config.penalty) {
            let mut softer = Compliance::new(ComplianceConfig { penalty, ..config.clone() })?;
            let Some(better) = run(&mut softer, &begun, PENALTY_BUDGET)? else { return Ok(None) };
            begun.design = better.design;
        }
        Ok::<_, Error>(Some(begun))
    };
    let mut found = None;
    if raised && before.is_empty() {
        return raise(fine.config(), begin(fine, None)?, &mut run);
    }
    let count = before.iter().filter(|config| config.size != fine.config().size).count();
    for (number, config) in before.into_iter().enumerate() {
        let mut problem = Compliance::new(config.clone())?;
        let begun = begin(&problem, found.as_ref())?;
        let ended = if raised && number == 0 && count == 1 {
            // Neither leads to the better layout always; half the fine grid's resolution is enough to tell
            // which one did.
            let Some(direct) = run(&mut problem, &begun, ALTERNATIVE_BUDGET)? else { return Ok(None) };
            let Some(softened) = raise(&config, begun, &mut run)? else { return Ok(None) };
            let Some(continued) = run(&mut problem, &softened, ALTERNATIVE_BUDGET)? else { return Ok(None) };
            log::info!(
                "layouts on the coarse grid: {} directly, {} by raising the penalty",
                direct.value,
                continued.value
            );
            if continued.value <= direct.value { continued } else { direct }
        } else {
            let mut begun = begun;
            if raised && number == 0 {
                let Some(softened) = raise(&config, begun, &mut run)? else { return Ok(None) };
                begun = softened;
            }
            let Some(ended) =
                run(&mut problem, &begun, if number == 0 { COARSEST_BUDGET } else { INTERMEDIATE_BUDGET })?
            else {
                return Ok(None);
            };
            ended
        };
        found = Some((*problem.grid(), ended));
    }
    begin(fine, found.as_ref()).map(Some)
}

/// The penalties before the last one.
fn penalties(last: f64) -> impl Iterator<Item = f64> {
    let steps = if last > 1.0 { PENALTY_STEPS } else { 0 };
    (0..steps).map(move |step| 1.0 + (last - 1.0) * step as f64 / steps as f64)
}

/// The coarser grid's result on this problem's, or the uniform design. A gradient's entries are shares of
/// their element, which get smaller with it.
fn begin(problem: &Compliance, coarse: Option<&(Grid, WarmStart)>) -> Result<WarmStart> {
    let (Some((grid, ended)), Some(volume)) = (coarse, problem.domain().volume().cloned()) else {
        return Ok(WarmStart::at(problem.uniform_start()));
    };
    let fine = problem.grid();
    let share = grid.elements() as f64 / fine.elements() as f64;
    if grid == fine {
        // The same grid with another projection: the curvature belongs to that.
        return Ok(WarmStart::at(ended.design.clone()));
    }
    let pair = |pair: &Pair| -> Result<Pair> {
        let change = interpolate(grid, &pair.change, fine)?.iter().map(|y| share * y).collect();
        Ok(Pair { displacement: interpolate(grid, &pair.displacement, fine)?, change, note: pair.note })
    };
    let pairs = ended.pairs.iter().map(pair).collect::<Result<_>>()?;
    let design = prolong(grid, &ended.design, fine, &volume.weights, volume.bound)?;
    Ok(WarmStart { pairs, ..WarmStart::at(design) })
}
