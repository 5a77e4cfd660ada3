//! Plots in panels: convergence to the best value found, parameters along a run, and paths over a landscape.

use ndarray::ArrayView2;
use plotters::coord::ranged1d::Ranged;
use plotters::prelude::*;

use super::plot::Curve;
use crate::error::{Error, Result};

type Drawing = std::result::Result<(), Box<dyn std::error::Error>>;

/// The colours of the curves: grey for the plain flow, then the others.
const COLORS: [RGBColor; 14] = [
    RGBColor(90, 90, 90),
    RGBColor(208, 74, 2),
    RGBColor(0, 110, 160),
    RGBColor(60, 130, 60),
    RGBColor(150, 60, 150),
    RGBColor(200, 160, 0),
    RGBColor(0, 160, 160),
    RGBColor(120, 80, 40),
    RGBColor(230, 120, 170),
    RGBColor(130, 130, 210),
    RGBColor(150, 200, 70),
    RGBColor(215, 25, 60),
    RGBColor(20, 20, 110),
    RGBColor(225, 200, 120),
];
/// The smallest share of the distance to the best value that is drawn.
const FLOOR: f64 = 1e-8;
/// The size of one panel, in pixels.
const PANEL: (u32, u32) = (640, 420);

fn failed(e: impl std::fmt::Display) -> Error {
    Error::encoding("a plot", e)
}

/// One panel of [`convergence_panels_svg`]: its title and its curves.
pub type Panel<'a> = (&'a str, Vec<Curve<'a>>);

/// True evaluations against (f − best)/(f(start) − best) of the best value so far, on a logarithmic scale,
/// `best` being the least that any curve of the panel reached; two panels to a row.
///
/// # Errors
/// [`FileError`](crate::error::FileError) if the plot cannot be drawn.
pub fn convergence_panels_svg(panels: &[Panel<'_>]) -> Result<String> {
    let mut svg = String::new();
    let columns = panels.len().clamp(1, 2);
    let rows = panels.len().div_ceil(columns).max(1);
    let root = SVGBackend::with_string(&mut svg, (PANEL.0 * columns as u32, PANEL.1 * rows as u32))
        .into_drawing_area();
    let draw = || -> Drawing {
        root.fill(&WHITE)?;
        for (area, (title, curves)) in root.split_evenly((rows, columns)).iter().zip(panels) {
            convergence(area, title, curves)?;
        }
        root.present()?;
        Ok(())
    };
    draw().map_err(failed)?;
    drop(root);
    Ok(svg)
}

fn legend<'a, X: Ranged<ValueType = f64>, Y: Ranged<ValueType = f64>>(
    chart: &mut ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, Y>>,
    position: SeriesLabelPosition,
    background: RGBColor,
) -> Drawing {
    chart
        .configure_series_labels()
        .position(position)
        .border_style(BLACK.mix(0.3))
        .background_style(background)
        .label_font(("sans-serif", 14))
        .draw()?;
    Ok(())
}

fn convergence(
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    title: &str,
    curves: &[Curve<'_>],
) -> Drawing {
    let accepted = |curve: &Curve<'_>| {
        curve
            .history
            .iter()
            .filter(|e| e.accepted && e.objective.is_finite())
            .map(|e| e.objective)
            .collect::<Vec<_>>()
    };
    let best = curves.iter().flat_map(accepted).fold(f64::INFINITY, f64::min);
    let start = curves
        .iter()
        .filter_map(|c| c.history.first())
        .map(|e| e.objective)
        .fold(f64::NEG_INFINITY, f64::max);
    let span = if (start - best).is_finite() && start > best { start - best } else { 1.0 };
    let last = curves.iter().flat_map(|c| c.history).map(|e| e.evaluation).max().unwrap_or(1).max(2);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 17))
        .margin(12)
        .x_label_area_size(38)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..last as f64 * 1.02, (FLOOR..1.5).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("true evaluations")
        .y_desc("distance to the best value")
        .label_style(("sans-serif", 13))
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.0e}"))
        .light_line_style(WHITE)
        .draw()?;
    for (curve, color) in curves.iter().zip(COLORS.into_iter().cycle()) {
        let mut least = f64::INFINITY;
        let mut points = Vec::new();
        for entry in curve.history.iter().filter(|e| e.accepted && e.objective.is_finite()) {
            least = least.min(entry.objective);
            points.push((entry.evaluation as f64, ((least - best) / span).max(FLOOR)));
        }
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(2)))?
            .label(curve.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 22, y)], color.stroke_width(2)));
    }
    legend(&mut chart, SeriesLabelPosition::LowerLeft, WHITE)?;
    Ok(())
}

/// One panel of [`profiles_svg`]: its title and, per method, the cost on each case (none: not solved).
pub type Profile<'a> = (String, Vec<(&'a str, Vec<Option<usize>>)>);

/// Performance profiles (Dolan & Moré, Math. Program. 91 (2002) 201): the share of the cases that a method
/// solves at no more than τ times the cost of the best method on each.
///
/// # Errors
/// [`FileError`](crate::error::FileError) if the plot cannot be drawn.
pub fn profiles_svg(panels: &[Profile<'_>]) -> Result<String> {
    const GREATEST: f64 = 8.0;
    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, (PANEL.0 * panels.len().max(1) as u32, PANEL.1))
        .into_drawing_area();
    let draw = || -> Drawing {
        root.fill(&WHITE)?;
        for (area, (title, methods)) in root.split_evenly((1, panels.len().max(1))).iter().zip(panels) {
            let mut chart = ChartBuilder::on(area)
                .caption(title, ("sans-serif", 17))
                .margin(12)
                .x_label_area_size(38)
                .y_label_area_size(50)
                .build_cartesian_2d((1.0..GREATEST).log_scale(), 0.0..1.02)?;
            chart
                .configure_mesh()
                .x_desc("times the evaluations of the best method")
                .y_desc("share of the cases")
                .label_style(("sans-serif", 13))
                .x_label_formatter(&|x| format!("{x:.0}"))
                .light_line_style(WHITE)
                .draw()?;
            let cases = methods.iter().map(|(_, costs)| costs.len()).max().unwrap_or(0);
            let best = |case: usize| methods.iter().filter_map(|(_, costs)| *costs.get(case)?).min();
            for ((name, costs), color) in methods.iter().zip(COLORS.into_iter().cycle()) {
                let mut ratios: Vec<f64> = (0..cases)
                    .filter_map(|case| Some((*costs.get(case)?)? as f64 / best(case)? as f64))
                    .collect();
                ratios.sort_by(f64::total_cmp);
                let mut points = vec![(1.0, 0.0)];
                for (solved, ratio) in ratios.iter().enumerate().filter(|(_, r)| **r <= GREATEST) {
                    points.push((*ratio, solved as f64 / cases as f64));
                    points.push((*ratio, (solved + 1) as f64 / cases as f64));
                }
                points.push((GREATEST, points.last().map_or(0.0, |p| p.1)));
                chart
                    .draw_series(LineSeries::new(points, color.stroke_width(2)))?
                    .label(*name)
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + 22, y)], color.stroke_width(2)));
            }
            legend(&mut chart, SeriesLabelPosition::LowerRight, WHITE)?;
        }
        root.present()?;
        Ok(())
    };
    draw().map_err(failed)?;
    drop(root);
    Ok(svg)
}

/// Values of some parameters along one run: (iteration, values), with the run's name.
pub type Track<'a> = (&'a str, &'a [(usize, Vec<f64>)]);

/// Parameters against the flow's iterations, one colour per run, one line per parameter.
///
/// # Errors
/// [`FileError`](crate::error::FileError) if the plot cannot be drawn.
pub fn parameters_svg(title: &str, tracks: &[Track<'_>]) -> Result<String> {
    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, (900, 520)).into_drawing_area();
    let values = tracks.iter().flat_map(|(_, rows)| rows.iter()).flat_map(|(_, values)| values);
    let (least, greatest) = super::field::range(values);
    let margin = 0.05 * (greatest - least).max(1e-12);
    let last = tracks
        .iter()
        .filter_map(|(_, rows)| rows.last())
        .map(|(iteration, _)| *iteration)
        .max()
        .unwrap_or(1)
        .max(2);
    let draw = || -> Drawing {
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root)
            .caption(title, ("sans-serif", 18))
            .margin(14)
            .x_label_area_size(40)
            .y_label_area_size(64)
            .build_cartesian_2d(0.0..last as f64 * 1.02, least - margin..greatest + margin)?;
        chart
            .configure_mesh()
            .x_desc("iterations of the flow, true and surrogate")
            .label_style(("sans-serif", 13))
            .light_line_style(WHITE)
            .draw()?;
        for ((name, rows), color) in tracks.iter().zip(COLORS.into_iter().cycle()) {
            for parameter in 0..rows.first().map_or(0, |(_, values)| values.len()) {
                let points: Vec<(f64, f64)> =
                    rows.iter().map(|(iteration, values)| (*iteration as f64, values[parameter])).collect();
                let drawn = chart.draw_series(LineSeries::new(points, color.stroke_width(1)))?;
                if parameter == 0 {
                    drawn
                        .label(*name)
                        .legend(move |(x, y)| PathElement::new([(x, y), (x + 22, y)], color.stroke_width(2)));
                }
            }
        }
        legend(&mut chart, SeriesLabelPosition::UpperRight, WHITE)?;
        root.present()?;
        Ok(())
    };
    draw().map_err(failed)?;
    drop(root);
    Ok(svg)
}

/// A landscape over a rectangle: (x range, y range, values with row i at the i-th y).
pub type Landscape<'a> = ((f64, f64), (f64, f64), ArrayView2<'a, f64>);

/// The paths of two parameters over a landscape in viridis, with a cross at `truth`.
///
/// # Errors
/// [`FileError`](crate::error::FileError) if the plot cannot be drawn.
pub fn paths_svg(
    title: &str,
    axes: [&str; 2],
    landscape: Landscape<'_>,
    tracks: &[Track<'_>],
    truth: (f64, f64),
) -> Result<String> {
    let ((left, right), (bottom, top), values) = landscape;
    let colors = super::field::range(values.iter());
    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, (760, 620)).into_drawing_area();
    let draw = || -> Drawing {
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root)
            .caption(title, ("sans-serif", 18))
            .margin(14)
            .x_label_area_size(40)
            .y_label_area_size(54)
            .build_cartesian_2d(left..right, bottom..top)?;
        chart
            .configure_mesh()
            .disable_mesh()
            .x_desc(axes[0])
            .y_desc(axes[1])
            .label_style(("sans-serif", 13))
            .draw()?;
        let (rows, columns) = values.dim();
        let (dx, dy) = ((right - left) / columns as f64, (top - bottom) / rows as f64);
        chart.draw_series(values.indexed_iter().filter(|(_, v)| v.is_finite()).map(|((i, j), v)| {
            let (x, y) = (left + j as f64 * dx, bottom + i as f64 * dy);
            let share = ((v - colors.0) / (colors.1 - colors.0).max(f64::MIN_POSITIVE)) as f32;
            Rectangle::new(
                [(x, y), (x + dx, y + dy)],
                ViridisRGB.get_color(share.clamp(0.0, 1.0)).mix(0.75).filled(),
            )
        }))?;
        for ((name, path), color) in
            tracks.iter().zip([WHITE, RGBColor(230, 60, 0), RGBColor(255, 0, 255)].into_iter().cycle())
        {
            let points: Vec<(f64, f64)> = path.iter().map(|(_, values)| (values[0], values[1])).collect();
            chart
                .draw_series(LineSeries::new(points.clone(), color.stroke_width(2)))?
                .label(*name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 22, y)], color.stroke_width(3)));
            chart.draw_series(points.into_iter().map(|p| Circle::new(p, 2, color.filled())))?;
        }
        chart.draw_series(std::iter::once(Cross::new(truth, 7, BLACK.stroke_width(2))))?;
        legend(&mut chart, SeriesLabelPosition::UpperRight, RGBColor(170, 170, 170))?;
        root.present()?;
        Ok(())
    };
    draw().map_err(failed)?;
    drop(root);
    Ok(svg)
}
