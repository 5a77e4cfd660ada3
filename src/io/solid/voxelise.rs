//! Which cells of a mesh lie inside a closed surface.

use super::surface::Surface;

/// How far the rays pass from the cells' centres along y and z, in cell sides: surfaces that follow the mesh
/// often have vertices right at the centres.
const OFFSET: [f64; 2] = [1.618_034e-7, 1.414_214e-7];

/// Whether the centre of each cell lies inside the closed surface, by the crossings of one ray along x for
/// each row of cells; x fastest.
///
/// A ray that meets an edge or a vertex does no harm: a triangle counts as hit by a parity over its edges,
/// and an edge contributes the same to both of its triangles. Inside is what the surface winds around, so
/// that bodies that overlap make their union, and a cavity is one whose own surface is turned inwards, as
/// files have it. Where triangles are oriented at random, the parity of the crossings decides instead, and an
/// overlap of two bodies counts as outside. The cost is the number of cells plus that of the rows that each
/// triangle covers.
///
/// # Errors
/// A sentence says that a triangle has a vertex that does not exist or is not finite, that the cells have no
/// positive sides, or that a ray left the surface more or less often than it entered: it is not closed.
pub fn voxelise(surface: &Surface, size: [usize; 3], sides: [f64; 3]) -> Result<Vec<bool>, String> {
    if sides.iter().any(|s| !(s.is_finite() && *s > 0.0)) {
        return Err("The sides of a cell must be positive and finite.".to_string());
    }
    let [nx, ny, nz] = size;
    let cells = nx.checked_mul(ny).and_then(|n| n.checked_mul(nz)).ok_or("The mesh has too many cells.")?;
    if cells == 0 {
        return Ok(Vec::new());
    }
    // A crossing changes the winding number of all cells behind it; `ends` are those behind the last cell.
    let mut turns = vec![0_i16; cells];
    let mut ends = vec![0_i16; ny * nz];
    for (number, triangle) in surface.triangles.iter().enumerate() {
        let mut corners = [[0.0; 3]; 3];
        for (corner, vertex) in corners.iter_mut().zip(triangle) {
            *corner = match surface.vertices.get(*vertex as usize) {
                // In cell sides, with the rays at whole numbers.
                Some(p) if p.iter().all(|c| c.is_finite()) => {
                    let shift = [0.5, 0.5 + OFFSET[0], 0.5 + OFFSET[1]];
                    [0, 1, 2].map(|d| p[d] / sides[d] - shift[d])
                }
                _ => return Err(format!("Triangle {} has a vertex that is not finite.", number + 1)),
            };
        }
        for z in covered(corners.map(|p| p[2]), nz) {
            for y in covered(corners.map(|p| p[1]), ny) {
                if let Some((x, turn)) = crossing(&corners, y as f64, z as f64) {
                    let row = y + ny * z;
                    ends[row] = ends[row].wrapping_add(turn);
                    // The first cell whose centre lies behind the crossing.
                    let first = x.ceil().max(0.0);
                    if first < nx as f64 {
                        let cell = nx * row + first as usize;
                        turns[cell] = turns[cell].wrapping_add(turn);
                    }
                }
            }
        }
    }
    if let Some(row) = ends.iter().position(|end| end % 2 != 0) {
        return Err(format!(
            "The surface is not closed: a ray along x through the cells at y = {}, z = {} crosses it an odd \
             number of times.",
            row % ny,
            row / ny
        ));
    }
    let is_oriented = ends.iter().all(|end| *end == 0);
    let mut inside = Vec::with_capacity(cells);
    for row in turns.chunks(nx) {
        let mut winding = 0_i16;
        for turn in row {
            winding = winding.wrapping_add(*turn);
            inside.push(if is_oriented { winding != 0 } else { winding % 2 != 0 });
        }
    }
    Ok(inside)
}

/// The whole numbers below `count` between the least and the greatest coordinate.
fn covered(coordinates: [f64; 3], count: usize) -> std::ops::Range<usize> {
    let least = coordinates.into_iter().fold(f64::INFINITY, f64::min);
    let greatest = coordinates.into_iter().fold(f64::NEG_INFINITY, f64::max);
    // A conversion to an integer saturates.
    least.ceil().max(0.0) as usize..((greatest.floor() + 1.0).max(0.0) as usize).min(count)
}

/// Where the line along x through (y, z) crosses a triangle, and 1 or −1 by the side that it comes from.
fn crossing(corners: &[[f64; 3]; 3], y: f64, z: f64) -> Option<(f64, i16)> {
    let mut hit = false;
    for i in 0..3 {
        let (mut a, mut b) = (corners[i], corners[(i + 1) % 3]);
        if (a[2] > z) != (b[2] > z) {
            // The lower end goes first, so both triangles at an edge compute the same.
            if a[2] > b[2] {
                (a, b) = (b, a);
            }
            hit ^= side(a, b, y, z) > 0.0;
        }
    }
    hit.then(|| {
        let [a, b, c] = *corners;
        let weights = [side(b, c, y, z), side(c, a, y, z), side(a, b, y, z)];
        let total: f64 = weights.iter().sum();
        let x = (0..3).map(|i| weights[i] / total * corners[i][0]).sum::<f64>();
        let [least, greatest] = [a[0].min(b[0]).min(c[0]), a[0].max(b[0]).max(c[0])];
        // A triangle that is nearly parallel to the ray may have no usable weights.
        let x = if x.is_finite() { x.clamp(least, greatest) } else { 0.5 * (least + greatest) };
        (x, if total > 0.0 { 1 } else { -1 })
    })
}

/// Twice the area of the triangle (a, b, (y, z)) seen along x; positive if (y, z) is left of the way to b.
fn side(a: [f64; 3], b: [f64; 3], y: f64, z: f64) -> f64 {
    (b[1] - a[1]) * (z - a[2]) - (b[2] - a[2]) * (y - a[1])
}

#[cfg(test)]
mod tests {
    use super::super::boundary::boundary;
    use super::*;

    #[test]
    fn design_comes_back() {
        let (size, sides) = ([7, 6, 5], [0.5, 1.0, 2.0]);
        // The blocks are two cells thick: a cell alone may shrink until its centre is outside.
        let density: Vec<f64> = (0..210)
            .map(|e| {
                let block = e % 7 / 2 + 4 * (e / 7 % 6 / 2 + 3 * (e / 42 / 2));
                f64::from(block * 7 % 10 < 5)
            })
            .collect();
        let surface = boundary(size, sides, &density).surface;
        let inside = voxelise(&surface, size, sides).unwrap();
        let expected: Vec<bool> = density.iter().map(|v| *v > 0.5).collect();
        assert_eq!(inside, expected);
    }

    #[test]
    fn box_on_centres_and_planes_of_the_mesh() {
        for (from, to) in [(1.0, 4.0), (0.5, 3.5), (-2.0, 20.0), (7.0, 9.0)] {
            let mut surface = boundary([1, 1, 1], [1.0; 3], &[1.0]).surface;
            surface.vertices.iter_mut().for_each(|p| *p = p.map(|c| from + c * (to - from)));
            let inside = voxelise(&surface, [6, 6, 6], [1.0; 3]).unwrap();
            for (e, inside) in inside.into_iter().enumerate() {
                let centre = [e % 6, e / 6 % 6, e / 36].map(|n| n as f64 + 0.5);
                let strictly = centre.iter().all(|c| *c > from && *c < to);
                let touching = centre.iter().any(|c| *c == from || *c == to);
                assert!(inside == strictly || touching, "{centre:?}");
            }
        }
    }

    #[test]
    fn ball_has_its_volume() {
        let size = [30, 30, 30];
        let density: Vec<f64> = (0..27000)
            .map(|e| {
                let squares = [e % 30, e / 30 % 30, e / 900].map(|n| (n as f64 - 14.5).powi(2));
                (11.0 - squares.iter().sum::<f64>().sqrt()).clamp(0.0, 1.0)
            })
            .collect();
        let surface = boundary(size, [1.0; 3], &density).surface;
        let count = voxelise(&surface, size, [1.0; 3]).unwrap().into_iter().filter(|i| *i).count();
        let share = count as f64 / surface.volume();
        assert!((share - 1.0).abs() < 0.02, "{share}");
        // A finer mesh than the surface's is as good.
        let count = voxelise(&surface, [70; 3], [30.0 / 70.0; 3]).unwrap().into_iter().filter(|i| *i).count();
        assert!((count as f64 * (30.0f64 / 70.0).powi(3) / surface.volume() - 1.0).abs() < 0.01);
    }

    /// A box from `from` to `to`, its triangles turned inwards if asked for.
    fn add_box(surface: &mut Surface, [from, to]: [f64; 2], is_cavity: bool) {
        let cube = boundary([1, 1, 1], [1.0; 3], &[1.0]).surface;
        let first = surface.vertices.len() as u32;
        surface.vertices.extend(cube.vertices.iter().map(|p| p.map(|c| from + c * (to - from))));
        surface.triangles.extend(cube.triangles.iter().map(|[a, b, c]| {
            let [a, b, c] = [first + a, first + b, first + c];
            if is_cavity { [a, c, b] } else { [a, b, c] }
        }));
    }

    #[test]
    fn overlapping_bodies_make_their_union_and_cavities_are_holes() {
        let count = |bodies: &[([f64; 2], bool)]| {
            let mut surface = Surface::default();
            bodies.iter().for_each(|(body, is_cavity)| add_box(&mut surface, *body, *is_cavity));
            let inside = voxelise(&surface, [10; 3], [1.0; 3]).unwrap();
            inside.into_iter().filter(|inside| *inside).count()
        };
        assert_eq!(count(&[([1.0, 5.0], false), ([3.0, 8.0], false)]), 64 + 125 - 8);
        assert_eq!(count(&[([1.0, 5.0], true), ([3.0, 8.0], true)]), 64 + 125 - 8, "both turned inside out");
        assert_eq!(count(&[([1.0, 8.0], false), ([3.0, 5.0], true)]), 343 - 8);
        // One triangle of a body is turned, so that orientations say nothing.
        let mut surface = Surface::default();
        add_box(&mut surface, [1.0, 5.0], false);
        let turned = |n: usize| {
            let mut surface = surface.clone();
            surface.triangles[n].swap(1, 2);
            voxelise(&surface, [10; 3], [1.0; 3]).unwrap().into_iter().filter(|inside| *inside).count()
        };
        assert!((0..surface.triangles.len()).all(|n| turned(n) == 64));
    }

    #[test]
    fn open_and_broken_surfaces_are_refused() {
        let mut surface = boundary([4, 4, 4], [1.0; 3], &[1.0; 64]).surface;
        let place = surface.triangles.iter().position(|t| surface.corners(*t).iter().all(|p| p[0] == 0.0));
        surface.triangles.remove(place.unwrap());
        let message = voxelise(&surface, [8; 3], [0.5; 3]).unwrap_err();
        assert!(message.starts_with("The surface is not closed"), "{message}");
        surface.triangles.push([0, 1, u32::MAX]);
        assert!(voxelise(&surface, [4; 3], [1.0; 3]).is_err());
        surface.triangles.pop();
        surface.vertices[0][1] = f64::NAN;
        assert!(voxelise(&surface, [4; 3], [1.0; 3]).is_err());
        assert!(voxelise(&Surface::default(), [4; 3], [0.0; 3]).is_err());
        assert_eq!(voxelise(&Surface::default(), [2, 1, 1], [1.0; 3]), Ok(vec![false; 2]));
        assert_eq!(voxelise(&surface, [4, 4, 0], [1.0; 3]), Ok(vec![]));
    }
}
