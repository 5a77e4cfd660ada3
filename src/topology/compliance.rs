//! Minimum compliance with SIMP: the flagship objective.

use std::borrow::Cow;

use super::element::q4_plane_stress;
use super::filter::{FilterKind, HatFilter};
use super::grid::Grid;
use super::load_case::{LoadCase, Preset};
use super::load_path::{self, Joints};
use super::passive::{PassiveElements, PassiveRegion};
use super::projection::{Projection, Threshold};
use super::stiffness::Stiffness;
use super::symmetry::{Mirrors, Symmetry};
use crate::domain::{Bounds, Domain, Volume};
use crate::error::{Error, ObjectiveError, Result};
use crate::objective::Objective;

/// The settings of a compliance problem. Lengths are in element sides, moduli relative to the solid's.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ComplianceConfig {
    /// The structure to optimize.
    pub preset: Preset,
    /// The grid's size in elements (columns, rows).
    pub size: (u32, u32),
    /// The volume fraction, in (0, 1]: of all nelx·nely elements, passive ones included.
    pub volume_fraction: f64,
    /// The SIMP exponent p, in \[1, 10\].
    pub penalty: f64,
    /// The filter radius in element sides, above 0.
    pub radius: f64,
    /// What the filter smooths, densities or sensitivities.
    pub filter: FilterKind,
    /// Young's modulus of void, E_min, relative to the solid's: keeps the stiffness matrix regular.
    pub void_modulus: f64,
    /// Poisson's ratio of the material.
    pub poisson_ratio: f64,
    /// Regions that are void or solid whatever the design is, besides the preset's own; where they overlap,
    /// the last one counts.
    pub passive: Vec<PassiveRegion>,
    /// Projects the filtered density towards 0 and 1; with the density filter only.
    pub projection: Option<Projection>,
    /// The mirror images that designs are kept equal to.
    #[serde(default)]
    pub symmetry: Symmetry,
}

impl ComplianceConfig {
    /// The half-MBB beam of the literature: volume fraction 0.5, p = 3, radius 0.04·nelx, E_min = 10⁻⁹, ν =
    /// 0.3, nothing passive, no projection, whatever symmetry the problem has.
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
            passive: Vec::new(),
            projection: None,
            symmetry: Symmetry::Auto,
        }
    }

    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) for a setting outside its range and for two that
    /// exclude each other.
    fn validate(&self) -> Result<()> {
        let Self { volume_fraction, penalty, void_modulus, poisson_ratio, .. } = *self;
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
        if let Some(projection) = self.projection {
            projection.validate()?;
            if self.filter == FilterKind::Sensitivity {
                return Err(Error::exclusive(
                    "the projection",
                    "the sensitivity filter",
                    "the projection needs the density filter, the other one leaves nothing to project",
                ));
            }
        }
        Ok(())
    }
}

/// The volume weight of an unknown that no designed density depends on. It must be positive; so small, the
/// volume such unknowns take from the others is at most this times their number.
const IDLE_WEIGHT: f64 = 1e-9;

/// Compliance c(x) = Σ fₖᵀuₖ over the load cases, K(ρ) uₖ = fₖ, with E(ρ) = E_min + ρᵖ (1 − E_min) and ρ the
/// physical density: the filtered design x, projected if asked for, and 0 or 1 in passive elements.
///
/// The gradient is exact for the density filter: g = Hᵀ[s / H1], s = −p ρ^{p−1} (1 − E_min) Σ uₖᵀK₀uₖ, passed
/// through the projection (see [`Projection`]) and 0 in passive elements. With the sensitivity filter it is
/// the usual heuristic. x lives in \[0, 1\]^d with Σ wᵢ xᵢ ≤ V: the weights carry the filter, so that the
/// *physical* volume is bounded, Σ ρ ≤ volume fraction · nelx·nely over designed and solid elements.
///
/// Passive elements keep their unknowns, for the filter carries them into the neighbours' densities. An
/// unknown that reaches passive elements only has no influence: its gradient is 0, and as weights must be
/// positive its weight is 10⁻⁹ instead of 0. So the physical volume never exceeds the bound, and what the
/// bound loses is below 10⁻⁹ elements per such unknown.
///
/// Units: unit squares, unit solid modulus, unit load; d = nelx·nely. Cost per evaluation: one sparse
/// Cholesky factorisation (about 31 d^1.5 multiply-adds in 2D), one solve per load case and O(d r²) for the
/// filter. Precision: f64 throughout. Source: Andreassen et al., *Efficient topology optimization in MATLAB
/// using 88 lines of code*, SMO 43 (2011) 1–16.
///
/// More material makes a structure stiffer, and the gradient is that of the compliance:
/// ```
/// use lgf::objective::Objective;
/// use lgf::topology::{Compliance, ComplianceConfig, FilterKind};
///
/// # fn main() -> Result<(), lgf::error::ObjectiveError> {
/// let mut problem = Compliance::new(ComplianceConfig::mbb(30, 10, FilterKind::Density))?;
/// let mut x = problem.uniform_start();
/// assert!((problem.volume(&x) - 0.5).abs() < 1e-12);
/// let mut gradient = vec![0.0; problem.dimension()];
/// let compliance = problem.evaluate(&x, &mut gradient)?;
/// assert!(gradient.iter().all(|g| *g < 0.0));
/// let change = 1e-5;
/// x[7] += change;
/// let slope = (problem.compliance(&x)? - compliance) / change;
/// assert!((slope - gradient[7]).abs() < 1e-3 * slope.abs());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Compliance {
    config: ComplianceConfig,
    grid: Grid,
    filter: HatFilter,
    load_case: LoadCase,
    passive: PassiveElements,
    mirrors: Mirrors,
    /// The volume constraint on the design; its weights carry the filter.
    volume: Volume,
    stiffness: Stiffness,
    evaluations: usize,
    revision: u64,
}

/// Σ ρ ≤ volume fraction · d over designed and solid elements, as a constraint on the design. Neither penalty
/// nor projection changes it.
fn volume_constraint(
    config: &ComplianceConfig,
    filter: &HatFilter,
    passive: &PassiveElements,
    mirrors: &Mirrors,
) -> Volume {
    let d = filter.row_sums().len();
    let mut counted = vec![1.0; d];
    passive.clear(&mut counted);
    let mut weights = match config.filter {
        FilterKind::Density => filter.smooth_transpose(&counted),
        FilterKind::Sensitivity => counted,
    };
    if !passive.is_empty() {
        weights.iter_mut().for_each(|w| *w = w.max(IDLE_WEIGHT));
    }
    mirrors.symmetrize(&mut weights);
    Volume::new(weights, config.volume_fraction * d as f64 - passive.solid() as f64)
}

impl Compliance {
    /// Sets up the grid, the filter and the symbolic factorisation.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) for a setting outside its range and for a projection
    /// with the sensitivity filter and for a load that the passive regions cut off from its supports.
    pub fn new(config: ComplianceConfig) -> Result<Self> {
        config.validate()?;
        let grid = Grid::new(config.size.0, config.size.1)?;
        config.preset.check_size(&grid)?;
        let filter = HatFilter::new(grid, config.radius)?;
        let passive =
            PassiveElements::new(&grid, &[config.preset.passive(), config.passive.clone()].concat())?;
        let load_case = LoadCase::preset(config.preset, &grid);
        let uncarried = load_path::uncarried(&grid, &load_case, Joints::Pinned, |e| passive.may_be_solid(e))?;
        if let Some(uncarried) = uncarried {
            return Err(uncarried.refusal());
        }
        if !passive.is_empty() {
            let d = grid.elements() as f64;
            let (least, most) = (passive.solid() as f64, (passive.solid() + passive.active()) as f64);
            let volume = config.volume_fraction * d;
            if !(volume > least && volume <= most) {
                let allowed =
                    format!("above {} and at most {}, what the passive elements leave", least / d, most / d);
                return Err(Error::invalid("the volume fraction", config.volume_fraction, allowed));
            }
        }
        let mirrors = Mirrors::new(config.symmetry, grid, &load_case, |image| passive.is_symmetric(image));
        let stiffness = Stiffness::new(grid, q4_plane_stress(config.poisson_ratio), &load_case)?;
        let volume = volume_constraint(&config, &filter, &passive, &mirrors);
        Ok(Self {
            config,
            grid,
            filter,
            load_case,
            passive,
            mirrors,
            volume,
            stiffness,
            evaluations: 0,
            revision: 0,
        })
    }

    /// Changes the SIMP exponent, for continuation between runs or evaluations: another objective on the same
    /// domain, so nothing learned before holds any more and the [revision](Objective::revision) is a new one.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) unless it is in \[1, 10\]; nothing has changed then.
    pub fn set_penalty(&mut self, penalty: f64) -> Result<()> {
        self.replace_config(ComplianceConfig { penalty, ..self.config.clone() })
    }

    /// Changes the projection or, with `None`, ends it; for continuation, like
    /// [`set_penalty`](Self::set_penalty). The projection keeps the volume, so every feasible design stays
    /// feasible.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) for a sharpness outside its range and with the
    /// sensitivity filter; nothing has changed then.
    pub fn set_projection(&mut self, projection: Option<Projection>) -> Result<()> {
        self.replace_config(ComplianceConfig { projection, ..self.config.clone() })
    }

    fn replace_config(&mut self, config: ComplianceConfig) -> Result<()> {
        config.validate()?;
        self.config = config;
        self.revision += 1;
        Ok(())
    }

    /// The current settings of the problem.
    pub fn config(&self) -> &ComplianceConfig {
        &self.config
    }

    /// The grid of elements and nodes.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// The supports and loads.
    pub fn load_case(&self) -> &LoadCase {
        &self.load_case
    }

    /// The number of linear solves so far, whoever asked for them.
    pub fn evaluations(&self) -> usize {
        self.evaluations
    }

    /// The uniform design that uses up the volume; with nothing passive its value is the volume fraction.
    pub fn uniform_start(&self) -> Vec<f64> {
        let mut value = self.config.volume_fraction;
        if !self.passive.is_empty() {
            value = self.volume.bound / self.volume.weights.iter().sum::<f64>();
        }
        vec![value; self.grid.elements()]
    }

    /// The density the structure is made of: the filtered design (density filter), projected if asked for, or
    /// the design itself; 0 or 1 in passive elements.
    pub fn physical_density(&self, x: &[f64]) -> Vec<f64> {
        self.densities(x).0
    }

    /// The physical density and, if there is a projection, what it was computed from.
    fn densities(&self, x: &[f64]) -> (Vec<f64>, Option<(Vec<f64>, Threshold)>) {
        let x = &self.symmetrized(x);
        let filtered = match self.config.filter {
            FilterKind::Density => self.filter.smooth(x),
            FilterKind::Sensitivity => x.to_vec(),
        };
        let (mut density, projected) = match self.config.projection {
            None => (filtered, None),
            Some(projection) => {
                let threshold = projection.threshold(self.passive.active_values(&filtered));
                (filtered.iter().map(|t| threshold.density(*t)).collect(), Some((filtered, threshold)))
            }
        };
        self.passive.impose(&mut density);
        (density, projected)
    }

    /// The mean of the design and of its mirror images, as far as the [`Symmetry`] asks for any: the design
    /// that the structure is made of.
    pub fn symmetrized<'a>(&self, x: &'a [f64]) -> Cow<'a, [f64]> {
        if !self.mirrors.any() {
            return Cow::Borrowed(x);
        }
        let mut mean = x.to_vec();
        self.mirrors.symmetrize(&mut mean);
        Cow::Owned(mean)
    }

    /// What a user should know of the settings: sentences.
    pub fn warnings(&self) -> Vec<String> {
        let radius = self.config.radius;
        let filters_nothing = format!(
            "the filter radius is {radius} element sides: at most 1 filters nothing, and layouts become \
             checkerboards that depend on the mesh; 1.5 is the least that filters"
        );
        if radius <= 1.0 { vec![filters_nothing] } else { Vec::new() }
    }

    /// A sentence on the load that a design carries by nothing but densities of at most 0.5, if there is one:
    /// the structure would fall apart if it were built of the elements above that.
    ///
    /// # Errors
    /// A failed factorisation.
    pub fn falls_apart(&self, x: &[f64]) -> Result<Option<String>> {
        let density = self.physical_density(x);
        let uncarried =
            load_path::uncarried(&self.grid, &self.load_case, Joints::Rigid, |e| density[e] > 0.5)?;
        Ok(uncarried.map(|load| {
            format!(
                "the design falls apart: the elements of density above 0.5 do not carry {} (element sides) \
                 to the supports",
                load.name()
            )
        }))
    }

    /// The mean physical density, passive elements included.
    pub fn volume(&self, x: &[f64]) -> f64 {
        self.physical_density(x).iter().sum::<f64>() / x.len() as f64
    }

    /// The compliance at x, in f64.
    ///
    /// # Errors
    /// [`FemError`](crate::error::FemError) when the system cannot be solved,
    /// [`SettingsError`](crate::error::SettingsError) when x has the wrong length.
    pub fn compliance(&mut self, x: &[f64]) -> Result<f64> {
        self.value(x, None)
    }

    fn value(&mut self, x: &[f64], gradient: Option<&mut [f64]>) -> Result<f64> {
        if x.len() != self.grid.elements() {
            return Err(Error::length("the design", x.len(), self.grid.elements()));
        }
        let (p, e_min) = (self.config.penalty, self.config.void_modulus);
        let (density, projected) = self.densities(x);
        let moduli: Vec<f64> = density.iter().map(|rho| e_min + rho.powf(p) * (1.0 - e_min)).collect();
        self.evaluations += 1;
        let mut energies = vec![0.0; x.len()];
        for u in self.stiffness.solve(&moduli, &self.load_case.forces)? {
            energies
                .iter_mut()
                .zip(self.stiffness.unit_energies(&u))
                .for_each(|(sum, energy)| *sum += energy);
        }
        let compliance = moduli.iter().zip(&energies).map(|(e, c)| e * c).sum();
        if let Some(gradient) = gradient {
            let mut slope: Vec<f64> = density
                .iter()
                .zip(&energies)
                .map(|(rho, c)| -p * rho.powf(p - 1.0) * (1.0 - e_min) * c)
                .collect();
            self.passive.clear(&mut slope);
            if let Some((filtered, threshold)) = projected {
                threshold.chain(&filtered, &mut slope, |e| self.passive.is_active(e));
            }
            match self.config.filter {
                FilterKind::Density => gradient.copy_from_slice(&self.filter.smooth_transpose(&slope)),
                FilterKind::Sensitivity => {
                    let x = self.symmetrized(x);
                    let weighted: Vec<f64> = slope.iter().zip(x.iter()).map(|(s, x)| s * x).collect();
                    let smoothed = self.filter.apply(&weighted);
                    for (i, g) in gradient.iter_mut().enumerate() {
                        *g = smoothed[i] / (self.filter.row_sums()[i] * x[i].max(1e-3));
                    }
                    self.passive.clear(gradient);
                }
            }
            self.mirrors.symmetrize(gradient);
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
        Domain::BoxVolume { bounds: Bounds::uniform(0.0, 1.0), volume: self.volume.clone() }
    }

    /// The number of changes of penalty and projection.
    fn revision(&self) -> u64 {
        self.revision
    }
}
