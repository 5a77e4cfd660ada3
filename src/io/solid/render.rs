//! Pictures of a design with its domain, its supports and its loads.

use image::{Rgb, RgbImage};

use super::markers::{arrows, middle, spread, turn};
use super::raster::{Canvas, Corner, Material, SAMPLES, dot, unit};
use super::surface::Surface;

/// What a picture shows.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The surface of the design.
    pub surface: &'a Surface,
    /// The extents of the domain, one corner of which is the origin.
    pub domain: [f64; 3],
    /// The points that are held.
    pub supports: &'a [[f64; 3]],
    /// The loaded points and their forces.
    pub loads: &'a [([f64; 3], [f64; 3])],
}

/// The direction of the view in degrees: around the y axis from the z axis, and above the x–z plane.
const AZIMUTH: f64 = -35.0;
const ELEVATION: f64 = 25.0;
/// The colours in linear light.
const BODY: Material = Material::Solid([0.60, 0.64, 0.70], 0.06);
const SUPPORT: Material = Material::Solid([0.05, 0.22, 0.80], 0.15);
const LOAD: Material = Material::Solid([0.85, 0.06, 0.04], 0.12);
const FRAME: Material = Material::Flat([0.52; 3]);
/// The most supports that are drawn.
const SUPPORTS: usize = 400;
/// The cosine of the angle from which on an edge counts as sharp.
const SHARP: f32 = 0.2;
/// How often a vertex's normal becomes the mean of those around it: steps of cells look less rough.
const SMOOTHING: usize = 2;

pub(crate) type Point = [f64; 3];

pub(crate) fn plus(a: Point, share: f64, b: Point) -> Point {
    [0, 1, 2].map(|d| a[d] + share * b[d])
}

pub(crate) fn inner(a: Point, b: Point) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(crate) fn cross(a: Point, b: Point) -> Point {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

pub(crate) fn length(a: Point) -> f64 {
    inner(a, a).sqrt()
}

/// The picture of a scene, `width` pixels wide; its height follows from the domain.
///
/// The view is parallel, from the front, the left and above, with y upwards. Supports are blue balls. Loads
/// are red arrows that end at their points, or begin there if they pull outwards at the domain's side. Of
/// many supports and loads, only some are shown: near ones are joined, with the mean of their forces, whose
/// size relative to the largest one decides an arrow's length. What is not finite is left out. A width beyond
/// 4096 counts as 4096. The memory is about 70 bytes a pixel of the picture.
pub fn render(scene: &Scene<'_>, width: u32) -> RgbImage {
    let width = width.clamp(1, 4096);
    let diagonal = length(scene.domain);
    if !diagonal.is_finite() || diagonal <= 0.0 {
        return RgbImage::from_pixel(width, width, Rgb([255; 3]));
    }
    let arrows = arrows(scene, diagonal);
    let ends = arrows.iter().flat_map(|(from, to)| [*from, *to]);
    let (camera, height) = Camera::new(box_corners(scene.domain).into_iter().chain(ends), width);
    let mut canvas = Canvas::new(width as usize, height as usize);
    let [body, support, load, frame] = [BODY, SUPPORT, LOAD, FRAME].map(|m| canvas.material(m));

    draw_surface(&mut canvas, &camera, scene.surface, scene.domain, body);
    let corners = box_corners(scene.domain).map(|p| camera.place(p));
    let thickness = (width as f32 / 900.0).max(0.8) * SAMPLES as f32;
    for (from, to) in (0..8).flat_map(|from| [1, 2, 4].map(|bit| (from, from | bit))).filter(|(a, b)| a != b)
    {
        // Towards the viewer a little, so that the body's edges do not hide the frame.
        let [from, to] = [corners[from], corners[to]].map(|p| [p[0], p[1], p[2] + thickness]);
        canvas.line(from, to, thickness, frame);
    }
    let radius = 0.0055 * diagonal;
    let supports: Vec<Point> = scene.supports.iter().copied().filter(finite).collect();
    for group in spread(&supports, SUPPORTS, diagonal) {
        let point = middle(&supports, &group);
        // A ball is a turned half circle.
        let profile: Vec<[f64; 2]> = (0..=10)
            .map(|i| (f64::from(i) / 10.0 * std::f64::consts::PI).sin_cos())
            .map(|(sin, cos)| [radius * sin, -radius * cos])
            .collect();
        turn(&mut canvas, &camera, point, [0.0, 1.0, 0.0], &profile, support);
    }
    let thick = if arrows.len() > 12 { 0.7 } else { 1.0 } * diagonal;
    for (from, to) in arrows {
        let way = plus(to, -1.0, from);
        let (shaft, tip) = (0.0042 * thick, 0.0125 * thick);
        let whole = length(way);
        let neck = (whole - 0.036 * thick).max(0.4 * whole);
        let direction = way.map(|c| c / whole);
        let profile = [
            [0.0, 0.0],
            [shaft, 0.0],
            [shaft, 0.0],
            [shaft, neck],
            [shaft, neck],
            [tip, neck],
            [tip, neck],
            [0.0, whole],
        ];
        turn(&mut canvas, &camera, from, direction, &profile, load);
    }
    canvas.picture((0.035 * diagonal * camera.scale) as f32)
}

/// A parallel projection to canvas pixels.
pub(crate) struct Camera {
    axes: [Point; 3],
    scale: f64,
    shift: [f64; 2],
}

impl Camera {
    /// A camera that sees the points in a picture of this width, and the height of that picture.
    fn new(points: impl Iterator<Item = Point>, width: u32) -> (Self, u32) {
        let (sin, cos) = AZIMUTH.to_radians().sin_cos();
        let (above, level) = ELEVATION.to_radians().sin_cos();
        let viewer = [sin * level, above, cos * level];
        let right = [cos, 0.0, -sin];
        let axes = [right, cross(viewer, right), viewer];
        let (mut least, mut greatest) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
        for point in points {
            for d in 0..2 {
                let place = inner(axes[d], point);
                (least[d], greatest[d]) = (least[d].min(place), greatest[d].max(place));
            }
        }
        let margin = 0.03 * f64::from(width);
        let room = f64::from(width) - 2.0 * margin;
        let [across, upwards] = [0, 1].map(|d| greatest[d] - least[d]);
        // A tall domain fills twice the width at most.
        let scale = (room / across).min(2.0 * room / upwards);
        let height = (upwards * scale + 2.0 * margin).ceil().max(1.0);
        let samples = SAMPLES as f64;
        let shift = [
            samples * (f64::from(width) - scale * (least[0] + greatest[0])) / 2.0,
            samples * (height + scale * (least[1] + greatest[1])) / 2.0,
        ];
        (Self { axes, scale: scale * samples, shift }, height as u32)
    }

    pub(crate) fn place(&self, point: Point) -> [f32; 3] {
        let [x, y, z] = self.axes.map(|axis| self.scale * inner(axis, point));
        [(self.shift[0] + x) as f32, (self.shift[1] - y) as f32, z as f32]
    }

    pub(crate) fn direction(&self, normal: Point) -> [f32; 3] {
        unit(self.axes.map(|axis| inner(axis, normal) as f32))
    }
}

pub(crate) fn finite(point: &Point) -> bool {
    point.iter().all(|c| c.is_finite())
}

fn box_corners(extents: Point) -> [Point; 8] {
    std::array::from_fn(|corner| [0, 1, 2].map(|d| if corner >> d & 1 == 1 { extents[d] } else { 0.0 }))
}

/// Draws the surface with normals that are the means around a vertex, except on the domain's sides, which
/// stay flat, and at sharp edges.
fn draw_surface(canvas: &mut Canvas, camera: &Camera, surface: &Surface, domain: Point, material: u8) {
    let mut rounded = Vec::with_capacity(surface.triangles.len());
    let mut means = vec![[0.0; 3]; surface.vertices.len()];
    for triangle in &surface.triangles {
        let [a, b, c] = triangle.map(|v| surface.vertices.get(v as usize).copied().filter(finite));
        let (Some(a), Some(b), Some(c)) = (a, b, c) else { continue };
        let face = cross(plus(b, -1.0, a), plus(c, -1.0, a));
        if (0..3).any(|d| a[d] == b[d] && b[d] == c[d] && (a[d] == 0.0 || a[d] == domain[d])) {
            let normal = camera.direction(face);
            canvas.triangle([a, b, c].map(|p| Corner { place: camera.place(p), normal }), material);
        } else {
            triangle.iter().for_each(|v| means[*v as usize] = plus(means[*v as usize], 1.0, face));
            rounded.push((triangle, face));
        }
    }
    let mut means: Vec<[f32; 3]> = means.into_iter().map(|mean| camera.direction(mean)).collect();
    for _ in 0..SMOOTHING {
        let mut sums = vec![[0.0; 3]; means.len()];
        for (triangle, _) in &rounded {
            let corners = triangle.map(|v| means[v as usize]);
            let sum: [f32; 3] = std::array::from_fn(|d| corners[0][d] + corners[1][d] + corners[2][d]);
            triangle.iter().for_each(|v| (0..3).for_each(|d| sums[*v as usize][d] += sum[d]));
        }
        means = sums.into_iter().map(unit).collect();
    }
    for (triangle, face) in rounded {
        let face = camera.direction(face);
        let corners = triangle.map(|v| {
            let mean = means[v as usize];
            let normal = if dot(mean, face) < SHARP { face } else { mean };
            Corner { place: camera.place(surface.vertices[v as usize]), normal }
        });
        canvas.triangle(corners, material);
    }
}

#[cfg(test)]
mod tests {
    use super::super::boundary::boundary;
    use super::*;

    /// The pixels of which the channel `which` is much brighter than both others.
    fn count(picture: &RgbImage, which: usize) -> usize {
        let strong =
            |p: &&Rgb<u8>| (0..3).all(|c| c == which || i32::from(p.0[which]) - i32::from(p.0[c]) > 60);
        picture.pixels().filter(strong).count()
    }

    #[test]
    fn body_supports_and_loads_are_seen() {
        let surface = boundary([8, 4, 4], [1.0; 3], &[1.0; 128]).surface;
        let domain = [8.0, 4.0, 4.0];
        let bare = render(&Scene { surface: &surface, domain, supports: &[], loads: &[] }, 200);
        assert_eq!(bare.width(), 200);
        assert_eq!(bare.get_pixel(0, 0), &Rgb([255; 3]));
        assert_ne!(bare.get_pixel(100, bare.height() / 2), &Rgb([255; 3]));
        assert_eq!((count(&bare, 0), count(&bare, 2)), (0, 0));
        let supports: Vec<Point> =
            (0..10_000).map(|i| [0.0, f64::from(i % 100) / 25.0, f64::from(i / 100) / 25.0]).collect();
        let loads: Vec<(Point, Point)> =
            (0..5000).map(|i| ([f64::from(i) / 625.0, 4.0, 2.0], [0.0, -1e-3, 0.0])).collect();
        let scene = Scene { surface: &surface, domain, supports: &supports, loads: &loads };
        let full = render(&scene, 200);
        assert!(count(&full, 0) > 200 && count(&full, 2) > 200);
        assert_eq!(full, render(&scene, 200));
    }

    #[test]
    fn broken_scenes_do_no_harm() {
        let mut surface = boundary([2, 2, 2], [1.0; 3], &[1.0; 8]).surface;
        surface.vertices[0] = [f64::NAN; 3];
        surface.vertices[1] = [1e300; 3];
        surface.triangles.push([0, 1, u32::MAX]);
        let points = [[f64::NAN; 3], [1e300; 3], [1.0; 3]];
        let loads = [([1.0; 3], [0.0; 3]), ([1.0; 3], [f64::INFINITY; 3])];
        for domain in [[2.0; 3], [0.0; 3], [f64::NAN; 3], [2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [1e-300; 3]] {
            let picture = render(&Scene { surface: &surface, domain, supports: &points, loads: &loads }, 40);
            assert!(picture.width() == 40 && picture.height() <= 90);
        }
        let scene = Scene { surface: &surface, domain: [2.0; 3], supports: &[], loads: &[] };
        assert_eq!(render(&scene, 0).width(), 1);
    }
}
