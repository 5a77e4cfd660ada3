//! The problems that come before a run (coarse grids, lower penalties, wider filters, softer projections) and
//! what is handed from one to the next, whatever method runs on them.

use serde::{Deserialize, Serialize};

use super::warm_start::WarmStart;
use super::{Compliance, Mesh, Projection, Structure};
use crate::error::{Error, Result};
use crate::objective::Objective;

/// The budget of true evaluations of the coarsest grid from a single start.
const COARSEST_BUDGET: usize = 40;
/// The budget of every other problem before the run, if one start led to it.
const INTERMEDIATE_BUDGET: usize = 30;
/// The budget of every layout that competes on a grid.
const REFINEMENT_BUDGET: usize = 12;
/// The number of layouts that go on to the next coarse grid. Only the best one goes on to the given grid,
/// whose evaluations are what counts, unless the coarse grid's filter is wider than the given one: then the
/// best two go on, as the coarse grid cannot tell well which one suits the narrower filter.
const SURVIVORS: usize = 3;
/// The number of layouts that compete on the given grid, where any do.
const FINALISTS: usize = 2;
/// The budget of each of the layouts that compete on the given grid.
const FINAL_BUDGET: usize = 6;
/// The budget of the layout that comes from the uniform design on the given grid and competes with them.
const CHALLENGER_BUDGET: usize = 12;
/// Layouts whose compliances differ by less than this share count as one.
const SAME: f64 = 1e-4;

/// A softer problem on the way to a layout: a penalty between 1 and the final one, where compliance is more
/// nearly convex, or a wider filter, under which fewer members compete.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Softer {
    /// The share of the way from the penalty 1 to the final one.
    penalty: f64,
    /// The filter radius, in multiples of the problem's own.
    radius: f64,
    evaluations: usize,
}

const fn softer(penalty: f64, radius: f64, evaluations: usize) -> Softer {
    Softer { penalty, radius, evaluations }
}

/// The penalty raised from 1 in four steps.
const RAISED: &[Softer] =
    &[softer(0.0, 1.0, 10), softer(0.25, 1.0, 10), softer(0.5, 1.0, 10), softer(0.75, 1.0, 10)];

/// The ways to a layout that compete on the coarsest grid, each of them followed by the problem itself. None
/// is best on most structures; together they come within 0.5 % of the best that is known of nearly all:
/// `benches/sweeps/recipe.md`.
const COMPETING: [&[Softer]; 3] = [
    &[softer(0.0, 1.0, 8), softer(0.25, 1.0, 6), softer(0.5, 1.0, 6), softer(0.75, 1.0, 6)],
    &[
        softer(0.0, 2.0, 8),
        softer(0.25, 2.0, 6),
        softer(0.5, 2.0, 6),
        softer(0.75, 2.0, 6),
        softer(1.0, 2.0, 6),
    ],
    &[softer(1.0, 4.0, 12), softer(1.0, 2.5, 8), softer(1.0, 1.6, 8)],
];

/// How the first layout is found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Continuation {
    /// Where there are coarse grids, several ways to a layout compete on the coarsest: the penalty raised
    /// from 1, a filter of twice the radius with the penalty raised, and a filter of four times the radius
    /// that is narrowed; the second of them again on the next grid, if that has at most a fifteenth of the
    /// elements. The best three go on from grid to grid, and the best one to the given grid, or the best two,
    /// if its filter is too narrow for the coarse grids; in space they then compete with a layout from the
    /// uniform design. Without coarse grids, straight on.
    #[default]
    Auto,
    /// The penalty is raised from 1 in 4 steps of 10 evaluations on the first grid.
    On,
    /// The problem is solved straight on from the uniform design.
    Off,
}

/// The problems before `fine`: on `coarse` grids, the coarsest first, then on its own grid with
/// projections of half its sharpness and so on, the softest (β ≤ 1, which the coarse grids have as well)
/// first.
pub(super) fn stages(mut coarse: Vec<Structure>, fine: &Structure) -> Vec<Structure> {
    let Some(Projection { beta }) = fine.projection else { return coarse };
    let mut softer: Vec<f64> =
        std::iter::successors(Some(beta), |b| (*b > 1.0).then(|| 0.5 * b)).skip(1).collect();
    softer.reverse();
    let softest = softer.first().copied().unwrap_or(beta);
    coarse.iter_mut().for_each(|structure| structure.projection = Some(Projection { beta: softest }));
    coarse.extend(
        softer.into_iter().map(|beta| Structure { projection: Some(Projection { beta }), ..fine.clone() }),
    );
    coarse
}

/// Whether the pairs of a run are wanted that has found this value.
pub(super) type Wish<'a> = dyn FnMut(f64) -> bool + 'a;

/// Minimises a problem from a start within a budget; none ends the whole continuation. The result has pairs
/// where the wish says so.
type Runner<'a> =
    dyn FnMut(&mut Compliance, WarmStart, usize, &mut Wish<'_>) -> Result<Option<WarmStart>> + 'a;

/// The start on `fine` that the problems before it lead to; the uniform design without any. `run` takes a
/// problem, a start, a budget and a wish, and returns the best design and, if the wish is for them at its
/// value, the pairs that were learned; or none to end the whole continuation.
pub(crate) fn warm_start(
    before: Vec<Structure>,
    continuation: Continuation,
    fine: &mut Compliance,
    mut run: impl FnMut(&mut Compliance, WarmStart, usize, &mut Wish<'_>) -> Result<Option<WarmStart>>,
) -> Result<Option<WarmStart>> {
    if before.is_empty() && continuation == Continuation::On {
        return soften(fine, RAISED, begin(fine, None)?, &mut run);
    }
    let given = fine.structure().clone();
    let is_coarse = |structure: &Structure| structure.mesh.elements != given.mesh.elements;
    let mut layouts: Vec<(Mesh, WarmStart)> = Vec::new();
    let mut first = 0;
    for (number, structure) in before.iter().enumerate() {
        let mut problem = match fine.sibling(structure.clone()) {
            // A coarse mesh may lose what the problem needs: a gap between two voids, or the element between
            // a load and a support.
            Err(Error::Settings(reason)) if is_coarse(structure) => {
                log::info!("the run begins on the next finer grid: {reason}");
                (first, layouts) = (number + 1, Vec::new());
                continue;
            }
            other => other?,
        };
        let ways: &[&[Softer]] = match (continuation, number - first) {
            (Continuation::Auto, 0) if is_coarse(structure) => &COMPETING,
            (Continuation::Auto, 1) if is_cheap(structure, &given) => &COMPETING[1..2],
            (Continuation::On, 0) => &[RAISED],
            (_, 0) => &[&[]],
            _ => &[],
        };
        let budget = match (ways.len().max(layouts.len()), number - first) {
            (2.., _) => REFINEMENT_BUDGET,
            (_, 0) => COARSEST_BUDGET,
            _ => INTERMEDIATE_BUDGET,
        };
        let contest = Contest { layouts: &layouts, ways, budget };
        let found = compete(&mut problem, contest, &mut |_| true, &mut run)?;
        let Some(found) = found else { return Ok(None) };
        let survivors = match before.get(number + 1) {
            Some(next) if is_coarse(next) => SURVIVORS,
            None if is_contested(before.last(), continuation, &given) => FINALISTS,
            _ => 1,
        };
        layouts = best(found, survivors).into_iter().map(|layout| (*problem.mesh(), layout)).collect();
    }
    let challengers = challengers(&given);
    if !is_contested(before.last(), continuation, &given) || layouts.len() + challengers.len() < 2 {
        return begin(fine, layouts.first()).map(Some);
    }
    // Of the layouts on the given grid only the best one is kept at any time, for their pairs take much
    // memory.
    let mut leader: Option<WarmStart> = None;
    let finalists = layouts.into_iter().map(|layout| (Some(layout), &[] as &[&[Softer]], FINAL_BUDGET));
    for (layout, ways, budget) in finalists.chain([(None, challengers, CHALLENGER_BUDGET)]) {
        let contest = Contest { layouts: layout.as_slice(), ways, budget };
        let mut leads = |value: f64| {
            let leads = leader.as_ref().is_none_or(|leader| value < leader.value);
            if let Some(leader) = leader.as_ref().filter(|_| leads) {
                leader.forget_pairs();
            }
            leads
        };
        let Some(found) = compete(fine, contest, &mut leads, &mut run)? else { return Ok(None) };
        leader = best(leader.into_iter().chain(found).collect(), 1).pop();
    }
    Ok(leader)
}

/// The ways to a layout that compete on the given grid itself. Walls are what serves best in space, and one
/// that is thinner than an element of the coarse grid exists on the given grid only; in the plane there are
/// no walls.
fn challengers(given: &Structure) -> &'static [&'static [Softer]] {
    if given.mesh.elements.len() == 3 { &[&[]] } else { &[] }
}

/// Whether layouts compete on the given grid: where its filter is narrower than that of the grid before.
fn is_contested(before: Option<&Structure>, continuation: Continuation, given: &Structure) -> bool {
    continuation == Continuation::Auto
        && before.is_some_and(|last| last.mesh.elements != given.mesh.elements && is_wider(last, given))
}

/// Layouts that compete on one grid, within a budget for each.
struct Contest<'a> {
    /// Those of the coarser grid.
    layouts: &'a [(Mesh, WarmStart)],
    /// The ways to one from the uniform design.
    ways: &'a [&'a [Softer]],
    budget: usize,
}

/// Solves `problem` from each of the layouts and by each of the ways of `contest`; none if `run` ends it.
fn compete(
    problem: &mut Compliance,
    Contest { layouts, ways, budget }: Contest<'_>,
    wish: &mut Wish<'_>,
    run: &mut Runner<'_>,
) -> Result<Option<Vec<WarmStart>>> {
    let mut found = Vec::new();
    let layouts = layouts.iter().map(|layout| (Some(layout), &[] as &[Softer]));
    for (layout, way) in layouts.chain(ways.iter().map(|way| (None, *way))) {
        let start = begin(problem, layout)?;
        let Some(start) = soften(problem, way, start, run)? else { return Ok(None) };
        let Some(layout) = run(problem, start, budget, wish)? else { return Ok(None) };
        log::info!("layout {} on {}: {}", found.len() + 1, problem.mesh(), layout.value);
        found.push(layout);
    }
    Ok(Some(found))
}

/// The most runs on the given grid before the last one, for `before` and `continuation`.
pub(super) fn runs_on_grid(before: &[Structure], continuation: Continuation, fine: &Structure) -> usize {
    let is_fine = |structure: &Structure| structure.mesh.elements == fine.mesh.elements;
    let on_grid = before.iter().filter(|structure| is_fine(structure)).count();
    let first = before.first().unwrap_or(fine);
    let raises = continuation == Continuation::On && is_fine(first) && fine.penalty > 1.0;
    let duels =
        if is_contested(before.last(), continuation, fine) { FINALISTS + challengers(fine).len() } else { 0 };
    on_grid + if raises { RAISED.len() } else { 0 } + duels
}

/// Whether a grid has so few elements that another way to a layout costs no more there than a few evaluations
/// on the given grid: in the plane, four times fewer columns, about.
fn is_cheap(coarse: &Structure, fine: &Structure) -> bool {
    15 * coarse.elements() <= fine.elements()
}

/// Whether the filter on the coarse grid is wider than the given one, as a share of the length.
fn is_wider(coarse: &Structure, fine: &Structure) -> bool {
    let elements = |structure: &Structure| f64::from(structure.mesh.elements[0]);
    let scaled = fine.radius_in_sides() * elements(coarse) / elements(fine);
    coarse.radius_in_sides() > scaled * (1.0 + 1e-12)
}

/// Goes through the softer problems of `way` to `given`; none if `run` ends it. The curvature belongs to the
/// problem, so it is not handed on.
fn soften(
    given: &Compliance,
    way: &[Softer],
    mut start: WarmStart,
    run: &mut Runner<'_>,
) -> Result<Option<WarmStart>> {
    let structure = given.structure();
    for step in way.iter().filter(|step| step.radius > 1.0 || structure.penalty > 1.0) {
        let mut problem = given.sibling(Structure {
            penalty: 1.0 + (structure.penalty - 1.0) * step.penalty,
            radius: structure.radius * step.radius,
            ..structure.clone()
        })?;
        // Another filter has other volume weights.
        let design = problem.domain().project(&start.design);
        let better = run(&mut problem, WarmStart::at(design), step.evaluations, &mut |_| false)?;
        let Some(better) = better else {
            return Ok(None);
        };
        start = WarmStart::at(better.design);
    }
    if let Some(last) = way.last().filter(|last| last.radius > 1.0) {
        log::debug!("the filter is narrowed from {} times its radius", last.radius);
        start = WarmStart::at(given.domain().project(&start.design));
    }
    Ok(Some(start))
}

/// The best `count` layouts, the best first; of equal ones the first.
fn best(mut layouts: Vec<WarmStart>, count: usize) -> Vec<WarmStart> {
    layouts.sort_by(|a, b| a.value.total_cmp(&b.value));
    layouts.dedup_by(|next, kept| (next.value - kept.value).abs() <= SAME * kept.value.abs());
    layouts.truncate(count);
    layouts
}

/// The start on this problem's grid: the coarser grid's result, interpolated, or the uniform design.
fn begin(problem: &Compliance, coarse: Option<&(Mesh, WarmStart)>) -> Result<WarmStart> {
    let (Some((mesh, result)), Some(volume)) = (coarse, problem.domain().volume().cloned()) else {
        return Ok(WarmStart::at(problem.uniform_start()));
    };
    let fine = problem.mesh();
    if mesh == fine {
        // On the same grid the projection is another, and the curvature belongs to the projection.
        return Ok(WarmStart::at(result.design.clone()));
    }
    result.prolonged([mesh, fine], &volume)
}
