//! Densities to compliance and its gradient, on the device.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

use super::design::{self, Design, DesignRule};
use super::levels::{Levels, slab_of};
use super::solve::{Case, Vectors, record_correct, record_iteration, record_start, solve};
use crate::engine::gpu::buffers::Buffer;
use crate::engine::gpu::counts;
use crate::engine::gpu::device::Gpu;
use crate::engine::gpu::kernels::{Eft, Energies, PartialsReduce, Work, bindings};
use crate::engine::gpu::recording::Recorder;
use crate::engine::gpu::{AdapterChoice, Clock, GpuEngine, KernelTime, self_test};
use crate::error::{EngineError, Error, Result};
use crate::fem::layout::Damping;
use crate::fem::{Accuracy, BrickMesh, Element, Evaluation, Load, Simp, SolveReport, Supports, masses};

/// A device that finite elements are solved on: a handle, which several problems share with the kernels that
/// were compiled for them.
#[derive(Debug, Clone)]
pub struct SolidDevice {
    recorder: Arc<Mutex<Recorder>>,
}

impl SolidDevice {
    /// Opens the best adapter that `choice` allows.
    ///
    /// # Errors
    /// [`EngineError::NoAdapter`] and [`EngineError::Device`]; the latter also where no error-free transform
    /// survives the device's compiler, which the refinement's residual needs.
    pub fn open(choice: &AdapterChoice) -> Result<Self> {
        Self::with_recorder(self_test::open(&Gpu::open(choice)?)?)
    }

    /// The device of an engine.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn of(engine: &GpuEngine) -> Result<Self> {
        Self::with_recorder(Recorder::new(engine.recorder.gpu.clone(), engine.recorder.variant.eft)?)
    }

    fn with_recorder(recorder: Recorder) -> Result<Self> {
        if recorder.variant.eft == Eft::Plain {
            return Err(EngineError::Device {
                what: "finite elements on this device".into(),
                reason: "no error-free transform survives its compiler".into(),
            }
            .into());
        }
        Ok(Self { recorder: Arc::new(Mutex::new(recorder)) })
    }

    /// The name of the adapter.
    pub fn adapter(&self) -> String {
        self.lock().gpu.name()
    }

    /// Where the times of a profile come from.
    pub fn clock(&self) -> Clock {
        if self.lock().has_timestamps() { Clock::Timestamps } else { Clock::Wall }
    }

    /// The bandwidth that the kernels are measured by: a kernel that copies `bytes` from one buffer to
    /// another, `repeats` times after one for warming up. Gives the bytes copied, so that twice as many were
    /// moved, and the seconds of each.
    ///
    /// # Errors
    /// Device and memory errors.
    pub fn copy_times(&self, bytes: u64, repeats: usize) -> Result<(u64, Vec<f64>)> {
        let vectors = (bytes / 16).max(1);
        let slab = slab_of(vectors as usize) as u32;
        Ok((16 * vectors, self.lock().copy_times(vectors, slab, repeats)?))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Recorder> {
        // A recorder that a panic has left has lost what was recorded, and nothing else.
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The memory of a device that a problem takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceBytes {
    /// The bytes of all buffers, but for the matrices near supports.
    pub all: u64,
    /// The largest buffer that is bound, which the adapter has to allow.
    pub largest_binding: u64,
}

/// Compliance and gradient as [`SolidCompliance`](crate::fem::SolidCompliance) has them, on the device: its
/// twin, with the same arguments.
///
/// The displacements, all operators and all vectors of the solver stay on the device; an evaluation sends the
/// moduli, 4 bytes an element, and reads the energies, 4 bytes an element, and a few scalars for each solve.
///
/// Precision: conjugate gradients and the cycle are f32; around them the displacement is double-word and is
/// corrected with a residual that is formed in double-word, so that a relative residual of 10⁻⁸ is reached.
/// Energies are f32, their sum is double-word. Moduli are rounded to f32, to a relative error of 6·10⁻⁸.
///
/// Memory: see [`bytes`](Self::bytes), some 165 bytes an element on the device, and 36 for each load case.
#[derive(Debug)]
pub struct DeviceCompliance {
    device: SolidDevice,
    mesh: BrickMesh,
    supports: Supports,
    levels: Levels,
    vectors: Vectors,
    cases: Vec<Case>,
    loads: Vec<Load>,
    bodies: Vec<[f64; 3]>,
    energies: Buffer,
    totals: Buffer,
    staging: Buffer,
    /// How a design becomes densities, if designs are evaluated.
    design: Option<Design>,
}

impl DeviceCompliance {
    /// The compliance under these load cases, and with these forces on the corners of an element of density
    /// 1; a vector of all degrees of freedom is a [`Load`] as well.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) for arrays of the wrong length and for a mesh of one
    /// element; device errors, and [`EngineError::Memory`] where the mesh does not fit.
    pub fn new(
        device: &SolidDevice,
        element: &Element,
        supports: &Supports,
        loads: impl IntoIterator<Item = impl Into<Load>>,
        bodies: Vec<[f64; 3]>,
    ) -> Result<Self> {
        let mesh = supports.mesh();
        let loads: Vec<Load> = loads.into_iter().map(Into::into).collect();
        if let Some(load) = loads.iter().find(|load| load.dofs() != mesh.dofs()) {
            return Err(Error::length("a load", load.dofs(), mesh.dofs()));
        }
        if bodies.len() != loads.len() {
            return Err(Error::length("the forces on bodies", bodies.len(), loads.len()));
        }
        let mut recorder = device.lock();
        let r = &mut *recorder;
        let levels = Levels::new(r, mesh, element, supports)?;
        let vectors = Vectors::new(r, mesh.dofs())?;
        let dofs = mesh.dofs() as u64;
        let mut cases = Vec::with_capacity(loads.len());
        for _ in &loads {
            cases.push(Case {
                load: r.buffer("fem.load", 4 * dofs)?,
                norm: 0.0,
                displacement: r.buffer("fem.displacement", 8 * dofs)?,
                expected: 10,
            });
        }
        let totals = 16 * cases.len() as u64;
        let elements = mesh.elements() as u64;
        let energies = r.buffer("fem.energies", 8 * elements)?;
        let totals_buffer = r.buffer("fem.totals", totals)?;
        let staging = r.staging((8 * elements + totals).max(8 * dofs))?;
        drop(recorder);
        let mut this = Self {
            device: device.clone(),
            mesh,
            supports: supports.clone(),
            levels,
            vectors,
            cases,
            loads,
            bodies,
            energies,
            totals: totals_buffer,
            staging,
            design: None,
        };
        for number in 0..this.cases.len() {
            if this.bodies[number] == [0.0; 3] {
                this.upload_load(number, &[])?;
            }
        }
        Ok(this)
    }

    /// The same with designs that become densities by `rule`.
    pub(crate) fn with_design(mut self, rule: &DesignRule) -> Result<Self> {
        self.design = Some(Design::new(&mut self.device.lock(), self.mesh, rule)?);
        Ok(self)
    }

    /// Whether designs can be evaluated: the device has a rule for them, and no load depends on densities.
    pub(crate) fn takes_designs(&self) -> bool {
        self.design.is_some() && !self.has_weight()
    }

    fn design(&self) -> Result<&Design> {
        self.design.as_ref().ok_or_else(|| Error::internal("a device that takes no designs"))
    }

    fn has_weight(&self) -> bool {
        self.bodies.iter().any(|body| *body != [0.0; 3])
    }

    /// What a problem with so many load cases takes on the device, known before it is set up.
    pub fn bytes(mesh: BrickMesh, cases: usize) -> DeviceBytes {
        let (dofs, elements) = (mesh.dofs() as u64, mesh.elements() as u64);
        let (levels, matrices) = Levels::bytes_of(mesh);
        // Direction and correction; load and displacement of each case; energies, the design's fields, and
        // what is read by.
        let fields = (8 + design::BYTES) * elements + (8 * elements).max(8 * dofs);
        let all = levels + 8 * dofs + 12 * dofs * cases as u64 + fields;
        DeviceBytes { all, largest_binding: matrices.max(8 * dofs) }
    }

    /// The handle of the device.
    pub fn device(&self) -> &SolidDevice {
        &self.device
    }

    /// Sends load `number` and remembers its norm; `masses` are those around each node, or none.
    fn upload_load(&mut self, number: usize, masses: &[f64]) -> Result<()> {
        let nodes = self.mesh.nodes();
        let load = self.loads[number].to_vec();
        let mut square = 0.0;
        let mut words = vec![0.0_f32; load.len()];
        for (d, (words, load)) in words.chunks_exact_mut(nodes).zip(load.chunks_exact(nodes)).enumerate() {
            for (node, (word, force)) in words.iter_mut().zip(load).enumerate() {
                let weight = masses.get(node).map_or(0.0, |mass| self.bodies[number][d] * mass);
                let force = force + weight;
                *word = force as f32;
                if !self.supports.is_fixed(node, d) {
                    square += force * force;
                }
            }
        }
        self.cases[number].norm = square.sqrt();
        self.device.lock().upload(&self.cases[number].load, &words)
    }

    /// The compliance of these densities, and its gradient with respect to them: see
    /// [`SolidCompliance::evaluate`](crate::fem::SolidCompliance::evaluate).
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) when an array does not have one entry an element;
    /// [`FemError`](crate::error::FemError) when a solve does not reach its tolerance in `max_iterations`;
    /// device errors.
    pub fn evaluate(
        &mut self,
        law: &Simp,
        densities: &[f64],
        accuracy: impl Into<Accuracy>,
        max_iterations: usize,
        gradient: &mut [f64],
    ) -> Result<Evaluation> {
        let accuracy = accuracy.into();
        let elements = self.mesh.elements();
        for (name, found) in [("the densities", densities.len()), ("the gradient", gradient.len())] {
            if found != elements {
                return Err(Error::length(name, found, elements));
            }
        }
        let moduli: Vec<f32> = densities.par_iter().map(|rho| law.modulus(*rho) as f32).collect();
        let has_weight = self.has_weight();
        if has_weight {
            let masses = masses(&self.mesh, densities);
            for number in 0..self.cases.len() {
                if self.bodies[number] != [0.0; 3] {
                    self.upload_load(number, &masses)?;
                }
            }
        }
        let device = self.device.clone();
        let mut recorder = device.lock();
        let r = &mut *recorder;
        r.upload(&self.levels.moduli, &moduli)?;
        let solves = self.solve_all(r, accuracy, max_iterations)?;
        let rows = if has_weight { 2 } else { 1 };
        let bytes = 4 * (rows * elements) as u64;
        let totals = 16 * self.cases.len() as u64;
        r.copy(&self.totals, 0, &self.staging, 0, totals);
        r.copy(&self.energies, 0, &self.staging, totals, bytes);
        let data = r.read(&self.staging, totals + bytes)?;
        drop(recorder);
        let (totals, energies) = data.split_at(totals as usize);
        let value = value_of(totals);
        let energies: Vec<f32> = bytemuck::pod_collect_to_vec(energies);
        let (energies, weights) = energies.split_at(elements);
        gradient.par_iter_mut().zip(energies).zip(densities).for_each(|((gradient, energy), density)| {
            *gradient = -law.slope(*density) * f64::from(*energy);
        });
        gradient.par_iter_mut().zip(weights).for_each(|(gradient, weight)| {
            *gradient += 2.0 * f64::from(*weight);
        });
        Ok(Evaluation { value, solves })
    }

    /// The compliance of the design x, and its gradient with respect to it, if that is asked for. An
    /// evaluation sends the design, 4 bytes an element, and reads the gradient, as many.
    ///
    /// # Errors
    /// As for [`evaluate`](Self::evaluate); an internal one where the device takes no designs.
    pub(crate) fn evaluate_design(
        &mut self,
        law: &Simp,
        x: &[f64],
        accuracy: Accuracy,
        max_iterations: usize,
        gradient: Option<&mut [f64]>,
    ) -> Result<Evaluation> {
        let elements = self.mesh.elements();
        for (name, found) in
            [("the design", Some(x.len())), ("the gradient", gradient.as_ref().map(|g| g.len()))]
        {
            if let Some(found) = found.filter(|found| *found != elements) {
                return Err(Error::length(name, found, elements));
            }
        }
        let narrow: Vec<f32> = x.par_iter().map(|x| *x as f32).collect();
        let device = self.device.clone();
        let mut recorder = device.lock();
        let r = &mut *recorder;
        let design = self.design()?;
        r.upload(&design.design, &narrow)?;
        design.record_moduli(r, law, &self.levels.moduli)?;
        let solves = self.solve_all(r, accuracy, max_iterations)?;
        let totals = 16 * self.cases.len() as u64;
        r.copy(&self.totals, 0, &self.staging, 0, totals);
        let Some(gradient) = gradient else {
            let data = r.read(&self.staging, totals)?;
            return Ok(Evaluation { value: value_of(&data), solves });
        };
        let design = self.design()?;
        design.record_gradient(r, law, &self.energies)?;
        let bytes = 4 * elements as u64;
        r.copy(&design.design, 0, &self.staging, totals, bytes);
        let data = r.read(&self.staging, totals + bytes)?;
        drop(recorder);
        let (totals, words) = data.split_at(totals as usize);
        gradient.par_iter_mut().zip(words.par_chunks_exact(4)).for_each(|(gradient, word)| {
            *gradient = f64::from(f32::from_ne_bytes(std::array::from_fn(|i| word[i])));
        });
        Ok(Evaluation { value: value_of(totals), solves })
    }

    /// Makes the operators of the moduli that are on the device, solves for all load cases and records their
    /// energies.
    fn solve_all(
        &mut self,
        r: &mut Recorder,
        accuracy: Accuracy,
        max_iterations: usize,
    ) -> Result<Vec<SolveReport>> {
        self.levels.set_up(r)?;
        let mut solves = Vec::with_capacity(self.cases.len());
        for number in 0..self.cases.len() {
            let case = &mut self.cases[number];
            match solve(r, &mut self.levels, &self.vectors, case, accuracy, max_iterations) {
                Ok(report) => solves.push(report),
                Err(error) => {
                    // No later solve should start from what did not arrive.
                    r.clear(&self.cases[number].displacement);
                    return Err(error);
                }
            }
            self.record_energies(r, number)?;
        }
        Ok(solves)
    }

    /// The energies of load case `number`, and the two sums that its compliance is made of.
    fn record_energies(&self, r: &mut Recorder, number: usize) -> Result<()> {
        let case = &self.cases[number];
        let (len, slab) = (self.mesh.dofs() as u32, self.vectors.slab());
        let slabs = self.vectors.slabs();
        let first = 2 * number as u32;
        r.dispatch(
            Work { len, slab },
            &bindings::Work {
                load: &case.load,
                displacement: &case.displacement,
                partials: &self.levels.partials,
            },
            counts::each(slabs),
        )?;
        self.record_total(r, slabs, first)?;
        let [nx, ny, nz] = self.mesh.size().map(|n| n as u32);
        let slab = slab_of(self.mesh.elements());
        let slabs = self.mesh.elements().div_ceil(slab);
        let [body_x, body_y, body_z] = self.bodies[number].map(|share| share as f32);
        r.dispatch(
            Energies { nx, ny, nz, body_x, body_y, body_z, adds: u32::from(number > 0), slab: slab as u32 },
            &bindings::Energies {
                blocks: &self.levels.blocks,
                moduli: &self.levels.moduli,
                displacement: &case.displacement,
                energies: &self.energies,
                partials: &self.levels.partials,
            },
            counts::each(slabs),
        )?;
        self.record_total(r, slabs, first + 1)
    }

    fn record_total(&self, r: &mut Recorder, count: usize, first: u32) -> Result<()> {
        r.dispatch(
            PartialsReduce { slabs: count as u32, values: 1, first },
            &bindings::PartialsReduce { partials: &self.levels.partials, totals: &self.totals },
            counts::ONE,
        )
    }

    /// Lets the next solves begin from a displacement of zero.
    ///
    /// # Errors
    /// Device errors.
    pub fn forget(&mut self) -> Result<()> {
        let mut recorder = self.device.lock();
        for case in &mut self.cases {
            recorder.clear(&case.displacement);
        }
        recorder.finish()
    }

    /// How long each kernel takes on the first load case with these densities, or with this design if the
    /// device takes designs: for what an evaluation does once (a design's moduli and gradient, the coarse
    /// operators, the double-word residual, the correction, the energies), and for `iterations` of conjugate
    /// gradients, which are all made. The displacement is that of no evaluation afterwards: the next solve
    /// begins from what they have left.
    ///
    /// # Errors
    /// As for [`evaluate`](Self::evaluate), which comes first.
    pub fn profile(
        &mut self,
        law: &Simp,
        densities: &[f64],
        iterations: usize,
    ) -> Result<[Vec<KernelTime>; 2]> {
        self.evaluate(law, densities, 1e-2, 1000, &mut vec![0.0; densities.len()])?;
        let device = self.device.clone();
        let mut recorder = device.lock();
        let r = &mut *recorder;
        r.clear(&self.cases[0].displacement);
        r.finish()?;
        r.profile(true)?;
        let narrow: Vec<f32> = densities.iter().map(|density| *density as f32).collect();
        let mut measure = || {
            if let Some(design) = &self.design {
                r.upload(&design.design, &narrow)?;
                design.record_moduli(r, law, &self.levels.moduli)?;
            }
            self.levels.set_up(r)?;
            record_start(r, &self.levels, &self.vectors, &self.cases[0], Accuracy::from(1e-30), true)?;
            let before = r.take_profile()?;
            for _ in 0..iterations {
                record_iteration(r, &self.levels, &self.vectors)?;
            }
            let during = r.take_profile()?;
            record_correct(r, &self.levels, &self.vectors, &self.cases[0])?;
            self.record_energies(r, 0)?;
            if let Some(design) = &self.design {
                design.record_gradient(r, law, &self.energies)?;
            }
            Ok([before.into_iter().chain(r.take_profile()?).collect(), during])
        };
        let measured = measure();
        r.profile(false)?;
        measured
    }

    /// The displacement of each load case at the last evaluation.
    ///
    /// # Errors
    /// Device errors.
    pub fn displacements(&self) -> Result<Vec<Vec<f64>>> {
        let mut recorder = self.device.lock();
        let read = |case: &Case| {
            let words: Vec<f32> = bytemuck::pod_collect_to_vec(&self.read_words(&mut recorder, case)?);
            let (high, low) = words.split_at(self.mesh.dofs());
            Ok(high.iter().zip(low).map(|(high, low)| f64::from(*high) + f64::from(*low)).collect())
        };
        self.cases.iter().map(read).collect()
    }

    /// The words of a displacement, the high ones first.
    fn read_words(&self, recorder: &mut Recorder, case: &Case) -> Result<Vec<u8>> {
        let bytes = 8 * self.mesh.dofs() as u64;
        recorder.copy(&case.displacement, 0, &self.staging, 0, bytes);
        recorder.read(&self.staging, bytes)
    }

    /// What the next evaluation depends on besides its densities: the damping of the cycle, then for each
    /// load case the iterations that are expected and the displacement.
    ///
    /// # Errors
    /// Device errors.
    pub(crate) fn state(&self) -> Result<Vec<u8>> {
        let mut state = self.levels.damping().factor().to_le_bytes().to_vec();
        let mut recorder = self.device.lock();
        for case in &self.cases {
            state.extend((case.expected as u32).to_le_bytes());
            state.extend(self.read_words(&mut recorder, case)?);
        }
        Ok(state)
    }

    /// Takes over a [`state`](Self::state); returns whether it is one of this mesh and these load cases.
    ///
    /// # Errors
    /// Device errors.
    pub(crate) fn restore(&mut self, state: &[u8]) -> Result<bool> {
        let each = 4 + 8 * self.mesh.dofs();
        let Some((damping, cases)) = state.split_first_chunk::<4>() else { return Ok(false) };
        let Some(damping) = Damping::of(f32::from_le_bytes(*damping)) else { return Ok(false) };
        if cases.len() != each * self.cases.len() {
            return Ok(false);
        }
        self.levels.set_damping(damping);
        let mut recorder = self.device.lock();
        for (case, bytes) in self.cases.iter_mut().zip(cases.chunks_exact(each)) {
            let (expected, words) = bytes.split_at(4);
            case.expected = u32::from_le_bytes(std::array::from_fn(|i| expected[i])) as usize;
            recorder.upload(&case.displacement, &bytemuck::pod_collect_to_vec::<u8, f32>(words))?;
        }
        Ok(true)
    }
}

/// The compliance from the two sums of each load case: its force times its displacement, and the energies.
fn value_of(totals: &[u8]) -> f64 {
    let totals: Vec<[f32; 2]> = bytemuck::pod_collect_to_vec(totals);
    let of = |pair: &[[f32; 2]]| {
        let [work, strain] = [pair[0], pair[1]].map(|[hi, lo]| f64::from(hi) + f64::from(lo));
        2.0 * work - strain
    };
    totals.chunks_exact(2).map(of).sum()
}

impl Drop for DeviceCompliance {
    fn drop(&mut self) {
        // The bind groups that the recorder keeps would keep the buffers alive.
        let mut recorder = self.device.lock();
        let cases = self.cases.iter().flat_map(|case| [&case.load, &case.displacement]);
        let own = [&self.energies, &self.totals];
        let design = self.design.iter().flat_map(Design::buffers);
        let all = self.levels.buffers().chain(self.vectors.buffers()).chain(cases).chain(own).chain(design);
        for buffer in all {
            recorder.release(buffer);
        }
    }
}
