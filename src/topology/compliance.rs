//! Minimum compliance with SIMP: the flagship objective.

use std::borrow::Cow;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::boundary::Boundary;
use super::filter::FilterKind;
use super::load_path::{self, Joints};
use super::mesh::Mesh;
use super::model::{Filter, Model};
use super::passive::PassiveElements;
use super::projection::{Projection, Threshold};
use super::structure::{Material, PlaneState, Structure, Unit};
use super::symmetry::Mirrors;
use crate::checkpoint::{Journal, Tape};
use crate::domain::{Bounds, Domain, Volume};
use crate::engine::gpu::{DesignRule, DeviceBytes, DeviceCompliance, SolidDevice};
use crate::error::{Error, ObjectiveError, Result};
use crate::fem::{Accuracy, Evaluation, Simp, SolveReport, Solver};
use crate::objective::Objective;

/// The filtered density that a projected one was computed from, and the threshold that it was projected at.
type Projected = Option<(Vec<f64>, Threshold)>;

/// The record of one solve in space.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SolveEntry {
    /// The number of the problem's evaluation, counted from 1.
    pub evaluation: usize,
    /// The load case, counted from 0.
    pub load_case: usize,
    /// The iterations of conjugate gradients.
    pub iterations: usize,
    /// The norm of the residual over that of the load.
    pub residual: f64,
    /// The time of the solve, in seconds.
    pub seconds: f64,
}

impl SolveEntry {
    /// The words of an entry in a solver's state.
    const WORDS: usize = 5;

    fn words(&self) -> [[u8; 8]; Self::WORDS] {
        let counts = [self.evaluation, self.load_case, self.iterations].map(|n| (n as u64).to_le_bytes());
        let [a, b, c] = counts;
        [a, b, c, self.residual.to_le_bytes(), self.seconds.to_le_bytes()]
    }

    fn from_words(words: &[[u8; 8]; Self::WORDS]) -> Self {
        let count = |at: usize| u64::from_le_bytes(words[at]) as usize;
        Self {
            evaluation: count(0),
            load_case: count(1),
            iterations: count(2),
            residual: f64::from_le_bytes(words[3]),
            seconds: f64::from_le_bytes(words[4]),
        }
    }
}

/// The volume weight of an unknown that no designed density depends on. It must be positive; so small, the
/// volume such unknowns take from the others is at most this times their number.
const IDLE_WEIGHT: f64 = 1e-9;

/// The relative residual of solves in space, for values and gradients that an optimizer goes by.
const RESIDUAL: f64 = 1e-3;
/// The reduction of the residual from one design to the next: see [`Accuracy`].
const REDUCTION: f64 = 0.01;
/// The relative residual for values that are reported: the compliance is then right to some 12 digits.
const REPORTED: f64 = 1e-7;
/// Up to so many elements the compliance that is reported is computed by the CPU in f64, wherever the
/// gradients come from.
const MOST_REPORTED_BY_CPU: usize = 2_000_000;
/// The greatest Poisson's ratio at which elements with linear shape functions are not much too stiff where
/// nothing lets the material escape to a side.
const LOCKING: f64 = 0.45;
/// A problem is on a device from so many elements on, where that may be chosen: below, the CPU is about as
/// fast.
pub(super) const LEAST_ON_DEVICE: usize = 10_000;

/// Compliance c(x) = Σ wₖ fₖᵀuₖ over the load cases, K(ρ) uₖ = fₖ, with E(ρ) = E_min + ρᵖ (1 − E_min) and ρ
/// the physical density: the filtered design x, projected if asked for, and 0 or 1 in passive elements.
///
/// The gradient is exact for the density filter: g = Hᵀ[s / H1], s = −p ρ^{p−1} (1 − E_min) Σ wₖ uₖᵀK₀uₖ (and
/// 2 wₖ uₖᵀ∂fₖ/∂ρ under gravity), passed through the projection (see [`Projection`]) and 0 in passive
/// elements. With the sensitivity filter it is the usual heuristic. x lives in \[0, 1\]^d with Σ wᵢ xᵢ ≤ V:
/// the weights carry the filter, so that the *physical* volume is bounded, Σ ρ ≤ volume fraction · d over
/// designed and solid elements.
///
/// Passive elements keep their unknowns, for the filter carries them into the neighbours' densities. An
/// unknown that reaches passive elements only has no influence: its gradient is 0, and as weights must be
/// positive its weight is 10⁻⁹ instead of 0. So the physical volume never exceeds the bound, and what the
/// bound loses is below 10⁻⁹ elements per such unknown.
///
/// Units: the structure's own, a force times a length; d is the number of elements. Cost per evaluation: in
/// the plane one sparse Cholesky factorisation (about 31 d^1.5 multiply-adds) and one solve per load case; in
/// space some 10 to 50 iterations of multigrid per load case; O(d rⁿ) for the filter of radius r in n
/// dimensions. Precision: f64 throughout; in space, solves end at a relative residual of 10⁻³ and at a
/// hundredth of the one that the last displacement leaves (see [`Accuracy`]), which makes a relative error of
/// some 10⁻⁷ in the value, and at 10⁻⁷ in [`compliance`](Self::compliance). Source: Andreassen
/// et al., *Efficient topology optimization in MATLAB using 88 lines of code*, SMO 43 (2011) 1–16.
///
/// More material makes a structure stiffer, and the gradient is that of the compliance:
/// ```
/// use lgf::objective::Objective;
/// use lgf::topology::{Compliance, FilterKind, Structure};
///
/// # fn main() -> Result<(), lgf::error::ObjectiveError> {
/// let mut problem = Compliance::new(Structure::mbb(30, 10, FilterKind::Density))?;
/// let mut x = problem.uniform_start();
/// assert!((problem.volume(&x)? - 0.5).abs() < 1e-12);
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
    structure: Structure,
    mesh: Mesh,
    filter: Filter,
    boundary: Boundary,
    passive: PassiveElements,
    mirrors: Mirrors,
    /// The volume constraint on the design; its weights carry the filter.
    volume: Volume,
    model: Model,
    unit: Unit,
    tolerance: f64,
    evaluations: usize,
    solves: Vec<SolveEntry>,
    revision: u64,
    /// Its place in the journal of the run, if that is kept.
    tape: Option<Tape>,
}

/// Σ ρ ≤ volume fraction · d over designed and solid elements, as a constraint on the design. Neither penalty
/// nor projection changes it.
fn volume_constraint(
    structure: &Structure,
    filter: &Filter,
    passive: &PassiveElements,
    mirrors: &Mirrors,
    d: usize,
) -> Result<Volume> {
    let mut counted = vec![1.0; d];
    passive.clear(&mut counted);
    let mut weights = counted;
    if structure.filter == FilterKind::Density {
        let counted = weights.clone();
        filter.smooth_transpose(&counted, &mut weights)?;
    }
    if !passive.is_empty() {
        weights.iter_mut().for_each(|w| *w = w.max(IDLE_WEIGHT));
    }
    mirrors.symmetrize(&mut weights);
    Ok(Volume::new(weights, structure.volume_fraction * d as f64 - passive.solid() as f64))
}

impl Compliance {
    /// Sets up the mesh, the filter, and the symbolic factorisation or the multigrid.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) for a setting outside its range, for a projection with
    /// the sensitivity filter, and for a load that the regions cut off from its supports.
    pub fn new(structure: Structure) -> Result<Self> {
        Self::with_model(structure, |structure, mesh, boundary, _| Model::new(structure, mesh, boundary))
    }

    /// The compliance of a structure in space whose true gradient is computed on `device`; see
    /// [`DeviceCompliance`](crate::engine::gpu::DeviceCompliance). Where the device is lost or a solve does
    /// not reach its tolerance there, the CPU goes on. [`compliance`](Self::compliance) is computed by the
    /// CPU in f64 up to two million elements, and by the device's double-word arithmetic beyond.
    ///
    /// # Errors
    /// Those of [`new`](Self::new), and of the device: [`EngineError`](crate::error::EngineError) where the
    /// mesh does not fit.
    pub fn on_device(structure: Structure, device: &SolidDevice) -> Result<Self> {
        Self::with_model(structure, |structure, mesh, boundary, (passive, mirrors)| {
            let sides = structure.sides();
            let rule = DesignRule {
                sides: sides.map(|side| side / sides[0]),
                radius: structure.radius_in_sides(),
                filters_sensitivities: structure.filter == FilterKind::Sensitivity,
                mirrors: mirrors.axes(),
                given: passive.given(),
            };
            Model::on_device(structure, mesh, boundary, device, &rule)
        })
    }

    /// Another problem on the way to this one: its gradient is computed where this one's is, if it is large
    /// enough for that.
    ///
    /// # Errors
    /// Those of [`new`](Self::new).
    pub fn sibling(&self, structure: Structure) -> Result<Self> {
        let mut sibling = self.unjournaled_sibling(structure)?;
        sibling.tape = self.tape.as_ref().map(|tape| Tape::new(tape.journal()));
        Ok(sibling)
    }

    fn unjournaled_sibling(&self, structure: Structure) -> Result<Self> {
        let elements: u64 = structure.elements();
        if let Some(device) = self.device().filter(|_| elements >= LEAST_ON_DEVICE as u64) {
            match Self::on_device(structure.clone(), device) {
                Err(Error::Engine(fault)) => log::info!("the CPU takes a coarse mesh: {fault}"),
                other => return other,
            }
        }
        Self::new(structure)
    }

    /// The device that the gradient is computed on; none for the CPU.
    pub fn device(&self) -> Option<&SolidDevice> {
        self.model.device()
    }

    /// What computes the gradient, for records.
    pub fn gradient_by(&self) -> String {
        let precise = "f32, refined with double-word residuals";
        self.device().map_or_else(|| "CPU, f64".into(), |device| format!("{}, {precise}", device.adapter()))
    }

    /// What computes [`compliance`](Self::compliance), for records.
    pub fn reported_by(&self) -> String {
        if self.is_reported_by_cpu() { "CPU, f64".into() } else { self.gradient_by() }
    }

    fn is_reported_by_cpu(&self) -> bool {
        self.device().is_none() || self.mesh.elements() <= MOST_REPORTED_BY_CPU
    }

    fn with_model(
        structure: Structure,
        model: impl FnOnce(&Structure, Mesh, &Boundary, (&PassiveElements, &Mirrors)) -> Result<Model>,
    ) -> Result<Self> {
        structure.validate()?;
        let mesh = Mesh::new(&structure.mesh.elements)?;
        let filter = Filter::new(&structure, &mesh)?;
        let passive = PassiveElements::new(&structure, &mesh)?;
        let boundary = Boundary::new(&structure, mesh, |e| passive.may_be_solid(e))?;
        let lattice = structure.lattice(mesh);
        let uncarried =
            load_path::uncarried(&lattice, &boundary, Joints::Pinned, |e| passive.may_be_solid(e))?;
        if let Some(uncarried) = uncarried {
            return Err(uncarried.refusal());
        }
        if !passive.is_empty() {
            let d = mesh.elements() as f64;
            let (least, most) = (passive.solid() as f64, (passive.solid() + passive.active()) as f64);
            let volume = structure.volume_fraction * d;
            if !(volume > least && volume <= most) {
                let allowed =
                    format!("above {} and at most {}, what the passive elements leave", least / d, most / d);
                return Err(Error::invalid("the volume fraction", structure.volume_fraction, allowed));
            }
        }
        let mirrors = Mirrors::new(structure.symmetry, mesh, &boundary, |image| passive.is_symmetric(image));
        let volume = volume_constraint(&structure, &filter, &passive, &mirrors, mesh.elements())?;
        let model = model(&structure, mesh, &boundary, (&passive, &mirrors))?;
        Ok(Self {
            unit: structure.unit(),
            structure,
            mesh,
            filter,
            boundary,
            passive,
            mirrors,
            volume,
            model,
            tolerance: RESIDUAL,
            evaluations: 0,
            solves: Vec::new(),
            revision: 0,
            tape: None,
        })
    }

    /// Journals the evaluations of this problem and of those on the way to it, and takes them from the
    /// journal as long as it has any: see [`checkpoint`](crate::checkpoint). To be called before the run.
    pub fn journal(&mut self, journal: &Journal) {
        self.tape = Some(Tape::new(journal));
    }

    /// Lets go of the journal, whose folder another run can then have once all its handles are gone.
    pub fn leave_journal(&mut self) {
        self.tape = None;
    }

    /// Keeps the solver's state in the journal, if there is one: at the end of a run on this problem.
    pub(super) fn keep_state(&self) {
        if let Some(tape) = self.tape.as_ref().filter(|_| self.has_state()) {
            tape.keep(|| self.state());
        }
    }

    /// Ends the journal, if there is one: see [`Journal::close`].
    pub(super) fn close_journal(&self) {
        if let Some(tape) = &self.tape {
            tape.journal().close();
        }
    }

    /// Takes over the solver's state that the journal has, if evaluations were answered by it.
    fn catch_up(&mut self) -> Result<()> {
        match self.tape.as_mut().and_then(Tape::state_to_take) {
            Some(state) => self.take_state(&state),
            None => Ok(()),
        }
    }

    fn take_state(&mut self, state: &[u8]) -> Result<()> {
        let other = || Error::internal("the kept state of a solver is of another problem");
        let (count, rest) = state.split_first_chunk::<8>().ok_or_else(other)?;
        let bytes = u64::from_le_bytes(*count).saturating_mul(8 * SolveEntry::WORDS as u64);
        let (solves, state) =
            (bytes <= rest.len() as u64).then(|| rest.split_at(bytes as usize)).ok_or_else(other)?;
        if !self.model.restore(state, (&self.structure, self.mesh, &self.boundary))? {
            return Err(other());
        }
        self.solves = solves.as_chunks().0.as_chunks().0.iter().map(SolveEntry::from_words).collect();
        Ok(())
    }

    /// Changes the SIMP exponent, for continuation between runs or evaluations: another objective on the same
    /// domain, so nothing learned before holds any more and the [revision](Objective::revision) is a new one.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) unless it is in \[1, 10\]; nothing has changed then.
    pub fn set_penalty(&mut self, penalty: f64) -> Result<()> {
        self.replace(Structure { penalty, ..self.structure.clone() })
    }

    /// Changes the projection or, with `None`, ends it; for continuation, like
    /// [`set_penalty`](Self::set_penalty). The projection keeps the volume, so every feasible design stays
    /// feasible.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) for a sharpness outside its range and with the
    /// sensitivity filter; nothing has changed then.
    pub fn set_projection(&mut self, projection: Option<Projection>) -> Result<()> {
        self.replace(Structure { projection, ..self.structure.clone() })
    }

    /// Changes the relative residual at which solves in space end, 10⁻³ at first. The value's relative error
    /// is about its square; the gradient's is about as large as itself. In the plane solves are exact.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) unless it is between 10⁻¹⁰ and 10⁻¹.
    pub fn set_tolerance(&mut self, tolerance: f64) -> Result<()> {
        if !(1e-10..=0.1).contains(&tolerance) {
            return Err(Error::invalid("the solver's tolerance", tolerance, "between 1e-10 and 0.1"));
        }
        self.tolerance = tolerance;
        Ok(())
    }

    fn replace(&mut self, structure: Structure) -> Result<()> {
        structure.validate_settings()?;
        self.structure = structure;
        self.revision += 1;
        Ok(())
    }

    /// The bytes that a problem in space keeps, known before it is set up: the solver, the
    /// displacements, the filter, and what an evaluation needs on the way. None in the plane, where the
    /// factorisation's size depends on the structure.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) for a mesh that makes no sense.
    pub fn bytes(structure: &Structure) -> Result<Option<u64>> {
        let Mesh::Solid(mesh) = Mesh::new(&structure.mesh.elements)? else { return Ok(None) };
        let (elements, dofs) = (mesh.elements() as u64, mesh.dofs() as u64);
        // Displacements; filter, volume weights, given densities, density and slope, and two fields on the
        // way.
        let vectors = 8 * dofs * structure.load_cases.len() as u64 + (6 * 8 + 1) * elements;
        Ok(Some(Solver::bytes(mesh) + vectors))
    }

    /// The bytes that the true gradient of a structure in space takes on a device, known before it is set up;
    /// none in the plane.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) for a mesh that makes no sense.
    pub fn device_bytes(structure: &Structure) -> Result<Option<DeviceBytes>> {
        let Mesh::Solid(mesh) = Mesh::new(&structure.mesh.elements)? else { return Ok(None) };
        Ok(Some(DeviceCompliance::bytes(mesh, structure.load_cases.len())))
    }

    /// The structure that is optimized, with the current penalty and projection.
    pub fn structure(&self) -> &Structure {
        &self.structure
    }

    /// The mesh of elements and nodes.
    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    /// The supports and loads on the mesh.
    pub fn boundary(&self) -> &Boundary {
        &self.boundary
    }

    /// All solves so far, in order; none in the plane, where a factorisation is exact.
    pub fn solves(&self) -> &[SolveEntry] {
        &self.solves
    }

    /// The displacement of each load case at the last evaluation, one value a degree of freedom, as a length.
    ///
    /// # Errors
    /// Those of the device, if it keeps them.
    pub fn displacements(&self) -> Result<Vec<Vec<f64>>> {
        self.model.displacements(&self.structure, &self.boundary)
    }

    /// The strain energy per volume in each element, ½ σ·ε averaged over it, for each load case at the last
    /// evaluation, which must have been at `x`. Times the element's volume they add up to half the load
    /// case's compliance.
    ///
    /// # Errors
    /// Those of the device, if it keeps the displacements; [`SettingsError`](crate::error::SettingsError)
    /// when x has the wrong length, or nothing has been evaluated.
    pub fn strain_energies(&self, x: &[f64]) -> Result<Vec<Vec<f64>>> {
        let law = self.law();
        let moduli: Vec<f64> = self.physical_density(x)?.iter().map(|rho| law.modulus(*rho)).collect();
        if self.evaluations == 0 {
            return Err(Error::invalid("the displacements", "none", "those of an evaluation"));
        }
        let volume = self.structure.element_volume();
        let mut energies = self.model.strain_energies(&self.structure, &moduli)?;
        for (energies, case) in energies.iter_mut().zip(&self.boundary.cases) {
            let factor = self.unit.compliance / (case.weight * volume);
            energies.iter_mut().for_each(|energy| *energy *= factor);
        }
        Ok(energies)
    }

    /// The compliance of each load case, without its weight, at the last evaluation, which must have been at
    /// `x`: the objective is their weighted sum.
    ///
    /// # Errors
    /// Those of [`strain_energies`](Self::strain_energies).
    pub fn load_case_compliances(&self, x: &[f64]) -> Result<Vec<f64>> {
        let volume = self.structure.element_volume();
        let energies = self.strain_energies(x)?;
        Ok(energies.iter().map(|case| 2.0 * volume * case.iter().sum::<f64>()).collect())
    }

    fn law(&self) -> Simp {
        Simp { penalty: self.structure.penalty, void_modulus: self.structure.material.void_modulus }
    }

    /// The number of linear solves so far, whoever asked for them.
    pub fn evaluations(&self) -> usize {
        self.evaluations
    }

    /// The uniform design that uses up the volume; with nothing passive its value is the volume fraction.
    pub fn uniform_start(&self) -> Vec<f64> {
        let mut value = self.structure.volume_fraction;
        if !self.passive.is_empty() {
            value = self.volume.bound / self.volume.weights.iter().sum::<f64>();
        }
        vec![value; self.mesh.elements()]
    }

    /// The density the structure is made of: the filtered design (density filter), projected if asked for, or
    /// the design itself; 0 or 1 in passive elements.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) when x has the wrong length.
    pub fn physical_density(&self, x: &[f64]) -> Result<Vec<f64>> {
        self.densities(x).map(|(density, _)| density)
    }

    /// The physical density and, if there is a projection, what it was computed from.
    fn densities(&self, x: &[f64]) -> Result<(Vec<f64>, Projected)> {
        if x.len() != self.mesh.elements() {
            return Err(Error::length("the design", x.len(), self.mesh.elements()));
        }
        let x = &self.symmetrized(x);
        let filtered = match self.structure.filter {
            FilterKind::Density => self.filter.smooth(x)?,
            FilterKind::Sensitivity => x.to_vec(),
        };
        let (mut density, projected) = match self.structure.projection {
            None => (filtered, None),
            Some(projection) => {
                let threshold = projection.threshold(self.passive.active_values(&filtered));
                (filtered.iter().map(|t| threshold.density(*t)).collect(), Some((filtered, threshold)))
            }
        };
        self.passive.impose(&mut density);
        Ok((density, projected))
    }

    /// The mean of the design and of its mirror images, as far as the [`Symmetry`](super::Symmetry) asks for
    /// any: the design that the structure is made of.
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
        let sides = &self.structure.sides()[..self.mesh.dimension()];
        let longest = (0..sides.len()).max_by(|a, b| sides[*a].total_cmp(&sides[*b])).unwrap_or(0);
        let radius = self.structure.radius / sides[longest];
        let along = if sides.iter().all(|side| *side == sides[0]) {
            String::new()
        } else {
            format!(" along {}", ["x", "y", "z"][longest])
        };
        let filters_nothing = format!(
            "the filter radius is {radius} element sides{along}: at most 1 filters nothing{along}, and \
             layouts become checkerboards that depend on the mesh; 1.5 is the least that filters"
        );
        let mut warnings = if radius <= 1.0 { vec![filters_nothing] } else { Vec::new() };
        let regions = self.passive.without_elements().iter();
        warnings.extend(regions.map(|number| {
            format!(
                "regions[{number}] changes nothing: no element of the mesh has its centre in it, as it lies \
                 outside of the box or is smaller than an element"
            )
        }));
        let Material { poisson_ratio, plane, .. } = self.structure.material;
        let is_confined = self.mesh.dimension() == 3 || plane == PlaneState::Strain;
        if is_confined && poisson_ratio > LOCKING {
            warnings.push(format!(
                "Poisson's ratio {poisson_ratio} is close to 0.5, where these elements lock: the structure \
                 seems too stiff, the more so the coarser the mesh is; up to {LOCKING} does no harm"
            ));
        }
        warnings
    }

    /// A sentence on the load that a design carries by nothing but densities of at most 0.5, if there is one:
    /// the structure would fall apart if it were built of the elements above that.
    ///
    /// # Errors
    /// A failed factorisation.
    pub fn falls_apart(&self, x: &[f64]) -> Result<Option<String>> {
        Ok(self.uncarried_above(x, 0.5)?.map(|load| {
            format!(
                "the design falls apart: the elements of density above 0.5 do not carry {load} to the \
                 supports"
            )
        }))
    }

    /// The name of a load that the elements above this physical density do not carry to the supports.
    pub(super) fn uncarried_above(&self, x: &[f64], least: f64) -> Result<Option<String>> {
        let density = self.physical_density(x)?;
        let lattice = self.structure.lattice(self.mesh);
        let has_material = |e: usize| density[e] > least;
        let uncarried = load_path::uncarried(&lattice, &self.boundary, Joints::Rigid, has_material)?;
        Ok(uncarried.map(|load| load.name()))
    }

    /// The mean physical density, passive elements included.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) when x has the wrong length.
    pub fn volume(&self, x: &[f64]) -> Result<f64> {
        Ok(self.physical_density(x)?.iter().sum::<f64>() / x.len() as f64)
    }

    /// The compliance at x, in f64.
    ///
    /// # Errors
    /// [`FemError`](crate::error::FemError) when the system cannot be solved,
    /// [`SettingsError`](crate::error::SettingsError) when x has the wrong length.
    pub fn compliance(&mut self, x: &[f64]) -> Result<f64> {
        self.catch_up()?;
        let tolerance = self.tolerance.min(REPORTED);
        // The displacements are those at x afterwards, on a device as well; the CPU starts from them.
        let value = self.value(x, tolerance, None)?;
        if self.device().is_none() || !self.is_reported_by_cpu() {
            return Ok(value);
        }
        let on_cpu = self.model.to_cpu(&self.structure, self.mesh, &self.boundary)?;
        let on_device = std::mem::replace(&mut self.model, on_cpu);
        let value = self.value(x, tolerance, None);
        self.model = on_device;
        value
    }

    fn value(
        &mut self,
        x: &[f64],
        accuracy: impl Into<Accuracy>,
        mut gradient: Option<&mut [f64]>,
    ) -> Result<f64> {
        if x.len() != self.mesh.elements() {
            return Err(Error::length("the design", x.len(), self.mesh.elements()));
        }
        let (law, accuracy) = (self.law(), accuracy.into());
        self.evaluations += 1;
        // What a projection's threshold is found from is on the host.
        let on_device = if self.structure.projection.is_none() {
            self.model.evaluate_design(&law, x, accuracy, gradient.as_deref_mut())
        } else {
            None
        };
        let evaluation = match on_device {
            Some(Ok(evaluation)) => evaluation,
            Some(Err(fault)) => {
                self.leave_device(&fault)?;
                self.evaluate_on_host(&law, x, accuracy, gradient.as_deref_mut())?
            }
            None => self.evaluate_on_host(&law, x, accuracy, gradient.as_deref_mut())?,
        };
        let entry = |(load_case, solve): (usize, &SolveReport)| SolveEntry {
            evaluation: self.evaluations,
            load_case,
            iterations: solve.iterations,
            residual: solve.residual,
            seconds: solve.time.as_secs_f64(),
        };
        self.solves.extend(evaluation.solves.iter().enumerate().map(entry));
        if let Some(gradient) = gradient {
            let unit = self.unit.compliance;
            gradient.par_chunks_mut(1 << 16).for_each(|part| part.iter_mut().for_each(|g| *g *= unit));
        }
        Ok(evaluation.value * self.unit.compliance)
    }

    /// The CPU goes on with the true gradient where the device has failed.
    fn leave_device(&mut self, fault: &Error) -> Result<()> {
        log::warn!("the CPU goes on with the true gradient: {fault}");
        self.model = self.model.to_cpu(&self.structure, self.mesh, &self.boundary)?;
        Ok(())
    }

    /// The compliance and its gradient in internal units, the densities and the chain rule being the host's.
    fn evaluate_on_host(
        &mut self,
        law: &Simp,
        x: &[f64],
        accuracy: Accuracy,
        gradient: Option<&mut [f64]>,
    ) -> Result<Evaluation> {
        let (density, projected) = self.densities(x)?;
        let mut slope = vec![0.0; x.len()];
        let evaluation = match self.model.evaluate(law, &density, accuracy, &mut slope) {
            Err(fault) if self.device().is_some() => {
                self.leave_device(&fault)?;
                self.model.evaluate(law, &density, accuracy, &mut slope)?
            }
            other => other?,
        };
        let Some(gradient) = gradient else { return Ok(evaluation) };
        self.passive.clear(&mut slope);
        if let Some((filtered, threshold)) = projected {
            threshold.chain(&filtered, &mut slope, |e| self.passive.is_active(e));
        }
        match self.structure.filter {
            FilterKind::Density => self.filter.smooth_transpose(&slope, gradient)?,
            FilterKind::Sensitivity => {
                self.filter.smooth_sensitivity(&slope, &self.symmetrized(x), gradient)?;
                self.passive.clear(gradient);
            }
        }
        self.mirrors.symmetrize(gradient);
        Ok(evaluation)
    }
}

impl Objective for Compliance {
    fn dimension(&self) -> usize {
        self.mesh.elements()
    }

    fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64, ObjectiveError> {
        if let Some(answer) = self.tape.as_mut().and_then(|tape| tape.value(x, gradient)) {
            self.evaluations += 1;
            return answer;
        }
        self.catch_up()?;
        let accuracy = Accuracy { residual: self.tolerance, reduction: REDUCTION };
        let value = self.value(x, accuracy, Some(gradient)).map_err(Into::into);
        if let Some(mut tape) = self.tape.take() {
            tape.append(x, &value, gradient, self.has_state(), || self.state());
            self.tape = Some(tape);
        }
        value
    }

    fn domain(&self) -> Domain {
        Domain::BoxVolume { bounds: Bounds::uniform(0.0, 1.0), volume: self.volume.clone() }
    }

    /// The number of changes of penalty and projection.
    fn revision(&self) -> u64 {
        self.revision
    }

    /// In space, where a solve starts from the last displacement.
    fn has_state(&self) -> bool {
        self.model.has_state()
    }

    /// The record of the solves, then the model's state.
    fn state(&self) -> Result<Vec<u8>, ObjectiveError> {
        let mut state = (self.solves.len() as u64).to_le_bytes().to_vec();
        self.solves.iter().for_each(|solve| state.extend(solve.words().as_flattened()));
        self.model.write_state(&mut state)?;
        Ok(state)
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), ObjectiveError> {
        Ok(self.take_state(state)?)
    }
}
