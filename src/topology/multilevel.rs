//! Grid sequencing: coarse grids find the layout, the fine one refines it.

use super::mesh::Mesh;
use super::structure::Structure;
use crate::domain::volume_scale;
use crate::error::{Error, Result};

use rayon::prelude::*;

/// The number of grids that a run goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Levels {
    /// As many grids as are useful: the grid is halved while there are at least 20 elements along the longest
    /// axis and 6 along the shortest.
    Auto,
    /// This many grids, the given one included; 1 means no coarse grid.
    Count(usize),
}

/// The fewest elements of an automatic coarse grid along its longest and its shortest axis, in the plane and
/// in space.
const COARSEST: [[u32; 2]; 2] = [[20, 6], [16, 6]];
/// The least filter radius on a coarse grid, in its element sides, unless the given one is smaller: below, a
/// filter hardly smooths. The wider filter makes for a softer problem.
const LEAST_RADIUS: f64 = 1.5;
/// The largest number of grids that may be asked for.
const MAX_LEVELS: usize = 12;

/// The coarse problems before `fine`, the coarsest first: each grid has half the elements of the next along
/// each axis, rounded up, and the same filter radius in units of length, but at least 1.5 elements (or the
/// given number of elements, if that is less).
///
/// # Errors
/// [`SettingsError`](crate::error::SettingsError) for 0 levels, and for so many that a grid would have no
/// element left to halve.
pub fn coarse_levels(fine: &Structure, levels: Levels) -> Result<Vec<Structure>> {
    let mut coarse = Vec::new();
    let mut last = fine.clone();
    let count = match levels {
        Levels::Auto => MAX_LEVELS,
        Levels::Count(count) if (1..=MAX_LEVELS).contains(&count) => count,
        Levels::Count(count) => {
            return Err(Error::invalid("the number of levels", count, format!("between 1 and {MAX_LEVELS}")));
        }
    };
    for _ in 1..count {
        let half = last.halved();
        let elements = &half.mesh.elements;
        let [longest, shortest] =
            [elements.iter().max(), elements.iter().min()].map(|n| n.copied().unwrap_or_default());
        let fewest = COARSEST[elements.len() - 2];
        if levels == Levels::Auto && (longest < fewest[0] || shortest < fewest[1]) {
            break;
        }
        if half.mesh.elements == last.mesh.elements {
            let size: Vec<String> = fine.mesh.elements.iter().map(u32::to_string).collect();
            return Err(Error::invalid(
                "the number of levels",
                count,
                format!("at most {} for {} elements", coarse.len() + 1, size.join("x")),
            ));
        }
        coarse.push(Structure { radius: coarse_radius(&half, fine), ..half.clone() });
        last = half;
    }
    coarse.reverse();
    Ok(coarse)
}

/// The filter radius on a coarse grid of `fine`, as a length: at least 1.5 sides of its elements, unless the
/// given one has fewer.
pub(super) fn coarse_radius(coarse: &Structure, fine: &Structure) -> f64 {
    let given = fine.radius_in_sides();
    let scaled = given * f64::from(coarse.mesh.elements[0]) / f64::from(fine.mesh.elements[0]);
    scaled.max(given.min(LEAST_RADIUS)) * coarse.sides()[0]
}

/// Interpolates a field on `coarse` linearly along each axis between element centres to `fine`.
///
/// # Errors
/// [`SettingsError`](crate::error::SettingsError) if the field does not fit `coarse`.
pub fn interpolate(coarse: &Mesh, field: &[f64], fine: &Mesh) -> Result<Vec<f64>> {
    if field.len() != coarse.elements() {
        return Err(Error::length("the coarse field", field.len(), coarse.elements()));
    }
    // The two neighbouring centres and the weight of the second one; at the edges the outermost centre alone.
    let (new, old) = (fine.size(), coarse.size());
    let along: [Vec<(usize, usize, f64)>; 3] = std::array::from_fn(|axis| {
        (0..new[axis])
            .map(|i| {
                let at = (i as f64 + 0.5) * old[axis] as f64 / new[axis] as f64 - 0.5;
                let at = at.clamp(0.0, (old[axis] - 1) as f64);
                let low = at.floor() as usize;
                (low, (low + 1).min(old[axis] - 1), at - low as f64)
            })
            .collect()
    });
    // Rows are counted as the mesh numbers its elements: on a plane mesh from the top.
    let row = |mesh: &Mesh, y: usize| if mesh.grid().is_some() { mesh.size()[1] - 1 - y } else { y };
    let at = |e: usize| {
        let [x, y, z] = fine.element_place(e);
        let (x, y, z) = (along[0][x], along[1][row(fine, y)], along[2][z]);
        let value = |x: usize, y: usize, z: usize| field[coarse.element([x, row(coarse, y), z])];
        let column = |x: usize, z: usize| (1.0 - y.2) * value(x, y.0, z) + y.2 * value(x, y.1, z);
        let slice = |z: usize| (1.0 - x.2) * column(x.0, z) + x.2 * column(x.1, z);
        if z.2 == 0.0 { slice(z.0) } else { (1.0 - z.2) * slice(z.0) + z.2 * slice(z.1) }
    };
    Ok((0..fine.elements()).into_par_iter().map(at).collect())
}

/// A design on `coarse`, interpolated to `fine` and scaled so that Σ wᵢ xᵢ is the greatest value ≤ `volume`
/// within [0, 1].
///
/// # Errors
/// [`SettingsError`](crate::error::SettingsError) if the design does not fit `coarse` or the weights `fine`.
pub fn prolong(coarse: &Mesh, design: &[f64], fine: &Mesh, weights: &[f64], volume: f64) -> Result<Vec<f64>> {
    if weights.len() != fine.elements() {
        return Err(Error::length("the volume weights", weights.len(), fine.elements()));
    }
    let mut x = interpolate(coarse, design, fine)?;
    let scale =
        volume_scale(|scale| x.iter().zip(weights).map(|(x, w)| w * (scale * x).min(1.0)).sum(), volume);
    x.iter_mut().for_each(|x| *x = (scale * *x).min(1.0));
    Ok(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::FilterKind;

    #[test]
    fn grids_are_halved_and_the_radius_keeps_its_length() {
        let sizes = |nelx, nely, levels| -> Vec<(u32, u32)> {
            coarse_levels(&Structure::mbb(nelx, nely, FilterKind::Density), levels)
                .unwrap()
                .iter()
                .map(|c| (c.mesh.elements[0], c.mesh.elements[1]))
                .collect()
        };
        assert_eq!(sizes(300, 100, Levels::Auto), [(38, 13), (75, 25), (150, 50)]);
        assert_eq!(sizes(60, 20, Levels::Auto), [(30, 10)]);
        assert_eq!(sizes(38, 13, Levels::Auto), [], "a coarse grid has at least 20 columns");
        assert_eq!(sizes(400, 11, Levels::Auto), [(200, 6)], "and 6 rows");
        assert_eq!(sizes(60, 20, Levels::Count(3)), [(15, 5), (30, 10)]);
        let fine = Structure::mbb(300, 100, FilterKind::Density);
        let share = |s: &Structure| s.radius_in_sides() / f64::from(s.mesh.elements[0]);
        for coarse in coarse_levels(&fine, Levels::Auto).unwrap() {
            assert!((share(&coarse) - share(&fine)).abs() < 1e-15);
        }
        let radii = |radius: f64| -> Vec<f64> {
            let given = Structure { radius, ..fine.clone() };
            coarse_levels(&given, Levels::Auto).unwrap().iter().map(Structure::radius_in_sides).collect()
        };
        assert_eq!(radii(4.0), [1.5, 1.5, 2.0], "a coarse filter spans 1.5 elements");
        assert_eq!(radii(1.2), [1.2; 3], "but none more than the given one");
        for count in [0, 13] {
            assert!(coarse_levels(&fine, Levels::Count(count)).is_err());
        }
        let tiny = Structure { radius: 1.0, ..Structure::mbb(2, 1, FilterKind::Density) };
        assert!(coarse_levels(&tiny, Levels::Count(3)).unwrap_err().to_string().contains("at most 2"));
    }

    /// A field that is linear along each axis is kept between the outermost centres, in space as well.
    #[test]
    fn fields_in_space_are_interpolated_along_each_axis() {
        let meshes = [[3, 4, 2], [6, 8, 4]].map(|size| Mesh::new(&size).unwrap());
        let linear = |mesh: &Mesh| -> Vec<f64> {
            let at = |e: usize| {
                let place = mesh.element_place(e);
                let [x, y, z] = [0, 1, 2].map(|axis| (place[axis] as f64 + 0.5) / mesh.size()[axis] as f64);
                0.2 + x - 0.5 * y + 0.25 * z
            };
            (0..mesh.elements()).map(at).collect()
        };
        let (found, exact) =
            (interpolate(&meshes[0], &linear(&meshes[0]), &meshes[1]).unwrap(), linear(&meshes[1]));
        for e in 0..exact.len() {
            let place = meshes[1].element_place(e);
            if (0..3).all(|axis| (1..meshes[1].size()[axis] - 1).contains(&place[axis])) {
                assert!((found[e] - exact[e]).abs() < 1e-14);
            }
        }
        let sizes = |elements: &[u32]| -> Vec<Vec<u32>> {
            let structure = Structure::new(elements, 0.2);
            let coarse = coarse_levels(&structure, Levels::Auto).unwrap();
            coarse.into_iter().map(|c| c.mesh.elements).collect()
        };
        assert_eq!(sizes(&[96, 48, 48]), [vec![24, 12, 12], vec![48, 24, 24]]);
        assert_eq!(sizes(&[97, 49, 51]), [vec![25, 13, 13], vec![49, 25, 26]]);
    }

    /// A linear field is kept between the outermost centres; the volume is met exactly.
    #[test]
    fn designs_are_interpolated_and_scaled_to_the_volume() {
        let (coarse, fine) = (Mesh::new(&[5, 3]).unwrap(), Mesh::new(&[10, 6]).unwrap());
        let linear = |mesh: &Mesh| -> Vec<f64> {
            let [nx, ny, _] = mesh.size();
            (0..mesh.elements())
                .map(|e| {
                    let [x, y, _] = mesh.element_place(e);
                    0.1 + 0.03 * (x as f64 + 0.5) * 10.0 / nx as f64
                        + 0.02 * (y as f64 + 0.5) * 6.0 / ny as f64
                })
                .collect()
        };
        let exact = linear(&fine);
        let weights = vec![1.0; fine.elements()];
        let inner = |e: usize| (1..9).contains(&(e / 6)) && (1..5).contains(&(e % 6));
        let x = prolong(&coarse, &linear(&coarse), &fine, &weights, exact.iter().sum()).unwrap();
        let ratio = x[7] / exact[7];
        assert!((0..fine.elements()).filter(|e| inner(*e)).all(|e| (x[e] / exact[e] - ratio).abs() < 1e-14));
        for volume in [5.0, 30.0, 59.0] {
            let x = prolong(&coarse, &linear(&coarse), &fine, &weights, volume).unwrap();
            let total: f64 = x.iter().sum();
            assert!(
                (total - volume).abs() <= 1e-12 * volume && x.iter().all(|x| (0.0..=1.0).contains(x)),
                "{total} against {volume}"
            );
        }
    }
}
