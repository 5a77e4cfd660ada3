//! Fields in colour: rasters as PNG, polygons as SVG.

use std::fmt::Write;
use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};
use ndarray::ArrayView2;
use plotters::prelude::{ColorMap, ViridisRGB};

use crate::error::{Error, Result};

/// The gap between two panels, in pixels.
const GAP: usize = 16;
/// The least height of a panel, in pixels.
const HEIGHT: usize = 360;

/// The least and the greatest finite value; (0, 1) if there is none.
pub fn range<'a>(values: impl IntoIterator<Item = &'a f64>) -> (f64, f64) {
    let (least, greatest) = values
        .into_iter()
        .filter(|v| v.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)));
    if least <= greatest { (least, greatest) } else { (0.0, 1.0) }
}

/// Viridis: dark for the least value, bright for the greatest; grey for what is not finite.
fn color(value: f64, (least, greatest): (f64, f64)) -> [u8; 3] {
    if !value.is_finite() {
        return [128; 3];
    }
    let share = if greatest > least { (value - least) / (greatest - least) } else { 0.5 };
    let color = ViridisRGB.get_color(share.clamp(0.0, 1.0) as f32);
    [color.0, color.1, color.2]
}

/// Matrices side by side as PNG in viridis, row 0 at the top, each with the range it is coloured by.
///
/// # Errors
/// [`FileError`](crate::error::FileError) if the picture cannot be encoded.
pub fn fields_png(panels: &[(ArrayView2<'_, f64>, (f64, f64))]) -> Result<Vec<u8>> {
    let scale = |panel: &ArrayView2<'_, f64>| HEIGHT.div_ceil(panel.nrows().max(1));
    let height = panels.iter().map(|(p, _)| p.nrows() * scale(p)).max().unwrap_or(1).max(1);
    let width: usize =
        panels.iter().map(|(p, _)| p.ncols() * scale(p) + GAP).sum::<usize>().max(GAP + 1) - GAP;
    let mut picture = RgbImage::from_pixel(width as u32, height as u32, Rgb([255; 3]));
    let mut left = 0;
    for (panel, range) in panels {
        let scale = scale(panel);
        for ((row, column), value) in panel.indexed_iter() {
            for pixel in 0..scale * scale {
                let (x, y) = (left + column * scale + pixel % scale, row * scale + pixel / scale);
                picture.put_pixel(x as u32, y as u32, Rgb(color(*value, *range)));
            }
        }
        left += panel.ncols() * scale + GAP;
    }
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).map_err(|e| Error::encoding("a picture", e))?;
    Ok(bytes.into_inner())
}

/// A polygon and the value it is coloured by.
pub type Polygon = (Vec<[f64; 2]>, f64);

/// Polygons in panels side by side as SVG in viridis, later ones on top, y upwards; each panel with its title
/// and the range it is coloured by, all in one scale.
pub fn polygons_svg(panels: &[(&str, Vec<Polygon>, (f64, f64))]) -> String {
    const SIZE: f64 = 380.0;
    const TOP: f64 = 48.0;
    let corners = || panels.iter().flat_map(|(_, polygons, _)| polygons).flat_map(|(corners, _)| corners);
    let (left, right) = range(corners().map(|[x, _]| x));
    let (bottom, top) = range(corners().map(|[_, y]| y));
    let scale = SIZE / (right - left).max(top - bottom).max(f64::MIN_POSITIVE);
    let (width, height) = ((right - left) * scale + 24.0, (top - bottom) * scale + TOP + 12.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{:.0}\" height=\"{height:.0}\"><rect \
         width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        width * panels.len() as f64
    );
    for (number, (title, polygons, range)) in panels.iter().enumerate() {
        let x0 = number as f64 * width + 12.0;
        // Writing to a string cannot fail.
        let _ = writeln!(
            svg,
            "<g font-family=\"sans-serif\" font-size=\"13\"><text x=\"{x0:.0}\" y=\"18\">{title}</text>"
        );
        let _ = writeln!(
            svg,
            "<text x=\"{x0:.0}\" y=\"36\" fill=\"#555\">dark {:.4}, bright {:.4}</text></g>",
            range.0, range.1
        );
        for (corners, value) in polygons {
            let points: Vec<String> = corners
                .iter()
                .map(|[x, y]| format!("{:.1},{:.1}", x0 + (x - left) * scale, TOP + (top - y) * scale))
                .collect();
            let [r, g, b] = color(*value, *range);
            let fill = format!("#{r:02x}{g:02x}{b:02x}");
            let _ = writeln!(
                svg,
                "<polygon points=\"{}\" fill=\"{fill}\" stroke=\"{fill}\" stroke-width=\"0.5\"/>",
                points.join(" ")
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}
