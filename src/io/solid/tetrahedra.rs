//! The triangles of a surface, from boxes that are cut into tetrahedra.

use super::boundary::Samples;
use super::surface::Surface;

/// The least share of an edge between a vertex and either end: no triangle shrinks to nothing.
const MARGIN: f64 = 0.01;
/// The six tetrahedra of a box as the order of the axes along which they walk from corner 0 to corner 7, and
/// whether that walk is right-handed.
pub(crate) const WALKS: [([usize; 3], bool); 6] = [
    ([0, 1, 2], true),
    ([1, 2, 0], true),
    ([2, 0, 1], true),
    ([0, 2, 1], false),
    ([2, 1, 0], false),
    ([1, 0, 2], false),
];

/// The four corners that a walk through a box passes.
pub(crate) fn corners(walk: &[usize; 3]) -> [usize; 4] {
    let first = 1 << walk[0];
    [0, first, first | 1 << walk[1], 7]
}

/// Makes the triangles box by box; it remembers the vertices of two planes of nodes.
pub(crate) struct Mesher<'a> {
    samples: &'a Samples<'a>,
    level: f64,
    pub(crate) surface: Surface,
    /// The vertices by plane, node, and the edge's direction, of which 0 is the node itself. The number is
    /// one more than the vertex's; 0 means there is none yet.
    known: [Vec<[u32; 8]>; 2],
    /// The plane of boxes that was visited last.
    plane: usize,
}

impl<'a> Mesher<'a> {
    pub(crate) fn new(samples: &'a Samples<'a>, level: f64) -> Self {
        let nodes = (samples.size[0] + 2) * (samples.size[1] + 2);
        let known = [vec![[0; 8]; nodes], vec![[0; 8]; nodes]];
        Self { samples, level, surface: Surface::default(), known, plane: 0 }
    }

    pub(crate) fn visit(&mut self, at: [usize; 3]) {
        if at[2] != self.plane {
            self.plane = at[2];
            self.known[(at[2] + 1) % 2].fill([0; 8]);
        }
        let values = self.samples.values(at);
        let inside = values.iter().filter(|v| **v >= self.level).count();
        let outermost = (0..3).any(|d| at[d] == 0 || at[d] == self.samples.size[d]);
        if inside == 0 || inside == 8 && !outermost {
            return;
        }
        for (walk, right) in &WALKS {
            let corners = corners(walk);
            self.crossing(at, &values, corners, *right);
            let [a, b, c, d] = corners;
            if at[walk[2]] == 0 {
                self.cap(at, &values, if *right { [a, c, b] } else { [a, b, c] });
            }
            if at[walk[0]] == self.samples.size[walk[0]] {
                self.cap(at, &values, if *right { [b, c, d] } else { [b, d, c] });
            }
        }
    }

    /// The part of the level set in one tetrahedron.
    fn crossing(&mut self, at: [usize; 3], values: &[f64; 8], tetrahedron: [usize; 4], right: bool) {
        let solid = tetrahedron.map(|c| values[c] >= self.level);
        // The corners in the solid go first; each exchange of two changes the handedness.
        let mut order = [0, 1, 2, 3];
        order.sort_by_key(|i| !solid[*i]);
        let exchanges: usize = (0..4).map(|i| (0..i).filter(|j| order[*j] > order[i]).count()).sum();
        let outwards = right == exchanges.is_multiple_of(2);
        let [i, j, k, l] = order.map(|i| tetrahedron[i]);
        let edges: &[[usize; 2]] = match solid.iter().filter(|s| **s).count() {
            1 => &[[i, j], [i, k], [i, l]],
            2 => &[[i, k], [i, l], [j, l], [j, k]],
            3 => &[[i, l], [j, l], [k, l]],
            _ => return,
        };
        let mut polygon = [0; 4];
        for (vertex, [from, to]) in polygon.iter_mut().zip(edges) {
            *vertex = self.vertex(at, values, *from, *to);
        }
        let polygon = &mut polygon[..edges.len()];
        if !outwards {
            polygon.reverse();
        }
        self.fan(polygon);
    }

    /// The part in the solid of a triangle on the domain's side.
    fn cap(&mut self, at: [usize; 3], values: &[f64; 8], triangle: [usize; 3]) {
        let (mut polygon, mut length) = ([0; 4], 0);
        for (i, corner) in triangle.into_iter().enumerate() {
            let next = triangle[(i + 1) % 3];
            let solid = [corner, next].map(|c| values[c] >= self.level);
            if solid[0] {
                polygon[length] = self.vertex(at, values, corner, corner);
                length += 1;
            }
            if solid[0] != solid[1] {
                polygon[length] = self.vertex(at, values, corner, next);
                length += 1;
            }
        }
        self.fan(&polygon[..length]);
    }

    fn fan(&mut self, polygon: &[u32]) {
        if let [first, rest @ ..] = polygon {
            self.surface.triangles.extend(rest.windows(2).map(|pair| [*first, pair[0], pair[1]]));
        }
    }

    /// The vertex on the edge between two corners of a box, or at the corner if they are one.
    fn vertex(&mut self, at: [usize; 3], values: &[f64; 8], one: usize, other: usize) -> u32 {
        // Of two corners on an edge, one's bits include the other's.
        let (from, to) = (one & other, one | other);
        let node = |corner: usize| [0, 1, 2].map(|d| at[d] + (corner >> d & 1));
        let [start, end] = [node(from), node(to)];
        let place = start[0] + (self.samples.size[0] + 2) * start[1];
        let known = &mut self.known[start[2] % 2][place][from ^ to];
        if *known == 0 {
            // At a corner the share does not count.
            let share = (self.level - values[from]) / (values[to] - values[from]);
            let share = share.clamp(MARGIN, 1.0 - MARGIN);
            self.surface.vertices.push([0, 1, 2].map(|d| {
                let [a, b] = [start[d], end[d]].map(|n| self.samples.position(d, n));
                if start[d] == end[d] { a } else { a + share * (b - a) }
            }));
            *known = self.surface.vertices.len() as u32;
        }
        *known - 1
    }
}
