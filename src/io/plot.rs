use plotters::prelude::*;

use crate::error::{Error, Result};
use crate::report::HistoryEntry;

/// One run in a convergence plot.
#[derive(Debug, Clone, Copy)]
pub struct Curve<'a> {
    /// The name of the run in the legend.
    pub name: &'a str,
    /// The true evaluations of the run, in order.
    pub history: &'a [HistoryEntry],
}

/// The top of the plot, above the best value and as a share of it: only the tail distinguishes runs.
const HEADROOM: f64 = 0.06;

/// True evaluations against the objective as SVG, one curve per run. Landings that were undone are crosses.
///
/// # Errors
/// [`FileError`](crate::error::FileError) if the plot cannot be drawn.
pub fn convergence_svg(title: &str, objective: &str, curves: &[Curve<'_>]) -> Result<String> {
    let mut svg = String::new();
    draw(&mut svg, title, objective, curves).map_err(|e| Error::encoding("convergence.svg", e))?;
    Ok(svg)
}

fn draw(
    svg: &mut String,
    title: &str,
    objective: &str,
    curves: &[Curve<'_>],
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let accepted = |curve: &Curve<'_>| {
        curve.history.iter().filter(|e| e.accepted).map(|e| e.objective).collect::<Vec<_>>()
    };
    let least = curves.iter().flat_map(accepted).fold(f64::INFINITY, f64::min);
    let greatest = curves.iter().flat_map(accepted).fold(f64::NEG_INFINITY, f64::max);
    let (least, greatest) = if least.is_finite() { (least, greatest) } else { (0.0, 1.0) };
    let span = (greatest - least).min(HEADROOM * least.abs()).max(1e-3 * least.abs()).max(f64::MIN_POSITIVE);
    let last = curves.iter().flat_map(|c| c.history).map(|e| e.evaluation).max().unwrap_or(1).max(10);

    let root = SVGBackend::with_string(svg, (900, 520)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 20))
        .margin(14)
        .x_label_area_size(44)
        .y_label_area_size(76)
        .build_cartesian_2d(0.0..last as f64 * 1.02, least - 0.05 * span..least + span)?;
    chart
        .configure_mesh()
        .x_desc("true evaluations (finite-element solves)")
        .y_desc(objective)
        .label_style(("sans-serif", 14))
        .x_label_formatter(&|x| format!("{x:.0}"))
        .light_line_style(WHITE)
        .draw()?;
    let colors = [RGBColor(90, 90, 90), RGBColor(208, 74, 2), RGBColor(0, 110, 160), RGBColor(60, 130, 60)];
    for (curve, color) in curves.iter().zip(colors.into_iter().cycle()) {
        let points: Vec<(f64, f64)> =
            curve.history.iter().filter(|e| e.accepted).map(|e| (e.evaluation as f64, e.objective)).collect();
        let best = points.iter().map(|p| p.1).fold(f64::INFINITY, f64::min);
        let label = match points.last() {
            Some(_) => format!("{}: best {best:.4} in {} evaluations", curve.name, curve.history.len()),
            None => curve.name.to_string(),
        };
        chart
            .draw_series(LineSeries::new(visible(&points, least + span), color.stroke_width(2)))?
            .label(label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], color.stroke_width(2)));
        chart.draw_series(
            points.iter().filter(|p| p.1 <= least + span).map(|p| Circle::new(*p, 2, color.filled())),
        )?;
        let undone = curve
            .history
            .iter()
            .filter(|e| !e.accepted && e.objective <= least + span)
            .map(|e| (e.evaluation as f64, e.objective));
        chart.draw_series(undone.map(|p| Cross::new(p, 4, color.stroke_width(1))))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .border_style(BLACK.mix(0.3))
        .background_style(WHITE)
        .label_font(("sans-serif", 15))
        .draw()?;
    root.present()?;
    Ok(())
}

/// The part of a falling curve below `top`, starting at the top edge.
fn visible(points: &[(f64, f64)], top: f64) -> Vec<(f64, f64)> {
    let mut out = Vec::new();
    for (i, &(x, y)) in points.iter().enumerate() {
        if y <= top {
            if out.is_empty() && i > 0 {
                let (x0, y0) = points[i - 1];
                out.push((x0 + (x - x0) * (top - y0) / (y - y0), top));
            }
            out.push((x, y));
        }
    }
    out
}
