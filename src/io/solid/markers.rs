//! Markers in a picture: balls and arrows, and which of many are shown.

use std::collections::BTreeMap;

use super::raster::{Canvas, Corner};
use super::render::{Camera, Point, Scene, cross, finite, length, plus};

/// The most arrows that are drawn.
const LOADS: usize = 60;

/// Draws the body that a profile of (radius, height) makes when it turns around an axis.
pub(crate) fn turn(
    canvas: &mut Canvas,
    camera: &Camera,
    origin: Point,
    axis: Point,
    profile: &[[f64; 2]],
    material: u8,
) {
    const SEGMENTS: u32 = 20;
    let helper = if axis[0].abs() < 0.6 { [1.0, 0.0, 0.0] } else { [0.0, 1.0, 0.0] };
    let u = cross(axis, helper);
    let u = u.map(|c| c / length(u));
    let v = cross(axis, u);
    let around = |segment: u32| {
        let (sin, cos) = (f64::from(segment) / f64::from(SEGMENTS) * std::f64::consts::TAU).sin_cos();
        [0, 1, 2].map(|d| cos * u[d] + sin * v[d])
    };
    for piece in profile.windows(2) {
        let [[r0, h0], [r1, h1]] = [piece[0], piece[1]];
        for segment in 0..SEGMENTS {
            let corner = |segment: u32, radius: f64, height: f64| {
                let out = around(segment);
                let normal = plus(out.map(|c| c * (h1 - h0)), r0 - r1, axis);
                let point = plus(plus(origin, height, axis), radius, out);
                Corner { place: camera.place(point), normal: camera.direction(normal) }
            };
            let [a, b] = [segment, segment + 1].map(|s| corner(s, r0, h0));
            let [c, d] = [segment, segment + 1].map(|s| corner(s, r1, h1));
            canvas.triangle([a, b, c], material);
            canvas.triangle([c, b, d], material);
        }
    }
}

/// Groups of near points, at most `limit` of them; each point is in one.
pub(crate) fn spread(points: &[Point], limit: usize, diagonal: f64) -> Vec<Vec<usize>> {
    if points.len() <= limit {
        return (0..points.len()).map(|i| vec![i]).collect();
    }
    let mut side = diagonal / 200.0;
    loop {
        let mut groups: BTreeMap<[i64; 3], Vec<usize>> = BTreeMap::new();
        for (i, point) in points.iter().enumerate() {
            groups.entry(point.map(|c| (c / side).floor() as i64)).or_default().push(i);
        }
        if groups.len() <= limit {
            return groups.into_values().collect();
        }
        side *= 1.2;
    }
}

/// The point of a group that is nearest to the group's mean.
pub(crate) fn middle(points: &[Point], group: &[usize]) -> Point {
    let share = 1.0 / group.len() as f64;
    let mean = group.iter().fold([0.0; 3], |sum, i| plus(sum, share, points[*i]));
    let distance = |point: &Point| length(plus(*point, -1.0, mean));
    group.iter().map(|i| points[*i]).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(mean)
}

/// The ends of the arrows of the loads.
pub(crate) fn arrows(scene: &Scene<'_>, diagonal: f64) -> Vec<(Point, Point)> {
    let loads: Vec<_> = scene.loads.iter().copied().filter(|(p, f)| finite(p) && finite(f)).collect();
    let points: Vec<Point> = loads.iter().map(|(point, _)| *point).collect();
    let groups: Vec<(Point, Point)> = spread(&points, LOADS, diagonal)
        .into_iter()
        .map(|group| {
            let share = 1.0 / group.len() as f64;
            let force = group.iter().fold([0.0; 3], |sum, i| plus(sum, share, loads[*i].1));
            (middle(&points, &group), force)
        })
        .collect();
    let greatest = groups.iter().map(|(_, force)| length(*force)).fold(0.0, f64::max);
    let outside = |point: Point| {
        (0..3).any(|d| point[d] < -1e-9 * diagonal || point[d] > scene.domain[d] + 1e-9 * diagonal)
    };
    groups
        .into_iter()
        .filter(|(_, force)| length(*force) > 1e-6 * greatest)
        .map(|(point, force)| {
            let way =
                force.map(|f| f / length(force) * diagonal * 0.13 * (0.5 + 0.5 * length(force) / greatest));
            let (before, behind) = (plus(point, -1.0, way), plus(point, 1.0, way));
            let leaves = outside(plus(point, 0.1, way)) && !outside(plus(point, -0.1, way));
            if leaves { (point, behind) } else { (before, point) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::surface::Surface;
    use super::*;

    #[test]
    fn groups_hold_each_point_once() {
        let points: Vec<Point> =
            (0..10_000).map(|i| [0.0, f64::from(i % 100) / 25.0, f64::from(i / 100) / 25.0]).collect();
        let groups = spread(&points, 400, 9.8);
        assert!(groups.len() <= 400 && groups.len() > 130);
        let mut members: Vec<usize> = groups.concat();
        members.sort_unstable();
        assert!(members.into_iter().eq(0..10_000));
        // One point far away does not keep the others apart for ever.
        let mut points = vec![[1.0; 3]; 500];
        points[7] = [1e300; 3];
        assert!(spread(&points, 400, 1.0).len() <= 400);
    }

    #[test]
    fn arrows_end_at_their_points_or_leave_the_domain() {
        let surface = Surface::default();
        let loads = [([1.0, 1.0, 0.5], [0.0, -2.0, 0.0]), ([1.0, 1.0, 0.5], [0.0, 1.0, 0.0])];
        let scene = Scene { surface: &surface, domain: [1.0; 3], supports: &[], loads: &loads };
        let found = arrows(&scene, 2.0);
        assert_eq!(found[0].1, loads[0].0);
        assert!(found[0].0[1] > 1.0);
        assert_eq!(found[1].0, loads[1].0);
        assert!(found[1].1[1] > 1.0);
    }
}
