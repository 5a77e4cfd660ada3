//! A canvas with depth: triangles and lines go in, lit pixels come out.
//!
//! All is in pixels of the canvas: x to the right, y down, and the depth towards the viewer. The projection
//! is parallel, so one unit is the same length along all three, which the ambient occlusion uses.

use image::{Rgb, RgbImage};

/// How many canvas pixels make one of the picture, along each side.
pub(crate) const SAMPLES: usize = 2;
/// The direction to the light: it comes from the upper left, behind the viewer.
const LIGHT: [f32; 3] = [-0.42, 0.72, 0.55];
/// The direction to a weak second light: it comes from the right.
const FILL: [f32; 3] = [0.72, 0.05, 0.69];
/// The direction half-way between the light and the viewer.
const HALF: [f32; 3] = [-0.239, 0.409, 0.881];
/// How many places near a pixel may hide it from ambient light.
const PROBES: usize = 24;
/// The side of the squares over which ambient light is averaged; as many turns of the probes.
const PATTERN: usize = 4;

/// What a pixel shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Material {
    /// Nothing was drawn at the pixel.
    Background,
    /// A solid of this colour, in linear light, which shines by the given share.
    Solid([f32; 3], f32),
    /// A line of this colour, which takes no light.
    Flat([f32; 3]),
}

/// A corner of a triangle: its place and its normal, the latter with y upwards.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Corner {
    pub(crate) place: [f32; 3],
    pub(crate) normal: [f32; 3],
}

/// The canvas that is drawn on.
#[derive(Debug)]
pub(crate) struct Canvas {
    width: usize,
    height: usize,
    depth: Vec<f32>,
    normals: Vec<[f32; 3]>,
    materials: Vec<u8>,
    palette: Vec<Material>,
}

pub(crate) fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(crate) fn unit(a: [f32; 3]) -> [f32; 3] {
    let length = dot(a, a).sqrt();
    if length > 0.0 { a.map(|c| c / length) } else { [0.0, 0.0, 1.0] }
}

impl Canvas {
    /// An empty canvas for a picture of the given size.
    pub(crate) fn new(width: usize, height: usize) -> Self {
        let (width, height) = (width * SAMPLES, height * SAMPLES);
        let count = width * height;
        Self {
            width,
            height,
            depth: vec![f32::NEG_INFINITY; count],
            normals: vec![[0.0; 3]; count],
            materials: vec![0; count],
            palette: vec![Material::Background],
        }
    }

    /// The number of a material, for [`triangle`](Self::triangle) and [`line`](Self::line).
    pub(crate) fn material(&mut self, material: Material) -> u8 {
        self.palette.push(material);
        (self.palette.len() - 1) as u8
    }

    /// Draws a triangle where it is nearest to the viewer; both of its sides are visible.
    pub(crate) fn triangle(&mut self, corners: [Corner; 3], material: u8) {
        let [a, b, c] = corners.map(|c| c.place);
        let area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
        let finite = [a, b, c].as_flattened().iter().all(|v| v.is_finite());
        if area == 0.0 || !finite {
            return;
        }
        let span = |axis: usize, count: usize| {
            let least = a[axis].min(b[axis]).min(c[axis]);
            let greatest = a[axis].max(b[axis]).max(c[axis]);
            // Pixel centres are at halves; a conversion to an integer saturates.
            (least - 0.5).ceil().max(0.0) as usize..((greatest + 0.5).floor().max(0.0) as usize).min(count)
        };
        let columns = span(0, self.width);
        for row in span(1, self.height) {
            for column in columns.clone() {
                let (x, y) = (column as f32 + 0.5, row as f32 + 0.5);
                let first = ((b[0] - x) * (c[1] - y) - (b[1] - y) * (c[0] - x)) / area;
                let second = ((c[0] - x) * (a[1] - y) - (c[1] - y) * (a[0] - x)) / area;
                let third = 1.0 - first - second;
                // A little room keeps cracks from opening between neighbours.
                if first < -1e-5 || second < -1e-5 || third < -1e-5 {
                    continue;
                }
                let depth = first * a[2] + second * b[2] + third * c[2];
                let pixel = row * self.width + column;
                if depth > self.depth[pixel] {
                    self.depth[pixel] = depth;
                    self.materials[pixel] = material;
                    let [u, v, w] = corners.map(|c| c.normal);
                    self.normals[pixel] =
                        std::array::from_fn(|d| first * u[d] + second * v[d] + third * w[d]);
                }
            }
        }
    }

    /// Draws a line of the given width in canvas pixels.
    pub(crate) fn line(&mut self, from: [f32; 3], to: [f32; 3], width: f32, material: u8) {
        let along = [to[0] - from[0], to[1] - from[1]];
        let length = along[0].hypot(along[1]);
        if length == 0.0 {
            return;
        }
        let across = [-along[1] / length * width / 2.0, along[0] / length * width / 2.0];
        let corner = |p: [f32; 3], side: f32| Corner {
            place: [p[0] + side * across[0], p[1] + side * across[1], p[2]],
            normal: [0.0, 0.0, 1.0],
        };
        let [a, b, c, d] = [corner(from, 1.0), corner(from, -1.0), corner(to, 1.0), corner(to, -1.0)];
        self.triangle([a, b, c], material);
        self.triangle([c, b, d], material);
    }

    /// The picture on white, where `reach` is how far shapes darken each other, in canvas pixels.
    pub(crate) fn picture(&self, reach: f32) -> RgbImage {
        let (columns, rows) = (self.width / SAMPLES, self.height / SAMPLES);
        let ambient = self.ambient(columns, rows, reach);
        RgbImage::from_fn(columns as u32, rows as u32, |column, row| {
            let (column, row) = (column as usize, row as usize);
            let mut sum = [0.0; 3];
            for sample in 0..SAMPLES * SAMPLES {
                let (x, y) = (column * SAMPLES + sample % SAMPLES, row * SAMPLES + sample / SAMPLES);
                let color = self.color(y * self.width + x, ambient[row * columns + column]);
                sum.iter_mut().zip(color).for_each(|(sum, c)| *sum += c.clamp(0.0, 1.0));
            }
            Rgb(sum.map(|s| ((s / (SAMPLES * SAMPLES) as f32).powf(1.0 / 2.2) * 255.0).round() as u8))
        })
    }

    fn color(&self, pixel: usize, ambient: f32) -> [f32; 3] {
        match self.palette[self.materials[pixel] as usize] {
            Material::Background => [1.0; 3],
            Material::Flat(color) => color,
            Material::Solid(color, shine) => {
                let normal = unit(self.normals[pixel]);
                let direct = 0.68 * dot(normal, LIGHT).max(0.0) + 0.15 * dot(normal, FILL).max(0.0);
                let sky = 0.5 + 0.5 * normal[1];
                let light = direct * (0.5 + 0.5 * ambient) + (0.16 + 0.16 * sky) * ambient;
                let glint = shine * dot(normal, HALF).max(0.0).powi(40) * ambient;
                color.map(|c| c * light + glint)
            }
        }
    }

    /// The share of ambient light that reaches each pixel of the picture.
    fn ambient(&self, columns: usize, rows: usize, reach: f32) -> Vec<f32> {
        let probes = probes();
        let place = |column: usize, row: usize| (row * self.width + column) * SAMPLES;
        let mut raw = vec![1.0f32; columns * rows];
        for row in 0..rows {
            for column in 0..columns {
                let pixel = place(column, row);
                if matches!(self.palette[self.materials[pixel] as usize], Material::Solid(..)) {
                    let turn = column % PATTERN + PATTERN * (row % PATTERN);
                    raw[row * columns + column] =
                        self.open([column * SAMPLES, row * SAMPLES], pixel, &probes[turn], reach);
                }
            }
        }
        // Averages over a square that has all turns of the probes, without mixing near and far.
        let mut smooth = raw.clone();
        for row in 0..rows {
            for column in 0..columns {
                let depth = self.depth[place(column, row)];
                let (mut sum, mut count) = (0.0, 0.0);
                for y in row.saturating_sub(PATTERN / 2)..(row + PATTERN / 2).min(rows) {
                    for x in column.saturating_sub(PATTERN / 2)..(column + PATTERN / 2).min(columns) {
                        if (self.depth[place(x, y)] - depth).abs() < 0.25 * reach {
                            sum += raw[y * columns + x];
                            count += 1.0;
                        }
                    }
                }
                if count > 0.0 {
                    smooth[row * columns + column] = sum / count;
                }
            }
        }
        smooth
    }

    /// The share of the probes around a pixel that nothing hides.
    fn open(&self, [x, y]: [usize; 2], pixel: usize, probes: &[[f32; 3]], reach: f32) -> f32 {
        let (normal, depth) = (unit(self.normals[pixel]), self.depth[pixel]);
        let mut hidden = 0.0;
        for probe in probes {
            // A probe behind the surface moves to the other side.
            let sign = if dot(*probe, normal) < 0.0 { -reach } else { reach };
            let to = [x as f32 + sign * probe[0], y as f32 - sign * probe[1]];
            if to[0] < 0.0 || to[1] < 0.0 || to[0] >= self.width as f32 || to[1] >= self.height as f32 {
                continue;
            }
            let place = to[1] as usize * self.width + to[0] as usize;
            let above = self.depth[place] - (depth + sign * probe[2]);
            if above > 0.02 * reach {
                // What is much nearer to the viewer hides less.
                hidden += 1.0 / (1.0 + (above / reach).powi(2));
            }
        }
        (1.0 - hidden / PROBES as f32).powf(1.3)
    }
}

/// Places in a ball, denser at its middle, once for each turn.
fn probes() -> Vec<[[f32; 3]; PROBES]> {
    let turns = PATTERN * PATTERN;
    let golden = std::f32::consts::PI * (3.0 - 5f32.sqrt());
    (0..turns)
        .map(|turn| {
            // Neighbours differ much.
            let shift = (turn * 7 % turns) as f32 / turns as f32;
            std::array::from_fn(|i| {
                let height = 1.0 - 2.0 * (i as f32 + 0.5) / PROBES as f32;
                let angle = golden * i as f32 + shift * std::f32::consts::TAU;
                let share = ((i * 11 % PROBES) as f32 + 0.2 + 0.8 * shift) / PROBES as f32;
                let radius = 0.1 + 0.9 * share * share;
                let flat = (1.0 - height * height).sqrt();
                [radius * flat * angle.cos(), radius * flat * angle.sin(), radius * height]
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(canvas: &mut Canvas, depth: f32, side: f32, material: u8) {
        let corner = |x, y| Corner { place: [x, y, depth], normal: [0.0, 0.0, 1.0] };
        let [a, b] = [corner(0.0, 0.0), corner(side, 0.0)];
        let [c, d] = [corner(0.0, side), corner(side, side)];
        canvas.triangle([a, b, c], material);
        canvas.triangle([c, b, d], material);
    }

    #[test]
    fn nearer_shapes_hide_farther_ones() {
        let mut canvas = Canvas::new(10, 10);
        let [far, near] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]].map(|c| canvas.material(Material::Flat(c)));
        square(&mut canvas, 5.0, 10.0, near);
        square(&mut canvas, 1.0, 16.0, far);
        let picture = canvas.picture(4.0);
        assert_eq!(picture.get_pixel(2, 2).0, [0, 255, 0]);
        assert_eq!(picture.get_pixel(7, 7).0, [255, 0, 0]);
        assert_eq!(picture.get_pixel(9, 9).0, [255; 3]);
    }

    #[test]
    fn a_square_covers_each_of_its_pixels() {
        let mut canvas = Canvas::new(8, 8);
        let material = canvas.material(Material::Flat([0.0; 3]));
        square(&mut canvas, 0.0, 16.0, material);
        canvas.line([0.0, 3.0, 1.0], [0.0, 3.0, 1.0], 2.0, material);
        assert!(canvas.picture(2.0).pixels().all(|p| p.0 == [0; 3]));
    }

    #[test]
    fn a_plane_is_open_and_a_step_darkens_its_foot() {
        let mut canvas = Canvas::new(40, 40);
        let material = canvas.material(Material::Solid([1.0; 3], 0.0));
        square(&mut canvas, 0.0, 80.0, material);
        square(&mut canvas, 12.0, 40.0, material);
        let ambient = canvas.ambient(40, 40, 12.0);
        assert!(ambient[35 * 40 + 35] > 0.97);
        assert!(ambient[10 * 40 + 21] < 0.9);
    }
}
