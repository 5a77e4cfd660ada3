//! Conjugate gradients, whose scalars stay on the device, and the refinement around them.

use std::time::Instant;

use super::levels::{Columns, Levels, slab_of};
use crate::engine::gpu::buffers::Buffer;
use crate::engine::gpu::counts;
use crate::engine::gpu::kernels::{
    Advance, BrickProduct, Correct, Dot, ResidualExact, Scalars, Turn, bindings,
};
use crate::engine::gpu::recording::Recorder;
use crate::engine::gpu::shared::{Make, SolveState, Sum};
use crate::error::{EngineError, FemError, Result};
use crate::fem::{Accuracy, SolveReport};

/// What one run of conjugate gradients in single precision reduces the residual by at most: what it is told
/// of the residual drifts from the true one by rounding.
const INNER_REDUCTION: f64 = 1e-4;
/// Iterations that are recorded beyond those that the solve before took, and at a time after that.
const AHEAD: usize = 3;
/// The most corrections of one solve. Each reduces the residual a hundredfold or more, or is the last.
const MOST_CORRECTIONS: usize = 20;

/// The vectors of a solve besides the displacement and those of the cycle.
#[derive(Debug)]
pub(super) struct Vectors {
    direction: Buffer,
    correction: Buffer,
    staging: Buffer,
    slab: u32,
    slabs: usize,
}

/// One right-hand side and its displacement.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) load: Buffer,
    /// The norm of the load over the free degrees of freedom.
    pub(super) norm: f64,
    /// The high words, then the low ones.
    pub(super) displacement: Buffer,
    /// The iterations that the last solve took.
    pub(super) expected: usize,
}

impl Vectors {
    pub(super) fn new(recorder: &mut Recorder, dofs: usize) -> Result<Self> {
        let slab = slab_of(dofs);
        Ok(Self {
            direction: recorder.buffer("fem.direction", 4 * dofs as u64)?,
            correction: recorder.buffer("fem.correction", 4 * dofs as u64)?,
            staging: recorder.staging(size_of::<SolveState>() as u64)?,
            slab: slab as u32,
            slabs: dofs.div_ceil(slab),
        })
    }

    pub(super) fn buffers(&self) -> [&Buffer; 2] {
        [&self.direction, &self.correction]
    }

    pub(super) fn slab(&self) -> u32 {
        self.slab
    }

    pub(super) fn slabs(&self) -> usize {
        self.slabs
    }
}

/// Solves K u = f from the displacement of `case`.
///
/// # Errors
/// Those of the device, and [`FemError::Residual`] with what was reached.
pub(super) fn solve(
    recorder: &mut Recorder,
    levels: &mut Levels,
    vectors: &Vectors,
    case: &mut Case,
    accuracy: Accuracy,
    max_iterations: usize,
) -> Result<SolveReport> {
    let began = Instant::now();
    if case.norm == 0.0 {
        recorder.clear(&case.displacement);
        return Ok(SolveReport { iterations: 0, residual: 0.0, time: began.elapsed() });
    }
    let mut iterations = 0;
    let mut most = max_iterations;
    let mut ahead = case.expected + AHEAD;
    let mut last = f32::INFINITY;
    let mut residual = f64::INFINITY;
    for correction in 0..MOST_CORRECTIONS {
        record_start(recorder, levels, vectors, case, accuracy, correction == 0)?;
        let mut recorded = 0;
        let state = loop {
            let more = ahead.min(most - iterations - recorded);
            for _ in 0..more {
                record_iteration(recorder, levels, vectors)?;
            }
            recorded += more;
            ahead = AHEAD;
            let state = read_state(recorder, levels, vectors)?;
            if state.done != 0 || iterations + recorded >= most {
                break state;
            }
        };
        // What was formed in double-word counts, not what the iterations tell.
        residual = f64::from(state.start_square).sqrt() / case.norm;
        let is_over = state.iterations == 0 && state.broken == 0;
        // What no longer shrinks has met the precision that the device has.
        let has_stalled = correction > 0 && state.start_square > 0.25 * last;
        if is_over || has_stalled {
            break;
        }
        // Iterations that broke off may have left any residual.
        last = if state.broken == 0 { state.start_square } else { f32::INFINITY };
        iterations += state.iterations as usize;
        record_correct(recorder, levels, vectors, case)?;
        if state.broken != 0 && !levels.lower_damping() {
            // The residual is formed once more, and that is all.
            most = iterations;
        }
    }
    case.expected = iterations;
    if residual <= accuracy.residual {
        Ok(SolveReport { iterations, residual, time: began.elapsed() })
    } else {
        Err(FemError::Residual { found: residual, allowed: accuracy.residual }.into())
    }
}

/// The residual of a double-word displacement, in the given mesh's right-hand side, and its square's shares.
pub(super) fn record_residual(
    recorder: &mut Recorder,
    levels: &Levels,
    [displacement, load]: [&Buffer; 2],
) -> Result<()> {
    let mesh = levels.levels[0].mesh;
    let [nx, ny, nz] = levels.levels[0].size();
    let Columns { layers, groups } = Columns::of::<ResidualExact>(mesh);
    recorder.dispatch(
        ResidualExact { nx, ny, nz, layers },
        &bindings::ResidualExact {
            blocks: &levels.blocks,
            moduli: &levels.moduli,
            plan: levels.plan(),
            displacement,
            load,
            residual: &levels.levels[0].b,
            partials: &levels.partials,
        },
        groups,
    )
}

/// The exact residual, and what is decided from it.
pub(super) fn record_start(
    recorder: &mut Recorder,
    levels: &Levels,
    vectors: &Vectors,
    case: &Case,
    accuracy: Accuracy,
    is_first: bool,
) -> Result<()> {
    record_residual(recorder, levels, [&case.displacement, &case.load])?;
    if is_first {
        // What a solve before has left there may not be finite.
        recorder.clear(&vectors.correction);
    }
    let square = |share: f64| (share.min(1e15) * case.norm).powi(2) as f32;
    let params = Scalars {
        count: Columns::of::<ResidualExact>(levels.levels[0].mesh).count() as u32,
        sum: Sum::Start.into(),
        is_first: u32::from(is_first),
        limit: square(accuracy.residual),
        floor: square(Accuracy::FLOOR),
        reduction: accuracy.reduction.min(1e15).powi(2) as f32,
        inner_reduction: INNER_REDUCTION.powi(2) as f32,
    };
    record_scalars(recorder, levels, params)
}

fn record_scalars(recorder: &mut Recorder, levels: &Levels, params: Scalars) -> Result<()> {
    recorder.dispatch(
        params,
        &bindings::Scalars { partials: &levels.partials, state: &levels.state },
        counts::ONE,
    )
}

/// One iteration of conjugate gradients, which does nothing once the state says that the solve is done.
pub(super) fn record_iteration(recorder: &mut Recorder, levels: &Levels, vectors: &Vectors) -> Result<()> {
    let given = &levels.levels[0];
    let (len, slab) = (given.mesh.dofs() as u32, vectors.slab);
    let slabs = counts::each(vectors.slabs);
    let sum =
        |what: Sum, count: usize| Scalars { count: count as u32, sum: what.into(), ..Scalars::default() };
    levels.cycle(recorder)?;
    recorder.dispatch(
        Dot { len, slab },
        &bindings::Dot { state: &levels.state, left: &given.b, right: &given.y, partials: &levels.partials },
        slabs,
    )?;
    record_scalars(recorder, levels, sum(Sum::Product, vectors.slabs))?;
    recorder.dispatch(
        Turn { len, slab },
        &bindings::Turn { state: &levels.state, preconditioned: &given.y, direction: &vectors.direction },
        slabs,
    )?;
    levels.make(recorder, 0, Make::Product, [&vectors.direction, &given.b, &given.residual])?;
    record_scalars(recorder, levels, sum(Sum::Curvature, Columns::of::<BrickProduct>(given.mesh).count()))?;
    recorder.dispatch(
        Advance { len, slab },
        &bindings::Advance {
            state: &levels.state,
            direction: &vectors.direction,
            product: &given.residual,
            correction: &vectors.correction,
            residual: &given.b,
            partials: &levels.partials,
        },
        slabs,
    )?;
    record_scalars(recorder, levels, sum(Sum::Square, vectors.slabs))
}

/// Adds the correction to the displacement.
pub(super) fn record_correct(
    recorder: &mut Recorder,
    levels: &Levels,
    vectors: &Vectors,
    case: &Case,
) -> Result<()> {
    recorder.dispatch(
        Correct { len: levels.levels[0].mesh.dofs() as u32, slab: vectors.slab },
        &bindings::Correct { displacement: &case.displacement, correction: &vectors.correction },
        counts::each(vectors.slabs),
    )
}

fn read_state(recorder: &mut Recorder, levels: &Levels, vectors: &Vectors) -> Result<SolveState> {
    let bytes = size_of::<SolveState>() as u64;
    recorder.copy(&levels.state, 0, &vectors.staging, 0, bytes);
    let data = recorder.read(&vectors.staging, bytes)?;
    bytemuck::pod_collect_to_vec(&data).pop().ok_or_else(|| {
        EngineError::Device { what: "a solve's state".into(), reason: "nothing came back".into() }.into()
    })
}
