//! Grid sequencing: coarse grids find the layout, the fine one refines it.

use super::compliance::ComplianceConfig;
use super::grid::Grid;
use crate::domain::volume_scale;
use crate::error::{Error, Result};

/// The number of grids that a run goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Levels {
    /// As many grids as are useful: the grid is halved while there are at least 20 columns and 6 rows.
    Auto,
    /// This many grids, the given one included; 1 means no coarse grid.
    Count(usize),
}

/// The fewest columns and rows of an automatic coarse grid.
const COARSEST: (u32, u32) = (20, 6);
/// The least filter radius on a coarse grid, in its element sides, unless the given one is smaller: below, a
/// filter hardly smooths. The wider filter makes for a softer problem.
const LEAST_RADIUS: f64 = 1.5;
/// The largest number of grids that may be asked for.
const MAX_LEVELS: usize = 12;

/// The coarse problems before `fine`, the coarsest first: each grid has half the columns and rows of the
/// next, rounded up, and the same filter radius in units of length, but at least 1.5 elements (or the given
/// number of elements, if that is less).
///
/// # Errors
/// [`SettingsError`](crate::error::SettingsError) for 0 levels, and for so many that a grid would have no
/// element left to halve.
pub fn coarse_levels(fine: &ComplianceConfig, levels: Levels) -> Result<Vec<ComplianceConfig>> {
    let mut configs = Vec::new();
    let mut size = fine.size;
    let count = match levels {
        Levels::Auto => MAX_LEVELS,
        Levels::Count(count) if (1..=MAX_LEVELS).contains(&count) => count,
        Levels::Count(count) => {
            return Err(Error::invalid("the number of levels", count, format!("between 1 and {MAX_LEVELS}")));
        }
    };
    for _ in 1..count {
        let half = (size.0.div_ceil(2), size.1.div_ceil(2));
        if levels == Levels::Auto && (half.0 < COARSEST.0 || half.1 < COARSEST.1) {
            break;
        }
        let scaled = fine.radius * f64::from(half.0) / f64::from(fine.size.0);
        if half == size {
            return Err(Error::invalid(
                "the number of levels",
                count,
                format!("at most {} for {}x{} elements", configs.len() + 1, fine.size.0, fine.size.1),
            ));
        }
        configs.push(ComplianceConfig {
            size: half,
            radius: coarse_radius(scaled, fine.radius),
            ..fine.clone()
        });
        size = half;
    }
    configs.reverse();
    Ok(configs)
}

/// The filter radius on a coarse grid, in its element sides: `scaled` has the given one's length.
pub(super) fn coarse_radius(scaled: f64, given: f64) -> f64 {
    scaled.max(given.min(LEAST_RADIUS))
}

/// Interpolates a field on `coarse` bilinearly between element centres to `fine`.
///
/// # Errors
/// [`SettingsError`](crate::error::SettingsError) if the field does not fit `coarse`.
pub fn interpolate(coarse: &Grid, field: &[f64], fine: &Grid) -> Result<Vec<f64>> {
    if field.len() != coarse.elements() {
        return Err(Error::length("the coarse field", field.len(), coarse.elements()));
    }
    // The two neighbouring centres and the weight of the second one; at the edges the outermost centre alone.
    let along = |i: usize, fine: usize, coarse: usize| {
        let at = ((i as f64 + 0.5) * coarse as f64 / fine as f64 - 0.5).clamp(0.0, (coarse - 1) as f64);
        let low = at.floor() as usize;
        (low, (low + 1).min(coarse - 1), at - low as f64)
    };
    let mut x = Vec::with_capacity(fine.elements());
    for column in 0..fine.nelx() {
        let (left, right, s) = along(column, fine.nelx(), coarse.nelx());
        for row in 0..fine.nely() {
            let (upper, lower, t) = along(row, fine.nely(), coarse.nely());
            let value = |column: usize, row: usize| field[column * coarse.nely() + row];
            let edge = |column: usize| (1.0 - t) * value(column, upper) + t * value(column, lower);
            x.push((1.0 - s) * edge(left) + s * edge(right));
        }
    }
    Ok(x)
}

/// A design on `coarse`, interpolated to `fine` and scaled so that Σ wᵢ xᵢ is the greatest value ≤ `volume`
/// within [0, 1].
///
/// # Errors
/// [`SettingsError`](crate::error::SettingsError) if the design does not fit `coarse` or the weights `fine`.
pub fn prolong(coarse: &Grid, design: &[f64], fine: &Grid, weights: &[f64], volume: f64) -> Result<Vec<f64>> {
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
            coarse_levels(&ComplianceConfig::mbb(nelx, nely, FilterKind::Density), levels)
                .unwrap()
                .iter()
                .map(|c| c.size)
                .collect()
        };
        assert_eq!(sizes(300, 100, Levels::Auto), [(38, 13), (75, 25), (150, 50)]);
        assert_eq!(sizes(60, 20, Levels::Auto), [(30, 10)]);
        assert_eq!(sizes(38, 13, Levels::Auto), [], "a coarse grid has at least 20 columns");
        assert_eq!(sizes(400, 11, Levels::Auto), [(200, 6)], "and 6 rows");
        assert_eq!(sizes(60, 20, Levels::Count(3)), [(15, 5), (30, 10)]);
        let fine = ComplianceConfig::mbb(300, 100, FilterKind::Density);
        for coarse in coarse_levels(&fine, Levels::Auto).unwrap() {
            assert!((coarse.radius / f64::from(coarse.size.0) - fine.radius / 300.0).abs() < 1e-15);
        }
        let radii = |radius: f64| -> Vec<f64> {
            let config = ComplianceConfig { radius, ..fine.clone() };
            coarse_levels(&config, Levels::Auto).unwrap().iter().map(|c| c.radius).collect()
        };
        assert_eq!(radii(4.0), [1.5, 1.5, 2.0], "a coarse filter spans 1.5 elements");
        assert_eq!(radii(1.2), [1.2; 3], "but none more than the given one");
        for count in [0, 13] {
            assert!(coarse_levels(&fine, Levels::Count(count)).is_err());
        }
        let tiny = ComplianceConfig { radius: 1.0, ..ComplianceConfig::mbb(2, 1, FilterKind::Density) };
        assert!(coarse_levels(&tiny, Levels::Count(3)).unwrap_err().to_string().contains("at most 2"));
    }

    /// A linear field is kept between the outermost centres; the volume is met exactly.
    #[test]
    fn designs_are_interpolated_and_scaled_to_the_volume() {
        let (coarse, fine) = (Grid::new(5, 3).unwrap(), Grid::new(10, 6).unwrap());
        let linear = |grid: &Grid| -> Vec<f64> {
            (0..grid.elements())
                .map(|e| {
                    let (column, row) = (e / grid.nely(), e % grid.nely());
                    0.1 + 0.03 * (column as f64 + 0.5) * 10.0 / grid.nelx() as f64
                        + 0.02 * (row as f64 + 0.5) * 6.0 / grid.nely() as f64
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
