//! Conjugate gradients in f64 with one cycle of multigrid in f32 as the preconditioner.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::element::Element;
use super::hierarchy::{Damping, Hierarchy};
use super::mesh::{BrickMesh, Supports};
use super::operator::Operator;
use super::rows::{split, split_mut};
use super::vectors::{BLOCK, block_dot, dot, ordered_sum};
use crate::error::{Error, FemError, Result};

/// The elements of a mesh that are worth a thread: with fewer, waking the thread for each of many short
/// passes takes longer than what it does in them. Measured with 2000 elements: a third of the time on one
/// thread as on 16.
const ELEMENTS_PER_THREAD: usize = 4096;

/// Pools of 1, 2, 4 and 8 threads, for meshes that keep no more of them busy.
static SMALL_POOLS: [OnceLock<Option<ThreadPool>>; 4] = [const { OnceLock::new() }; 4];

/// Runs `work` on a mesh of so many elements, which consists of many short passes in parallel, on a thread of
/// a pool: a thread outside would sleep and be woken at each of them.
fn in_pool<R: Send>(elements: usize, work: impl FnOnce() -> R + Send) -> R {
    let threads = elements.div_ceil(ELEMENTS_PER_THREAD).next_power_of_two();
    let small = SMALL_POOLS.get(threads.ilog2() as usize).filter(|_| threads < rayon::current_num_threads());
    let pool = small.and_then(|pool| {
        // Without threads of its own the mesh takes those of all others.
        pool.get_or_init(|| ThreadPoolBuilder::new().num_threads(threads).build().ok()).as_ref()
    });
    match pool {
        Some(pool) => pool.install(work),
        None => rayon::scope(|_| work()),
    }
}

/// What one solve has cost and reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SolveReport {
    /// The number of V-cycles, and of products in f64, without the one for the first residual.
    pub iterations: usize,
    /// ‖f − K u‖ / ‖f‖ over the free degrees of freedom, as the recurrence has it.
    pub residual: f64,
    /// The time that it took.
    pub time: Duration,
}

/// When a solve ends: as soon as the residual is small enough beside the load, and beside the residual that
/// the solve began with.
///
/// A solve that starts from the displacement of a design nearby begins with a small residual. If it ended
/// there, the displacement would not follow the design, and changes of the gradient would be those of the
/// moduli alone: the stiffening that keeps a structure's compliance from falling for ever would not be seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Accuracy {
    /// The largest ‖f − K u‖ / ‖f‖.
    pub residual: f64,
    /// The largest residual as a share of the one at the start, in force while it is above 10⁻¹⁰ of the load.
    pub reduction: f64,
}

impl Accuracy {
    /// No reduction beside the load leads below this residual.
    pub(crate) const FLOOR: f64 = 1e-10;

    /// The residual to reach, beside a load of length `load`, from a residual of length `start`.
    fn target(&self, load: f64, start: f64) -> f64 {
        (self.residual * load).min((self.reduction * start).max(Self::FLOOR * load))
    }
}

impl From<f64> for Accuracy {
    /// A residual beside the load alone.
    fn from(residual: f64) -> Self {
        Self { residual, reduction: f64::INFINITY }
    }
}

/// Solves K(E) u = f on a mesh of bricks, matrix-free.
///
/// Conjugate gradients in f64; the preconditioner is one cycle in f32: geometric multigrid by 2:1 on meshes
/// of any size, trilinear prolongation, Galerkin coarse operators, one sweep of damped Jacobi before
/// and one after, and a sparse Cholesky factorisation on the coarsest mesh. Held degrees of freedom are taken
/// out at every level. The damping is 0.6, and is lowered for good when a V-cycle turns out not to be
/// positive definite, as it happens where single solid elements are scattered in void.
///
/// Cost: an iteration takes one product in f64, two in f32 and about as much again on the coarse meshes; the
/// number of iterations is 10 to 20 for a solid and some 40 for a design of thin members in almost void. New
/// moduli cost about as much as one iteration, and the factorisation. Memory: see [`bytes`](Self::bytes).
/// Precision: that of the tolerance, down to about 10⁻¹² relative to the largest entries.
#[derive(Debug)]
pub struct Solver {
    mesh: BrickMesh,
    supports: Supports,
    hierarchy: Hierarchy,
    operator: Operator<f64>,
    moduli: Vec<f64>,
    residual: Vec<f64>,
    direction: Vec<f64>,
    is_ready: bool,
}

impl Solver {
    /// A solver for one mesh of equal elements and its supports.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) when the supports belong to another mesh, and
    /// [`FemError`] when the coarsest mesh's pattern cannot be analysed.
    pub fn new(mesh: BrickMesh, element: &Element, supports: &Supports) -> Result<Self> {
        if supports.mesh() != mesh {
            let found = format!("{:?}", supports.mesh().size());
            return Err(Error::invalid("the supports' mesh", found, "the solver's"));
        }
        Ok(Self {
            mesh,
            supports: supports.clone(),
            hierarchy: Hierarchy::new(mesh, element, &supports.mask)?,
            operator: Operator::new(mesh, element),
            moduli: vec![0.0; mesh.elements()],
            residual: vec![0.0; mesh.dofs()],
            direction: vec![0.0; mesh.dofs()],
            is_ready: false,
        })
    }

    /// The bytes that a solver of this mesh keeps, known before it is made. Not in it are the factor of the
    /// coarsest mesh, at most some 45 megabytes, and matrices of elements near supports that no coarse mesh
    /// can represent, some 2 KiB each. Displacements are the caller's: 24 bytes a node.
    pub fn bytes(mesh: BrickMesh) -> u64 {
        let vectors = 8 * (2 * mesh.dofs() + mesh.elements()) + mesh.nodes();
        vectors as u64 + Operator::<f64>::scratch_bytes(&mesh) + Hierarchy::bytes_of(mesh)
    }

    /// The bytes that this solver keeps now, everything counted.
    pub fn bytes_kept(&self) -> u64 {
        let vectors = 8 * (2 * self.mesh.dofs() + self.mesh.elements()) + self.mesh.nodes();
        vectors as u64 + Operator::<f64>::scratch_bytes(&self.mesh) + self.hierarchy.bytes()
    }

    /// The mesh that is solved on.
    pub fn mesh(&self) -> BrickMesh {
        self.mesh
    }

    /// The supports that hold the structure.
    pub fn supports(&self) -> &Supports {
        &self.supports
    }

    /// The operator in f64.
    pub fn operator(&self) -> &Operator<f64> {
        &self.operator
    }

    /// The moduli that were set last.
    pub fn moduli(&self) -> &[f64] {
        &self.moduli
    }

    /// The damping of the cycle.
    pub(super) fn damping(&self) -> Damping {
        self.hierarchy.damping()
    }

    /// Takes over the damping of a cycle.
    pub(super) fn set_damping(&mut self, damping: Damping) {
        self.hierarchy.set_damping(damping);
    }

    /// Takes the elements' moduli and makes the coarse operators. All load cases share them.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) when there are not as many moduli as elements, or when
    /// one of them is not positive and finite in f32; [`FemError`] when the coarsest matrix is singular.
    pub fn set_moduli(&mut self, moduli: &[f64]) -> Result<()> {
        if moduli.len() != self.mesh.elements() {
            return Err(Error::length("the moduli", moduli.len(), self.mesh.elements()));
        }
        self.set_moduli_by(|e| moduli[e])
    }

    /// [`set_moduli`](Self::set_moduli) of what `modulus` says of each element.
    pub(super) fn set_moduli_by(&mut self, modulus: impl Fn(usize) -> f64 + Sync) -> Result<()> {
        self.is_ready = false;
        self.moduli.par_chunks_mut(BLOCK).enumerate().for_each(|(block, moduli)| {
            for (e, out) in (block * BLOCK..).zip(moduli) {
                *out = modulus(e);
            }
        });
        let allowed = f64::from(f32::MIN_POSITIVE) * 1e6..=f64::from(f32::MAX) * 1e-6;
        let found = self.moduli.par_iter().with_min_len(BLOCK).find_first(|e| !allowed.contains(*e));
        if let Some(modulus) = found {
            return Err(Error::invalid("a modulus", modulus, "positive and finite in single precision"));
        }
        let (hierarchy, moduli) = (&mut self.hierarchy, &self.moduli);
        in_pool(self.mesh.elements(), || hierarchy.set_moduli(moduli))?;
        self.is_ready = true;
        Ok(())
    }

    /// Solves for one load case, starting from `displacement`: K u = f on the free degrees of freedom, u = 0
    /// on the held ones. It ends when ‖f − K u‖ ≤ `tolerance` ‖f‖, or as an [`Accuracy`] says. The result has
    /// the same bits for any number of threads.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) when an array has the wrong length or no moduli were
    /// set; [`FemError::Residual`] when the tolerance is not reached in `max_iterations`, with what was
    /// reached: `displacement` is then the best that was found.
    pub fn solve(
        &mut self,
        load: &[f64],
        displacement: &mut [f64],
        tolerance: impl Into<Accuracy>,
        max_iterations: usize,
    ) -> Result<SolveReport> {
        for (name, found) in [("the load", load.len()), ("the displacement", displacement.len())] {
            if found != self.mesh.dofs() {
                return Err(Error::length(name, found, self.mesh.dofs()));
            }
        }
        self.load_mut().copy_from_slice(load);
        self.solve_loaded(displacement, tolerance.into(), max_iterations)
    }

    /// Where the load of [`solve_loaded`](Self::solve_loaded) goes; the solve overwrites it.
    pub(super) fn load_mut(&mut self) -> &mut [f64] {
        &mut self.residual
    }

    /// [`solve`](Self::solve) for the load in [`load_mut`](Self::load_mut), so that the caller need not keep
    /// a vector for it.
    pub(super) fn solve_loaded(
        &mut self,
        displacement: &mut [f64],
        accuracy: Accuracy,
        max_iterations: usize,
    ) -> Result<SolveReport> {
        let start = Instant::now();
        let tolerance = accuracy.residual;
        if !(tolerance > 0.0) {
            return Err(Error::invalid("the tolerance", tolerance, "above 0"));
        }
        if !(accuracy.reduction > 0.0) {
            return Err(Error::invalid("the reduction of the residual", accuracy.reduction, "above 0"));
        }
        if !self.is_ready {
            return Err(Error::invalid("the moduli", "none", "set before the solve"));
        }
        self.supports.clear(displacement);
        let scale = self.start(displacement);
        if scale == 0.0 {
            displacement.fill(0.0);
            return Ok(SolveReport { iterations: 0, residual: 0.0, time: start.elapsed() });
        }
        if !scale.is_finite() {
            return Err(FemError::Residual { found: f64::NAN, allowed: tolerance }.into());
        }
        let square = dot(&self.residual, &self.residual);
        let target = accuracy.target(scale, square.sqrt());
        let elements = self.mesh.elements();
        let iterate = || self.iterate(square, target, displacement, max_iterations);
        let (iterations, square) = in_pool(elements, iterate);
        let residual = square.sqrt() / scale;
        // Rounding may keep a residual above its reduction; what counts is the one beside the load.
        if residual <= tolerance {
            Ok(SolveReport { iterations, residual, time: start.elapsed() })
        } else {
            Err(FemError::Residual { found: residual, allowed: tolerance }.into())
        }
    }

    /// Memory of one vector that is free between two solves; the next one overwrites it.
    pub(super) fn idle_mut(&mut self) -> &mut [f64] {
        self.hierarchy.idle_mut()
    }

    /// Computes the element energies of a displacement that has the mesh's length; with the moduli that were
    /// set last. Both are there until the next solve.
    pub(super) fn energies(&mut self, displacement: &[f64]) -> Result<(&[f64], &[f64])> {
        let elements = self.mesh.elements();
        self.operator.energies(displacement, &mut self.hierarchy.idle_mut()[..elements])?;
        Ok((&self.hierarchy.idle()[..elements], &self.moduli))
    }

    /// Iterates until ‖r‖ is at most `target`, from ‖r‖² = `square` on; returns the number of iterations and
    /// the last ‖r‖².
    fn iterate(
        &mut self,
        mut square: f64,
        target: f64,
        displacement: &mut [f64],
        max_iterations: usize,
    ) -> (usize, f64) {
        let mut old = None;
        let mut iterations = 0;
        // Comparisons are such that a residual that is not a number ends the loop, and is refused below.
        while square.sqrt() > target && iterations < max_iterations {
            iterations += 1;
            let norm = square.sqrt();
            self.precondition(norm);
            let new = self.along_residual(norm);
            self.turn(norm, old.map_or(0.0, |old| new / old));
            self.operator.apply(&self.moduli, &self.direction, self.hierarchy.idle_mut());
            let curvature = dot(&self.direction, self.hierarchy.idle());
            if new > 0.0 && curvature > 0.0 {
                square = self.advance(new / curvature, displacement);
                old = Some(new);
            } else if self.hierarchy.lower_damping() {
                // The V-cycle was not positive definite: start over from here, with more careful smoothing.
                old = None;
            } else {
                break;
            }
        }
        (iterations, square)
    }

    /// residual = f − K u on the free degrees of freedom, 0 on the others, where f was; returns ‖f‖ over the
    /// free ones.
    fn start(&mut self, displacement: &[f64]) -> f64 {
        self.operator.apply(&self.moduli, displacement, self.hierarchy.idle_mut());
        let n = self.mesh.nodes();
        let (mask, product) = (&self.supports.mask, self.hierarchy.idle());
        let mut square = 0.0;
        for (d, residual) in split_mut(&mut self.residual, n).into_iter().enumerate() {
            square += ordered_sum(
                residual
                    .par_chunks_mut(BLOCK)
                    .zip(split(product, n)[d].par_chunks(BLOCK))
                    .zip(mask.par_chunks(BLOCK))
                    .map(|((residual, product), mask)| {
                        let mut sum = 0.0;
                        for ((residual, product), mask) in residual.iter_mut().zip(product).zip(mask) {
                            let (load, free) = (*residual, mask >> d & 1 == 0);
                            *residual = if free { load - product } else { 0.0 };
                            sum += if free { load * load } else { 0.0 };
                        }
                        sum
                    }),
            );
        }
        square.sqrt()
    }

    /// One V-cycle on the residual over its norm.
    fn precondition(&mut self, norm: f64) {
        let inverse = 1.0 / norm;
        self.hierarchy.right_hand_side().par_chunks_mut(BLOCK).zip(self.residual.par_chunks(BLOCK)).for_each(
            |(out, residual)| {
                for (out, residual) in out.iter_mut().zip(residual) {
                    *out = (residual * inverse) as f32;
                }
            },
        );
        self.hierarchy.v_cycle();
    }

    /// rᵀz, z being `norm` times the V-cycle's result.
    fn along_residual(&self, norm: f64) -> f64 {
        norm * ordered_sum(
            self.residual.par_chunks(BLOCK).zip(self.hierarchy.solution().par_chunks(BLOCK)).map(|(r, z)| {
                let mut sums = [0.0; 8];
                let ((r, r_tail), (z, z_tail)) = (r.as_chunks::<8>(), z.as_chunks::<8>());
                for (r, z) in r.iter().zip(z) {
                    for i in 0..8 {
                        sums[i] += r[i] * f64::from(z[i]);
                    }
                }
                for (i, (r, z)) in r_tail.iter().zip(z_tail).enumerate() {
                    sums[i] += r * f64::from(*z);
                }
                sums.iter().sum()
            }),
        )
    }

    /// direction = z + β direction.
    fn turn(&mut self, norm: f64, beta: f64) {
        self.direction.par_chunks_mut(BLOCK).zip(self.hierarchy.solution().par_chunks(BLOCK)).for_each(
            |(p, z)| {
                if beta == 0.0 {
                    // What is left of the last solve may not be finite.
                    p.fill(0.0);
                }
                for (p, z) in p.iter_mut().zip(z) {
                    *p = norm * f64::from(*z) + beta * *p;
                }
            },
        );
    }

    /// u += α p and r −= α K p on the free degrees of freedom; returns ‖r‖².
    fn advance(&mut self, alpha: f64, displacement: &mut [f64]) -> f64 {
        let n = self.mesh.nodes();
        let (mask, product) = (&self.supports.mask, self.hierarchy.idle());
        let mut square = 0.0;
        let parts = split_mut(&mut self.residual, n).into_iter().zip(split_mut(displacement, n));
        for (d, (residual, displacement)) in parts.enumerate() {
            square += ordered_sum(
                residual
                    .par_chunks_mut(BLOCK)
                    .zip(displacement.par_chunks_mut(BLOCK))
                    .zip(split(&self.direction, n)[d].par_chunks(BLOCK))
                    .zip(split(product, n)[d].par_chunks(BLOCK))
                    .zip(mask.par_chunks(BLOCK))
                    .map(|((((residual, u), p), q), mask)| {
                        for ((((residual, u), p), q), mask) in
                            residual.iter_mut().zip(u).zip(p).zip(q).zip(mask)
                        {
                            *u += alpha * p;
                            *residual -= if mask >> d & 1 == 1 { 0.0 } else { alpha * q };
                        }
                        block_dot(residual, residual)
                    }),
            );
        }
        square
    }
}
