//! What `lgf discover` prints and writes of the equations.

use std::fmt::Write;

use serde::Serialize;

use crate::cli::results::json;
use crate::discover::{Discovery, PathEntry, Trajectory};
use crate::error::Result;
use crate::surrogate::targets::WeakForm;

#[derive(Debug, Serialize)]
struct Equations<'a> {
    features: Vec<String>,
    /// The coefficients, one row per feature, one entry per coordinate.
    coefficients: Vec<Vec<f64>>,
    /// Their standard errors by the likelihood, if it was taken.
    standard_errors: Option<Vec<Vec<f64>>>,
    variables: Vec<String>,
    equations: Vec<String>,
    support_sizes: Vec<usize>,
    of_gradient: bool,
    rank: usize,
    energy: f64,
    trajectories: usize,
    samples: usize,
    rows: usize,
    fit_error: f64,
    fit_errors: &'a [f64],
    validation_error: Option<f64>,
    validation_errors: Option<&'a [f64]>,
    condition: Option<f64>,
    dependent: &'a [String],
    noise: &'a [f64],
    weak: Option<WeakForm>,
    path: Vec<Step<'a>>,
    thresholds: &'a [f64],
    /// The misfit of the likelihood, 1 where the equations hold within the noise.
    misfit: Option<f64>,
    ended_early: bool,
    warnings: &'a [String],
    engine: &'a str,
    adapter: &'a str,
}

#[derive(Debug, Serialize)]
struct Step<'a> {
    threshold: f64,
    terms: &'a [usize],
    validation_errors: &'a [f64],
}

impl<'a> From<&'a PathEntry> for Step<'a> {
    fn from(entry: &'a PathEntry) -> Self {
        let PathEntry { threshold, terms, validation_errors } = entry;
        Self { threshold: *threshold, terms, validation_errors }
    }
}

/// A number of things: `1 term`, `2 terms`.
pub(super) fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

fn samples(trajectories: &[Trajectory]) -> usize {
    trajectories.iter().map(|t| t.times().len()).sum()
}

fn sizes(found: &Discovery) -> Vec<usize> {
    found.support.columns().into_iter().map(|c| c.iter().filter(|v| **v).count()).collect()
}

/// The record for --json.
pub(super) fn record(
    trajectories: &[Trajectory],
    found: &Discovery,
    engine: &str,
    adapter: &str,
) -> Result<Vec<u8>> {
    let rows = |matrix: &ndarray::Array2<f64>| matrix.rows().into_iter().map(|r| r.to_vec()).collect();
    let refinement = found.refinement.as_ref();
    let record = Equations {
        features: found.feature_names(),
        coefficients: rows(&found.coefficients),
        standard_errors: refinement.filter(|r| r.holds).map(|r| rows(&r.standard_errors)),
        variables: found.variable_names(),
        equations: found.equations(),
        support_sizes: sizes(found),
        of_gradient: found.of_gradient,
        rank: found.variable_names().len(),
        energy: found.energy,
        trajectories: trajectories.len(),
        samples: samples(trajectories),
        rows: found.rows,
        fit_error: found.fit_error,
        fit_errors: &found.fit_errors,
        validation_error: found.validation_error,
        validation_errors: found.validation_errors.as_deref(),
        condition: found.condition.is_finite().then_some(found.condition),
        dependent: &found.dependent,
        noise: &found.noise,
        weak: found.weak,
        path: found.path.iter().map(Step::from).collect(),
        thresholds: &found.thresholds,
        misfit: refinement.map(|r| r.misfit),
        ended_early: found.ended,
        warnings: &found.warnings,
        engine,
        adapter,
    };
    json(&record, true)
}

/// The path where it changes: thresholds between which no term leaves are one line.
fn path(out: &mut String, found: &Discovery, names: &[String]) {
    line!(out, "");
    line!(out, "threshold  terms  validation error of {}", names.join(", "));
    let mut last: Option<&PathEntry> = None;
    for (at, entry) in found.path.iter().enumerate() {
        let next = found.path.get(at + 1);
        let chosen = |i: usize| found.thresholds.get(i) == Some(&entry.threshold);
        let marked = (0..names.len()).any(chosen);
        let changes = last.is_none_or(|last| last.terms != entry.terms);
        last = Some(entry);
        if !(changes || marked || next.is_none()) {
            continue;
        }
        let errors: Vec<String> = entry
            .validation_errors
            .iter()
            .enumerate()
            .map(|(i, error)| format!("{error:.3e}{}", if chosen(i) { "*" } else { " " }))
            .collect();
        let terms: usize = entry.terms.iter().sum();
        line!(out, "{:<9.1e}  {terms:>5}  {}", entry.threshold, errors.join(" ").trim_end());
    }
}

/// The summary for the standard output.
pub(super) fn text(trajectories: &[Trajectory], found: &Discovery, engine: &str) -> String {
    let mut text = String::new();
    let out = &mut text;
    let names = found.variable_names();
    let runs = match trajectories.len() {
        1 => String::new(),
        several => format!(" in {several} trajectories"),
    };
    line!(
        out,
        "{}{runs} of {}, {}, {}",
        count(samples(trajectories), "sample"),
        count(trajectories[0].states().ncols(), "coordinate"),
        count(found.library.len(), "feature"),
        count(found.rows, "row")
    );
    if found.space.is_some() {
        line!(out, "{} z hold {:.6} of the energy", count(names.len(), "direction"), found.energy);
    }
    if let Some(WeakForm { half_width, power, stride, .. }) = found.weak {
        line!(out, "bumps of half-width {half_width}, power {power}, stride {stride}");
    }
    line!(out, "");
    for (equation, size) in found.equations().iter().zip(sizes(found)) {
        line!(out, "{equation}    [{}]", count(size, "term"));
    }
    if !found.path.is_empty() {
        path(out, found, &names);
    }
    line!(out, "");
    let wide = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let each = |out: &mut String, errors: &[f64]| {
        for (name, error) in names.iter().zip(errors).filter(|_| names.len() > 1) {
            line!(out, "  {name:wide$}{:>pad$}{error:.3e}", "", pad = 16_usize.saturating_sub(wide));
        }
    };
    line!(out, "fit error         {:.3e}", found.fit_error);
    each(out, &found.fit_errors);
    match found.validation_error {
        Some(error) => {
            let of = if trajectories.len() == 1 { "the rows" } else { "each trajectory's rows" };
            line!(out, "validation error  {error:.3e} (newest fifth of {of}, from the others)");
            each(out, found.validation_errors.as_deref().unwrap_or_default());
        }
        None => line!(out, "validation error  too few rows"),
    }
    if found.condition.is_finite() {
        line!(out, "condition number  {:.3e}", found.condition);
    } else if found.dependent.is_empty() {
        line!(out, "condition number  infinite");
    } else {
        line!(out, "condition number  infinite: {} depend on each other", found.dependent.join(", "));
    }
    if let Some(refinement) = &found.refinement {
        let verdict = if refinement.holds {
            "the equations hold within the noise; terms and coefficients by maximum likelihood"
        } else if refinement.misfit < 1.0 {
            "the noise is not told; terms and coefficients by the weak form"
        } else {
            "the equations do not hold within the noise; terms and coefficients by the weak form"
        };
        line!(out, "likelihood        misfit {:.3}: {verdict}", refinement.misfit);
    }
    if found.ended {
        line!(out, "ended             before the search for terms was done");
    }
    line!(out, "engine            {engine}");
    for warning in &found.warnings {
        line!(out, "warning           {warning}");
    }
    text
}
