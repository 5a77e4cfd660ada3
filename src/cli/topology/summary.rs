//! The summary that a run on a structure prints.

use std::fmt::Write;
use std::path::PathBuf;

use crate::cli::results::{Run, method_line};
use crate::topology::{Level, Solution, Spent};

/// Summarises the runs before the final one.
pub(in crate::cli) fn before(levels: &[Level]) -> String {
    let each: Vec<String> = levels.iter().map(|l| format!("{} on {}", l.true_evaluations, l.size)).collect();
    format!(
        "{} ({:.1} fine-solve equivalents)",
        each.join(", "),
        levels.iter().map(|l| l.fine_equivalents).sum::<f64>()
    )
}

fn in_all(spent: &Spent) -> String {
    format!(
        "{} on the given grid, {} on coarse ones ({:.1} fine-solve equivalents)",
        spent.given_grid, spent.coarse_grids, spent.fine_equivalents
    )
}

/// A compliance with at least five digits, whatever its unit is.
fn value(compliance: f64) -> String {
    let is_plain = compliance == 0.0 || (0.1..1e9).contains(&compliance.abs());
    if is_plain { format!("{compliance:.4}") } else { format!("{compliance:.5e}") }
}

pub(super) fn summary(run: &Run, written: Option<(&PathBuf, &Vec<String>)>) -> String {
    let mut text = String::new();
    let out = &mut text;
    let Solution { report, levels, .. } = &run.solution;
    line!(out, "{} {}, method {}", run.problem, run.size, method_line(&run.recipe.method));
    line!(
        out,
        "  compliance        {} at evaluation {} (the best; recomputed by {})",
        value(run.solution.objective),
        report.best_evaluation,
        run.solution.objective_by
    );
    line!(out, "  volume fraction   {:.6}", run.solution.volume);
    if let Some(residual) = report.kkt_residual {
        line!(out, "  KKT residual      {residual:.2e} of the start's largest gradient entry")
    }
    line!(
        out,
        "  true evaluations  {} ({} of them undone landings)",
        report.true_evaluations,
        report.rejected
    );
    if !levels.is_empty() {
        line!(out, "  before            {}", before(levels));
        line!(out, "  in all            {}", in_all(&run.solution.spent));
    }
    line!(out, "  surrogate steps   {}", report.surrogate_steps);
    if !run.solution.solves.is_empty() {
        let solves = &run.solution.solves;
        let most = solves.iter().map(|solve| solve.iterations).max().unwrap_or_default();
        let mean = solves.iter().map(|solve| solve.iterations).sum::<usize>() as f64 / solves.len() as f64;
        line!(out, "  iterations        {mean:.1} of multigrid in a solve on the given grid, at most {most}");
    }
    if run.solution.load_cases.len() > 1 {
        let values = run.solution.load_cases.iter().enumerate().map(|(number, case)| {
            let name = if case.name.is_empty() { (number + 1).to_string() } else { case.name.clone() };
            format!("{name} {}", value(case.compliance))
        });
        line!(out, "  by load case      {}", values.collect::<Vec<_>>().join(", "));
    }
    let earlier: f64 = levels.iter().map(|l| l.wall_seconds).sum();
    let with = if levels.is_empty() { String::new() } else { format!(", {earlier:.2} before that") };
    line!(
        out,
        "  seconds           {:.2} ({:.2} in true evaluations){with}",
        report.wall_seconds,
        report.objective_seconds
    );
    line!(out, "  true gradient     {}", run.solution.gradient_by);
    line!(
        out,
        "  engine            {}: {}, {}; {}",
        report.engine.kind.name(),
        report.engine.adapter,
        report.engine.precision,
        run.engine_reason
    );
    line!(out, "  stop              {}", report.stop);
    for warning in &run.solution.warnings {
        line!(out, "  warning           {warning}");
    }
    if let Some((folder, files)) = written {
        line!(out, "  written to        {}: {}", folder.display(), files.join(" "));
    }
    text
}
