//! What comes before a run: coarse grids, softer penalties and projections, whatever runs on them.

use crate::engine::Pair;
use crate::error::{Error, Result};
use crate::objective::Objective;
use crate::topology::{Compliance, ComplianceConfig, Grid, Projection, interpolate, prolong};

/// Budgets of true evaluations of the coarsest grid and of the other ones before the run: cheap levels
/// deserve them.
const BUDGETS: (usize, usize) = (40, 30);
/// The coarse grid's where it is the only one: the better of two layouts is taken from it.
const EACH_OF_TWO: usize = 30;
/// The penalty is raised from 1, where compliance is convex, in this many steps of this many evaluations
/// before it is what was asked for, on the first grid: which layout is found is decided there, and better
/// ones are found that way.
const PENALTY_STEPS: (usize, usize) = (4, 10);

/// A design, and what is known of the curvature around it.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub design: Vec<f64>,
    pub pairs: Vec<Pair>,
    /// The objective there; ∞ where it has not been evaluated.
    pub value: f64,
}

impl Start {
    /// A design of which nothing is known yet.
    pub(super) fn at(design: Vec<f64>) -> Self {
        Self { design, pairs: Vec::new(), value: f64::INFINITY }
    }
}

/// The problems on the way to `fine`: on `coarse` grids, the coarsest first, then on its own grid with
/// projections of half its sharpness and so on, the softest (β ≤ 1, which the coarse grids have as well)
/// first.
pub(super) fn way(mut coarse: Vec<ComplianceConfig>, fine: &ComplianceConfig) -> Vec<ComplianceConfig> {
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
type Runner<'a> = dyn FnMut(&mut Compliance, &Start, usize) -> Result<Option<Start>> + 'a;

/// The start on `fine` that the problems before it lead to; with `raised` the penalty is raised on the first
/// (on `fine` itself if there is none). On the coarsest of several grids values are too far from the fine
/// one's to choose by; a single coarse grid is also solved straight on, and the better design taken. `run`
/// takes a problem, a start and a budget and gives the best design and what was learned, or none to end it
/// all. Without any it is the uniform design.
pub(super) fn start(
    before: Vec<ComplianceConfig>,
    raised: bool,
    fine: &Compliance,
    mut run: impl FnMut(&mut Compliance, &Start, usize) -> Result<Option<Start>>,
) -> Result<Option<Start>> {
    // The curvature belongs to the penalty: it is not handed on.
    let raise = |config: &ComplianceConfig, mut begun: Start, run: &mut Runner| {
        for penalty in penalties(config.penalty) {
            let mut softer = Compliance::new(ComplianceConfig { penalty, ..config.clone() })?;
            let Some(better) = run(&mut softer, &begun, PENALTY_STEPS.1)? else { return Ok(None) };
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
            // Neither way leads to the better layout always; half the fine grid's resolution is enough to
            // tell which one did.
            let Some(straight) = run(&mut problem, &begun, EACH_OF_TWO)? else { return Ok(None) };
            let Some(softened) = raise(&config, begun, &mut run)? else { return Ok(None) };
            let Some(round) = run(&mut problem, &softened, EACH_OF_TWO)? else { return Ok(None) };
            log::info!(
                "layouts on the coarse grid: {} straight on, {} by raising the penalty",
                straight.value,
                round.value
            );
            if round.value <= straight.value { round } else { straight }
        } else {
            let mut begun = begun;
            if raised && number == 0 {
                let Some(softened) = raise(&config, begun, &mut run)? else { return Ok(None) };
                begun = softened;
            }
            let Some(ended) = run(&mut problem, &begun, if number == 0 { BUDGETS.0 } else { BUDGETS.1 })?
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
    let steps = if last > 1.0 { PENALTY_STEPS.0 } else { 0 };
    (0..steps).map(move |step| 1.0 + (last - 1.0) * step as f64 / steps as f64)
}

/// The coarser grid's result on this problem's, or the uniform design. A gradient's entries are shares of
/// their element, which get smaller with it.
fn begin(problem: &Compliance, coarse: Option<&(Grid, Start)>) -> Result<Start> {
    let (Some((grid, ended)), Some(volume)) = (coarse, problem.domain().volume().cloned()) else {
        return Ok(Start::at(problem.uniform_start()));
    };
    let fine = problem.grid();
    let share = grid.elements() as f64 / fine.elements() as f64;
    if grid == fine {
        // The same grid with another projection: the curvature belongs to that.
        return Ok(Start::at(ended.design.clone()));
    }
    let pair = |pair: &Pair| -> Result<Pair> {
        let change = interpolate(grid, &pair.change, fine)?.iter().map(|y| share * y).collect();
        Ok(Pair { displacement: interpolate(grid, &pair.displacement, fine)?, change, note: pair.note })
    };
    let pairs = ended.pairs.iter().map(pair).collect::<Result<_>>()?;
    Ok(Start { pairs, ..Start::at(prolong(grid, &ended.design, fine, &volume.weights, volume.bound)?) })
}
