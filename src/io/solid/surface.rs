//! Surfaces that are made of triangles.

use std::collections::HashMap;

/// A surface of triangles with common vertices; counter-clockwise from outside.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Surface {
    /// The corners of the triangles.
    pub vertices: Vec<[f64; 3]>,
    /// Three vertex numbers a triangle.
    pub triangles: Vec<[u32; 3]>,
}

impl Surface {
    /// The corners of a triangle.
    ///
    /// # Panics
    /// A vertex number beyond the vertices panics.
    pub fn corners(&self, triangle: [u32; 3]) -> [[f64; 3]; 3] {
        triangle.map(|v| self.vertices[v as usize])
    }

    /// The enclosed volume by the divergence theorem; negative if the triangles are oriented inwards.
    ///
    /// # Panics
    /// A vertex number beyond the vertices panics.
    pub fn volume(&self) -> f64 {
        // The first vertex as origin keeps the terms small for a surface far from zero.
        let origin = self.vertices.first().copied().unwrap_or_default();
        let sum: f64 = self
            .triangles
            .iter()
            .map(|t| {
                let [a, b, c] = self.corners(*t).map(|p| [0, 1, 2].map(|d| p[d] - origin[d]));
                a[0] * (b[1] * c[2] - b[2] * c[1])
                    + a[1] * (b[2] * c[0] - b[0] * c[2])
                    + a[2] * (b[0] * c[1] - b[1] * c[0])
            })
            .sum();
        sum / 6.0
    }

    /// Whether each directed edge occurs once, and its reverse once: the surface is closed, manifold along
    /// its edges, and consistently oriented.
    pub fn is_closed(&self) -> bool {
        let mut edges: HashMap<(u32, u32), u8> = HashMap::with_capacity(self.triangles.len() * 3 / 2);
        for [a, b, c] in &self.triangles {
            for (from, to) in [(*a, *b), (*b, *c), (*c, *a)] {
                let bit = if from < to { 1 } else { 2 };
                let seen = edges.entry((from.min(to), from.max(to))).or_default();
                if from == to || *seen & bit != 0 {
                    return false;
                }
                *seen |= bit;
            }
        }
        edges.values().all(|seen| *seen == 3)
    }
}

#[cfg(test)]
mod tests {
    use super::super::boundary::boundary;

    #[test]
    fn volume_has_a_sign_and_no_origin() {
        let mut surface = boundary([2, 3, 1], [1.0; 3], &[1.0; 6]).surface;
        assert!((surface.volume() - 6.0).abs() < 1e-12);
        surface.vertices.iter_mut().for_each(|p| p[1] += 1e6);
        assert!((surface.volume() - 6.0).abs() < 1e-6);
        surface.triangles.iter_mut().for_each(|t| t.reverse());
        assert!((surface.volume() + 6.0).abs() < 1e-6 && surface.is_closed());
    }

    #[test]
    fn open_and_inconsistent_surfaces_are_told() {
        let mut surface = boundary([1, 1, 1], [1.0; 3], &[1.0]).surface;
        surface.triangles[0].swap(0, 1);
        assert!(!surface.is_closed());
        surface.triangles.remove(0);
        assert!(!surface.is_closed());
    }
}
