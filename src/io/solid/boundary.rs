//! The surface of a design: where its density crosses a level, closed by the sides of the domain.
//!
//! The density counts as linear between the cells' centres and as constant from the outermost centres to the
//! domain's sides. Every box between eight such samples is cut into the same six tetrahedra around its main
//! diagonal, so neighbours agree on their common faces. The solid is the set where the density is at least
//! the level, and its boundary has two parts: the crossings within the tetrahedra, and those parts of the
//! domain's sides that lie in the solid. A boundary of that kind is closed and manifold for every density.
//!
//! Published crates do less. `mcubes` has its own vertices for each triangle, `isosurface` says that its
//! meshes may be non-manifold, surface nets as in `fast-surface-nets` are non-manifold where four cells meet
//! crosswise, and all three compute in `f32` and leave a surface open at the sides of the domain.

use super::surface::Surface;
use super::tetrahedra::{Mesher, WALKS, corners};

/// The surface that [`boundary`] finds, and its level.
#[derive(Debug, Clone, PartialEq)]
pub struct Boundary {
    /// The closed surface of the design.
    pub surface: Surface,
    /// The density at which the surface lies.
    pub level: f64,
}

/// How far the enclosed volume may be from the sum of the densities, as a share, when the search ends.
const TOLERANCE: f64 = 1e-4;

/// The surface of a design with one density a cell, x fastest, values beyond [0, 1] and NaN being clipped.
///
/// The level is the one at which the surface encloses the volume Σ ρ · cell volume: within 0.01 % if the
/// density's linear interpolant is measured, and within 0.5 % if the triangles are, which keep a small
/// distance from the samples. The level is 0.5 where that suffices. No level reaches the volume if many
/// neighbouring cells have one and the same grey: then the level is just at that grey or just above it,
/// whichever has the nearer volume, but not an empty one. So a uniform grey design becomes the whole domain
/// (the level is the grey itself). A void design, or a mesh without cells, becomes an empty surface (the
/// level is 0.5).
///
/// # Panics
/// A density whose length is not the number of cells panics.
pub fn boundary(size: [usize; 3], sides: [f64; 3], density: &[f64]) -> Boundary {
    assert_eq!(density.len(), size.iter().product::<usize>(), "there must be one density a cell");
    let samples = Samples { size, sides, density };
    let level = samples.level();
    Boundary { surface: samples.surface(level), level }
}

/// A density within [0, 1]; NaN is void.
fn clipped(value: f64) -> f64 {
    if value > 0.0 { value.min(1.0) } else { 0.0 }
}

/// The density at the nodes of the samples' grid: the sides of the domain and the cells' centres.
pub(crate) struct Samples<'a> {
    pub(crate) size: [usize; 3],
    sides: [f64; 3],
    density: &'a [f64],
}

impl Samples<'_> {
    pub(crate) fn position(&self, axis: usize, node: usize) -> f64 {
        let (cells, side) = (self.size[axis], self.sides[axis]);
        match node {
            0 => 0.0,
            n if n > cells => cells as f64 * side,
            n => (n as f64 - 0.5) * side,
        }
    }

    fn value(&self, node: [usize; 3]) -> f64 {
        let [x, y, z] = [0, 1, 2].map(|d| node[d].clamp(1, self.size[d]) - 1);
        clipped(self.density[x + self.size[0] * (y + self.size[1] * z)])
    }

    /// The values at a box's corners; bit d of a corner's number is its place along axis d.
    pub(crate) fn values(&self, at: [usize; 3]) -> [f64; 8] {
        std::array::from_fn(|corner| self.value([0, 1, 2].map(|d| at[d] + (corner >> d & 1))))
    }

    /// Calls `visit` with every box between samples, z slowest.
    pub(crate) fn boxes(&self, mut visit: impl FnMut([usize; 3])) {
        if self.density.is_empty() {
            return;
        }
        for z in 0..=self.size[2] {
            for y in 0..=self.size[1] {
                for x in 0..=self.size[0] {
                    visit([x, y, z]);
                }
            }
        }
    }

    /// The volume where the linear interpolant is at least `level`.
    fn volume(&self, level: f64) -> f64 {
        let mut total = 0.0;
        self.boxes(|at| {
            let values = self.values(at);
            let inside = values.iter().filter(|v| **v >= level).count();
            if inside == 0 {
                return;
            }
            let share = match inside {
                8 => 1.0,
                _ => {
                    WALKS.iter().map(|(walk, _)| share(corners(walk).map(|c| values[c]), level)).sum::<f64>()
                        / 6.0
                }
            };
            let volume: f64 = (0..3).map(|d| self.position(d, at[d] + 1) - self.position(d, at[d])).product();
            total += share * volume;
        });
        total
    }

    /// The level at which the volume is that of the densities.
    fn level(&self) -> f64 {
        let cell: f64 = self.sides.iter().product();
        let target = cell * self.density.iter().map(|v| clipped(*v)).sum::<f64>();
        // The volume falls with the level, from the whole domain at `low` to nothing above `high`.
        let (mut low, mut high) = (0.0, 1.0);
        let (mut above, mut below) = (cell * self.density.len() as f64, 0.0);
        let mut level = 0.5;
        for _ in 0..50 {
            let volume = self.volume(level);
            if (volume - target).abs() <= TOLERANCE * target {
                return level;
            }
            if volume > target {
                (low, above) = (level, volume);
            } else {
                (high, below) = (level, volume);
            }
            level = 0.5 * (low + high);
        }
        let upper = below > 0.0 && target - below < above - target;
        if upper { high } else { low.max(f64::MIN_POSITIVE) }
    }

    fn surface(&self, level: f64) -> Surface {
        let mut mesher = Mesher::new(self, level);
        self.boxes(|at| mesher.visit(at));
        mesher.surface
    }
}

/// The share of a tetrahedron where a linear function with these values at its corners is at least `level`.
fn share(mut values: [f64; 4], level: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let [a, b, c, d] = values;
    // How far the crossing is from `high` on the way to `low`.
    let cut = |high: f64, low: f64| (high - level) / (high - low);
    match values.iter().filter(|v| **v >= level).count() {
        0 => 0.0,
        1 => cut(d, a) * cut(d, b) * cut(d, c),
        2 => {
            let [ca, cb, da, db] = [cut(c, a), cut(c, b), cut(d, a), cut(d, b)];
            ca * cb + da * cb * (1.0 - ca) + da * db * (1.0 - cb)
        }
        3 => 1.0 - (1.0 - cut(b, a)) * (1.0 - cut(c, a)) * (1.0 - cut(d, a)),
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn noise(count: usize, seed: u64) -> Vec<f64> {
        let mut state = seed;
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 11) as f64 / (1u64 << 53) as f64
        })
        .take(count)
        .collect()
    }

    /// Closed, one fan of triangles a vertex, no empty triangle, no unused vertex, all within the domain.
    fn check(surface: &Surface, size: [usize; 3], sides: [f64; 3]) {
        assert!(surface.is_closed());
        let mut next = vec![HashMap::new(); surface.vertices.len()];
        for triangle in &surface.triangles {
            let [a, b, c] = surface.corners(*triangle);
            let [u, v] = [b, c].map(|p| [0, 1, 2].map(|d| (p[d] - a[d]) / sides[d]));
            let normal = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
            assert!(normal.iter().map(|n| n * n).sum::<f64>().sqrt() > 1e-6, "{a:?} {b:?} {c:?}");
            for i in 0..3 {
                next[triangle[i] as usize].insert(triangle[(i + 1) % 3], triangle[(i + 2) % 3]);
            }
        }
        for fan in next {
            let start = *fan.keys().next().expect("the vertex is used");
            let (mut at, mut steps) = (fan[&start], 1);
            while at != start {
                (at, steps) = (fan[&at], steps + 1);
            }
            assert_eq!(steps, fan.len(), "a vertex joins two sheets");
        }
        for vertex in &surface.vertices {
            assert!((0..3).all(|d| vertex[d] >= 0.0 && vertex[d] <= size[d] as f64 * sides[d]));
        }
    }

    #[test]
    fn full_domain_is_the_box() {
        for size in [[1, 1, 1], [3, 1, 2], [4, 5, 3]] {
            let sides = [0.5, 2.0, 1.25];
            let found = boundary(size, sides, &vec![1.0; size.iter().product()]);
            check(&found.surface, size, sides);
            let volume = size.iter().product::<usize>() as f64 * 1.25;
            assert!((found.surface.volume() / volume - 1.0).abs() < 1e-12);
            assert_eq!(found.level, 0.5);
        }
    }

    #[test]
    fn any_density_has_a_closed_surface_of_its_volume() {
        for (seed, size) in [[1, 1, 1], [1, 6, 1], [7, 5, 3], [9, 9, 9], [2, 12, 5]].into_iter().enumerate() {
            let sides = [1.0, 0.7, 1.9];
            let cell: f64 = sides.iter().product();
            for threshold in [None, Some(0.2), Some(0.5), Some(0.9)] {
                let mut density = noise(size.iter().product(), seed as u64 + 1);
                if let Some(threshold) = threshold {
                    density.iter_mut().for_each(|v| *v = f64::from(*v > threshold));
                }
                let found = boundary(size, sides, &density);
                check(&found.surface, size, sides);
                let target = cell * density.iter().sum::<f64>();
                if density.len() > 6 {
                    let volume = found.surface.volume();
                    assert!(
                        (volume / target - 1.0).abs() < 0.005,
                        "{size:?} {threshold:?} {volume} {target}"
                    );
                }
            }
        }
    }

    #[test]
    fn ball_is_found_and_sides_are_flat() {
        let (size, sides, radius) = ([24, 24, 24], [1.0; 3], 9.0);
        // The ball is cut by the side x = 0.
        let density: Vec<f64> = (0..24 * 24 * 24)
            .map(|e| {
                let [x, y, z] = [e % 24, e / 24 % 24, e / 576].map(|n| n as f64 + 0.5);
                let distance = (x * x + (y - 12.0).powi(2) + (z - 12.0).powi(2)).sqrt();
                (0.5 + radius - distance).clamp(0.0, 1.0)
            })
            .collect();
        let found = boundary(size, sides, &density);
        check(&found.surface, size, sides);
        assert!((found.level - 0.5).abs() < 0.02);
        let volume = 2.0 / 3.0 * std::f64::consts::PI * radius.powi(3);
        assert!((found.surface.volume() / volume - 1.0).abs() < 0.01);
        // On the diagonal of a box, the clipped density is a coarse measure of the distance.
        for [x, y, z] in &found.surface.vertices {
            let distance = (x * x + (y - 12.0).powi(2) + (z - 12.0).powi(2)).sqrt();
            assert!(*x == 0.0 || (distance - radius).abs() < 0.4, "{distance}");
        }
        assert!(found.surface.vertices.iter().filter(|p| p[0] == 0.0).count() > 100);
    }

    #[test]
    fn grey_void_and_broken_designs() {
        let grey = boundary([3, 3, 3], [1.0; 3], &[0.3; 27]);
        check(&grey.surface, [3, 3, 3], [1.0; 3]);
        assert!((grey.surface.volume() - 27.0).abs() < 1e-9 && (grey.level - 0.3).abs() < 1e-9);
        for density in [vec![0.0; 27], vec![f64::NAN; 27], vec![-1.0; 27]] {
            let void = boundary([3, 3, 3], [1.0; 3], &density);
            assert_eq!((void.surface, void.level), (Surface::default(), 0.5));
        }
        assert_eq!(boundary([3, 3, 0], [1.0; 3], &[]).surface, Surface::default());
        let mut mixed = vec![f64::INFINITY; 27];
        mixed[13] = f64::NAN;
        let mixed = boundary([3, 3, 3], [1.0; 3], &mixed);
        check(&mixed.surface, [3, 3, 3], [1.0; 3]);
        assert!((mixed.surface.volume() / 26.0 - 1.0).abs() < 0.005);
    }
}
