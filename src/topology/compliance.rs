//! Minimum compliance with SIMP: the flagship objective.

use super::element::q4_plane_stress;
use super::filter::{FilterKind, HatFilter};
use super::grid::Grid;
use super::load_case::{LoadCase, Preset};
use super::stiffness::Stiffness;
use crate::error::{Error, ObjectiveError, Result};
use crate::objective::{Domain, Objective};

/// What to optimize. All lengths in element sides, all moduli relative to the solid's.
#[derive(Debug, Clone, PartialEq)]
pub struct ComplianceConfig {
    /// The structure.
    pub preset: Preset,
    /// Elements (columns, rows).
    pub size: (u32, u32),
    /// The volume fraction, in (0, 1].
    pub volume_fraction: f64,
    /// The SIMP exponent p, in \[1, 10\].
    pub penalty: f64,
    /// The filter radius in element sides, above 0.
    pub radius: f64,
    /// What the filter smooths.
    pub filter: FilterKind,
    /// Young's modulus of void, E_min, relative to the solid's: keeps the stiffness matrix regular.
    pub void_modulus: f64,
    /// Poisson's ratio.
    pub poisson_ratio: f64,
}

impl ComplianceConfig {
    /// The half-MBB beam of the literature: volume fraction 0.5, p = 3, radius 0.04·nelx, E_min = 10⁻⁹, ν = 0.3.
    pub fn mbb(nelx: u32, nely: u32, filter: FilterKind) -> Self {
        Self {
            preset: Preset::Mbb,
            size: (nelx, nely),
            volume_fraction: 0.5,
            penalty: 3.0,
            radius: 0.04 * f64::from(nelx),
            filter,
            void_modulus: 1e-9,
            poisson_ratio: 0.3,
        }
    }
}

/// Compliance c(x) = fᵀu, K(ρ) u = f, with E(ρ) = E_min + ρᵖ (1 − E_min) and ρ the filtered design x.
///
/// The gradient is exact for the density filter: g = Hᵀ[−p ρ^{p−1} (1 − E_min) uᵀK₀u / H1]. With the sensitivity filter it is the
/// usual heuristic. x lives in \[0, 1\]^d with Σ wᵢ xᵢ ≤ V: the weights carry the filter, so that the *filtered* volume is bounded.
///
/// Units: unit squares, unit solid modulus, unit load; d = nelx·nely. Cost per evaluation: one sparse Cholesky factorisation
/// (about 31 d^1.5 multiply-adds in 2D) and O(d r²) for the filter. Precision: f64 throughout.
/// Source: Andreassen et al., *Efficient topology optimization in MATLAB using 88 lines of code*, SMO 43 (2011) 1–16.
#[derive(Debug)]
pub struct Compliance {
    config: ComplianceConfig,
    grid: Grid,
    filter: HatFilter,
    load_case: LoadCase,
    stiffness: Stiffness,
    evaluations: usize,
}

impl Compliance {
    /// Sets up the grid, the filter and the symbolic factorisation.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for a setting outside its range.
    pub fn new(config: ComplianceConfig) -> Result<Self> {
        let ComplianceConfig { volume_fraction, penalty, void_modulus, poisson_ratio, .. } = config;
        if !(volume_fraction > 0.0 && volume_fraction <= 1.0) {
            return Err(Error::invalid("the volume fraction", volume_fraction, "above 0 and at most 1"));
        }
        if !(1.0..=10.0).contains(&penalty) {
            return Err(Error::invalid("the penalty", penalty, "between 1 and 10"));
        }
        if !(void_modulus > 0.0 && void_modulus < 1.0) {
            return Err(Error::invalid("the void modulus", void_modulus, "between 0 and 1, both excluded"));
        }
        if !(poisson_ratio > -1.0 && poisson_ratio < 0.5) {
            return Err(Error::invalid("Poisson's ratio", poisson_ratio, "above -1 and below 0.5"));
        }
        let grid = Grid::new(config.size.0, config.size.1)?;
        let filter = HatFilter::new(grid, config.radius)?;
        let load_case = LoadCase::preset(config.preset, &grid);
        let stiffness = Stiffness::new(grid, q4_plane_stress(poisson_ratio), &load_case)?;
        Ok(Self { config, grid, filter, load_case, stiffness, evaluations: 0 })
    }

    /// The grid.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// The supports and loads.
    pub fn load_case(&self) -> &LoadCase {
        &self.load_case
    }

    /// Linear solves done so far, whoever asked for them.
    pub fn evaluations(&self) -> usize {
        self.evaluations
    }

    /// The uniform design at the volume fraction.
    pub fn uniform_start(&self) -> Vec<f64> {
        vec![self.config.volume_fraction; self.grid.elements()]
    }

    /// The density the structure is made of: the filtered design (density filter) or the design itself.
    pub fn physical_density(&self, x: &[f64]) -> Vec<f64> {
        match self.config.filter {
            FilterKind::Density => self.filter.smooth(x),
            FilterKind::Sensitivity => x.to_vec(),
        }
    }

    /// The mean physical density.
    pub fn volume(&self, x: &[f64]) -> f64 {
        self.physical_density(x).iter().sum::<f64>() / x.len() as f64
    }

    /// The compliance at x, in f64.
    ///
    /// # Errors
    /// [`Error::Solve`] when the system cannot be solved, [`Error::Length`] when x has the wrong length.
    pub fn compliance(&mut self, x: &[f64]) -> Result<f64> {
        self.value(x, None)
    }

    fn value(&mut self, x: &[f64], gradient: Option<&mut [f64]>) -> Result<f64> {
        if x.len() != self.grid.elements() {
            return Err(Error::Length { name: "the design", found: x.len(), expected: self.grid.elements() });
        }
        let (p, e_min) = (self.config.penalty, self.config.void_modulus);
        let density = self.physical_density(x);
        let moduli: Vec<f64> = density.iter().map(|rho| e_min + rho.powf(p) * (1.0 - e_min)).collect();
        self.evaluations += 1;
        let u = self.stiffness.solve(&moduli, &self.load_case.forces)?;
        let energies = self.stiffness.unit_energies(&u);
        let compliance = moduli.iter().zip(&energies).map(|(e, c)| e * c).sum();
        if let Some(gradient) = gradient {
            let slope: Vec<f64> = density.iter().zip(&energies).map(|(rho, c)| -p * rho.powf(p - 1.0) * (1.0 - e_min) * c).collect();
            match self.config.filter {
                FilterKind::Density => gradient.copy_from_slice(&self.filter.smooth_transpose(&slope)),
                FilterKind::Sensitivity => {
                    let weighted: Vec<f64> = slope.iter().zip(x).map(|(s, x)| s * x).collect();
                    let smoothed = self.filter.apply(&weighted);
                    for (i, g) in gradient.iter_mut().enumerate() {
                        *g = smoothed[i] / (self.filter.row_sums()[i] * x[i].max(1e-3));
                    }
                }
            }
        }
        Ok(compliance)
    }
}

impl Objective for Compliance {
    fn dimension(&self) -> usize {
        self.grid.elements()
    }

    fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64, ObjectiveError> {
        Ok(self.value(x, Some(gradient))?)
    }

    fn domain(&self) -> Domain {
        let d = self.grid.elements();
        let ones = vec![1.0; d];
        let weights = match self.config.filter {
            FilterKind::Density => self.filter.smooth_transpose(&ones),
            FilterKind::Sensitivity => ones,
        };
        Domain::BoxVolume { lower: 0.0, upper: 1.0, weights, volume: self.config.volume_fraction * d as f64 }
    }
}
