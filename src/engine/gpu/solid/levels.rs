//! The meshes of multigrid on the device: their buffers, their operators, and one cycle.

use crate::engine::gpu::buffers::Buffer;
use crate::engine::gpu::counts;
use crate::engine::gpu::kernels::{
    BrickProduct, ChildProduct, CoarseDiagonal, CoarsestAssemble, CoarsestFactor, CoarsestSolve, Galerkin,
    JacobiStart, NodeInverse, Params, Prolong, ResidualExact, Restrict, StoredProduct, bindings,
};
use crate::engine::gpu::recording::Recorder;
use crate::engine::gpu::shared::{COUPLING_VECTORS, MOST_COARSEST, Make, NO_ROW, SolveState};
use crate::error::{Error, Result};
use crate::fem::layout::{
    Damping, LevelLayout, TRIANGLE, child_matrices, coupling, is_visited_twice, layouts,
};
use crate::fem::{BrickMesh, Element, Supports};

/// One mesh and its vectors.
#[derive(Debug)]
pub(super) struct Level {
    pub(super) mesh: BrickMesh,
    /// The mask of each node, the places of level 1's elements among the singles, how the mesh lies on the
    /// next coarser one, and the list of level 1's singles.
    plan: Buffer,
    /// Where each axis' weights and the next mesh's list of singles begin in the plan.
    weights: [u32; 3],
    list_at: u32,
    /// Matrices: those of the singles on level 1, all from level 2 on.
    source: Buffer,
    entries: u32,
    inverse: Buffer,
    /// The right-hand side; on the given mesh it is the residual of conjugate gradients.
    pub(super) b: Buffer,
    pub(super) residual: Buffer,
    x: Buffer,
    /// The result of a cycle.
    pub(super) y: Buffer,
}

/// All meshes, the given one first.
#[derive(Debug)]
pub(super) struct Levels {
    pub(super) levels: Vec<Level>,
    /// The stiffness as blocks, the entries' low words after the entries.
    pub(super) blocks: Buffer,
    /// What couples the modes of level 1's elements.
    coupling: Buffer,
    /// The stiffness by corners, then the matrices of eight children.
    table: Buffer,
    pub(super) moduli: Buffer,
    pub(super) state: Buffer,
    pub(super) partials: Buffer,
    matrix: Buffer,
    factor: Buffer,
    inverse_sides: [f32; 3],
    damping: Damping,
}

/// The workgroups with one thread an item, as they are launched.
pub(super) fn threads<P: Params>(items: usize) -> [u32; 3] {
    counts::values(items.div_ceil(P::THREADS as usize))
}

/// The items of a slab, which a workgroup takes, of a vector of so many.
pub(super) fn slab_of(items: usize) -> usize {
    items.div_ceil(MOST_SLABS).max(1024).next_multiple_of(64)
}

/// Threads along x of a workgroup that goes through columns of elements.
const SIDE: u32 = 16;
/// The planes of nodes that such a workgroup goes through, most first: each computes one layer of elements
/// more, so that many are good, as long as there are workgroups for a whole device.
const LAYERS: [u32; 3] = [16, 8, 4];
/// The most slabs that vectors are cut into.
pub(super) const MOST_SLABS: usize = 2048;
/// Workgroups that keep a large device busy.
const ENOUGH_GROUPS: u32 = 600;

/// How a mesh is shared between workgroups that go through its columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns {
    /// The planes of nodes of each.
    pub(super) layers: u32,
    pub(super) groups: [u32; 3],
}

impl Columns {
    /// Those of kernel `P`. A workgroup's first column along x and along y is its neighbour's.
    pub(super) fn of<P: Params>(mesh: BrickMesh) -> Self {
        let [x, y, z] = mesh.size().map(|n| n as u32 + 1);
        let [x, y] = [x.div_ceil(SIDE - 1), y.div_ceil(P::THREADS / SIDE - 1)];
        let groups = |layers: u32| [x, y, z.div_ceil(layers)];
        let is_enough = |layers: &u32| groups(*layers).iter().product::<u32>() >= ENOUGH_GROUPS;
        let layers = LAYERS.into_iter().find(is_enough).unwrap_or(LAYERS[LAYERS.len() - 1]);
        Self { layers, groups: groups(layers) }
    }

    /// The number of workgroups, each of which leaves one partial sum.
    pub(super) fn count(self) -> usize {
        self.groups.iter().map(|n| *n as usize).product()
    }
}

/// The words of a plan, and where its parts begin.
fn plan_of(levels: &[LevelLayout], l: usize) -> (Vec<u32>, [u32; 3], u32) {
    let level = &levels[l];
    let mut plan: Vec<u32> = level.mask.iter().map(|mask| u32::from(*mask)).collect();
    if l == 1 {
        let begin = plan.len();
        plan.resize(begin + level.mesh.elements(), NO_ROW);
        for (place, element) in level.singles.iter().enumerate() {
            plan[begin + *element as usize] = place as u32;
        }
    }
    let mut weights = [0; 3];
    if let Some(lower) = &level.lower {
        for (begin, nodes) in weights.iter_mut().zip(lower) {
            *begin = plan.len() as u32;
            plan.extend(nodes.iter().flat_map(|(node, up)| [*node, up.to_bits()]));
        }
    }
    let list_at = plan.len() as u32;
    if l == 0 {
        plan.extend(&levels[1].singles);
    }
    (plan, weights, list_at)
}

/// The matrices that a level stores.
fn stored(levels: &[LevelLayout], l: usize) -> usize {
    match l {
        0 => 0,
        1 => levels[1].singles.len(),
        _ => levels[l].mesh.elements(),
    }
}

impl Levels {
    /// The buffers of all levels.
    ///
    /// # Errors
    /// Device and memory errors; a mesh of one element, which has no coarser one.
    pub(super) fn new(
        recorder: &mut Recorder,
        mesh: BrickMesh,
        element: &Element,
        supports: &Supports,
    ) -> Result<Self> {
        let layouts = layouts(mesh, &supports.mask, MOST_COARSEST as usize);
        if layouts.len() < 2 {
            return Err(Error::invalid("the number of elements", 1, "at least 2 for the device"));
        }
        let last = layouts.len() - 1;
        let mut levels = Vec::with_capacity(layouts.len());
        for (l, layout) in layouts.iter().enumerate() {
            let (nodes, dofs) = (layout.mesh.nodes() as u64, layout.mesh.dofs() as u64);
            let (words, weights, list_at) = plan_of(&layouts, l);
            let plan = recorder.buffer("fem.plan", 4 * words.len() as u64)?;
            recorder.upload(&plan, &words)?;
            let entries = stored(&layouts, l);
            let inner = if l < last { 4 * dofs } else { 0 };
            levels.push(Level {
                mesh: layout.mesh,
                plan,
                weights,
                list_at,
                source: recorder.buffer("fem.matrices", 4 * (TRIANGLE * entries) as u64)?,
                entries: entries as u32,
                inverse: recorder.buffer("fem.inverse", if l == 0 { 4 * nodes } else { inner })?,
                b: recorder.buffer("fem.right_side", 4 * dofs)?,
                residual: recorder.buffer("fem.residual", inner)?,
                x: recorder.buffer("fem.x", inner)?,
                y: recorder.buffer("fem.y", 4 * dofs)?,
            });
        }
        let blocks: Vec<[f32; 4]> = blocks(element);
        let table: Vec<f32> = std::iter::once(element.stiffness())
            .chain(&child_matrices(element))
            .flat_map(|matrix| matrix.as_flattened())
            .map(|entry| *entry as f32)
            .collect();
        let coarsest = 4 * (levels[last].mesh.dofs() as u64).pow(2);
        let partials = Columns::of::<BrickProduct>(mesh)
            .count()
            .max(Columns::of::<ResidualExact>(mesh).count())
            .max(MOST_SLABS);
        let this = Self {
            blocks: recorder.constants("fem.blocks", &blocks)?,
            coupling: recorder.constants("fem.coupling", &coupling_vectors(element))?,
            table: recorder.buffer("fem.table", 4 * table.len() as u64)?,
            moduli: recorder.buffer("fem.moduli", 4 * mesh.elements() as u64)?,
            state: recorder.buffer("fem.state", size_of::<SolveState>() as u64)?,
            partials: recorder.buffer("fem.partials", 8 * partials as u64)?,
            matrix: recorder.buffer("fem.coarsest", coarsest)?,
            factor: recorder.buffer("fem.factor", coarsest)?,
            inverse_sides: [0, 1, 2].map(|d| (1.0 / element.stiffness()[d][d]) as f32),
            damping: Damping::default(),
            levels,
        };
        recorder.upload(&this.table, &table)?;
        Ok(this)
    }

    /// The bytes that the levels of a mesh take on the device, known beforehand but for the matrices near
    /// supports, and those of the largest level's matrices.
    pub(super) fn bytes_of(mesh: BrickMesh) -> (u64, u64) {
        let layouts = layouts(mesh, &vec![0; mesh.nodes()], MOST_COARSEST as usize);
        let of = |(l, layout): (usize, &LevelLayout)| {
            let (nodes, dofs) = (layout.mesh.nodes(), layout.mesh.dofs());
            let plan = nodes + if l == 1 { layout.mesh.elements() } else { 0 };
            let inverse = if l == 0 { nodes } else { dofs };
            4 * (plan + inverse + 4 * dofs + TRIANGLE * stored(&layouts, l)) as u64
        };
        let matrices = (1..layouts.len()).map(|l| 4 * (TRIANGLE * stored(&layouts, l)) as u64);
        let all = layouts.iter().enumerate().map(of).sum::<u64>() + 4 * mesh.elements() as u64;
        (all, matrices.max().unwrap_or_default())
    }

    /// All buffers, for their bind groups to be forgotten.
    pub(super) fn buffers(&self) -> impl Iterator<Item = &Buffer> {
        let own = [
            &self.blocks,
            &self.coupling,
            &self.table,
            &self.moduli,
            &self.state,
            &self.partials,
            &self.matrix,
            &self.factor,
        ];
        own.into_iter().chain(self.levels.iter().flat_map(Level::buffers))
    }

    /// Records making the coarse operators and their diagonals of the moduli that have been uploaded, and the
    /// factor of the coarsest.
    pub(super) fn set_up(&self, recorder: &mut Recorder) -> Result<()> {
        let given = &self.levels[0];
        let [nx, ny, nz] = given.size();
        recorder.dispatch(
            NodeInverse { nx, ny, nz },
            &bindings::NodeInverse { moduli: &self.moduli, inverse: &given.inverse },
            threads::<NodeInverse>(given.mesh.nodes()),
        )?;
        let last = self.levels.len() - 1;
        for l in 1..=last {
            self.make_matrices(recorder, l)?;
            if l < last {
                let level = &self.levels[l];
                let [nx, ny, nz] = level.size();
                let [fine_x, fine_y, _] = given.size();
                let by_children = u32::from(l == 1);
                recorder.dispatch(
                    CoarseDiagonal { nx, ny, nz, by_children, entries: level.entries, fine_x, fine_y },
                    &bindings::CoarseDiagonal {
                        table: &self.table,
                        moduli: &self.moduli,
                        plan: &level.plan,
                        source: &level.source,
                        inverse: &level.inverse,
                    },
                    threads::<CoarseDiagonal>(level.mesh.nodes()),
                )?;
            }
        }
        let level = &self.levels[last];
        let n = level.mesh.dofs();
        let [nx, ny, nz] = level.size();
        let [fine_x, fine_y, _] = given.size();
        let by_children = u32::from(last == 1);
        recorder.dispatch(
            CoarsestAssemble { nx, ny, nz, by_children, entries: level.entries, fine_x, fine_y },
            &bindings::CoarsestAssemble {
                table: &self.table,
                moduli: &self.moduli,
                plan: &level.plan,
                source: &level.source,
                matrix: &self.matrix,
            },
            threads::<CoarsestAssemble>(n * n),
        )?;
        recorder.dispatch(
            CoarsestFactor { n: n as u32 },
            &bindings::CoarsestFactor { matrix: &self.matrix, inverse: &self.factor },
            counts::ONE,
        )
    }

    /// Records making the matrices that level `l` stores of the elements of the level before.
    fn make_matrices(&self, recorder: &mut Recorder, l: usize) -> Result<()> {
        let (above, level) = (&self.levels[l - 1], &self.levels[l]);
        let [nx, ny, nz] = above.size();
        let [coarse_x, coarse_y, coarse_z] = level.size();
        let [weights_x, weights_y, weights_z] = above.weights;
        let [fine_x, fine_y, _] = self.levels[0].size();
        recorder.dispatch(
            Galerkin {
                nx,
                ny,
                nz,
                coarse_x,
                coarse_y,
                coarse_z,
                weights_x,
                weights_y,
                weights_z,
                by_children: u32::from(l == 2),
                entries: above.entries,
                fine_x,
                fine_y,
                from_given: u32::from(l == 1),
                listed: u32::from(l == 1),
                list_at: above.list_at,
                count: level.entries,
            },
            &bindings::Galerkin {
                table: &self.table,
                moduli: &self.moduli,
                plan: &above.plan,
                source: &above.source,
                matrices: &level.source,
            },
            counts::values(level.entries as usize),
        )
    }

    /// Records what is made of the product of level `l`'s operator with `u`, for the right-hand side `b`.
    pub(super) fn make(
        &self,
        recorder: &mut Recorder,
        l: usize,
        what: Make,
        [u, b, out]: [&Buffer; 3],
    ) -> Result<()> {
        let level = &self.levels[l];
        let [nx, ny, nz] = level.size();
        let (mode, damping) = (what.into(), self.damping.factor());
        match l {
            0 => {
                let [inverse_x, inverse_y, inverse_z] = self.inverse_sides;
                let Columns { layers, groups } = Columns::of::<BrickProduct>(level.mesh);
                recorder.dispatch(
                    BrickProduct { nx, ny, nz, layers, mode, damping, inverse_x, inverse_y, inverse_z },
                    &bindings::BrickProduct {
                        state: &self.state,
                        blocks: &self.blocks,
                        moduli: &self.moduli,
                        plan: &level.plan,
                        displacement: u,
                        right_side: b,
                        result: out,
                        partials: &self.partials,
                    },
                    groups,
                )
            }
            1 => {
                let [fine_x, fine_y, _] = self.levels[0].size();
                let Columns { layers, groups } = Columns::of::<ChildProduct>(level.mesh);
                recorder.dispatch(
                    ChildProduct {
                        nx,
                        ny,
                        nz,
                        layers,
                        mode,
                        damping,
                        entries: level.entries,
                        fine_x,
                        fine_y,
                    },
                    &bindings::ChildProduct {
                        state: &self.state,
                        coupling: &self.coupling,
                        moduli: &self.moduli,
                        plan: &level.plan,
                        source: &level.source,
                        displacement: u,
                        right_side: b,
                        inverse: &level.inverse,
                        result: out,
                    },
                    groups,
                )
            }
            _ => recorder.dispatch(
                StoredProduct { nx, ny, nz, mode, damping, entries: level.entries },
                &bindings::StoredProduct {
                    state: &self.state,
                    plan: &level.plan,
                    source: &level.source,
                    displacement: u,
                    right_side: b,
                    inverse: &level.inverse,
                    result: out,
                },
                // Sixteen threads a node.
                threads::<StoredProduct>(16 * level.mesh.nodes()),
            ),
        }
    }

    /// Records one cycle from zero, a V-cycle on the first levels and a W-cycle on the others: an approximate
    /// solution y of K y = b, a symmetric operator on b.
    pub(super) fn cycle(&self, recorder: &mut Recorder) -> Result<()> {
        self.visit(recorder, 0, false)
    }

    /// Records a visit of level `l`, which starts from zero or goes on from y.
    fn visit(&self, recorder: &mut Recorder, l: usize, is_again: bool) -> Result<()> {
        let last = self.levels.len() - 1;
        let level = &self.levels[l];
        if l == last {
            return recorder.dispatch(
                CoarsestSolve { n: level.mesh.dofs() as u32 },
                &bindings::CoarsestSolve {
                    state: &self.state,
                    inverse: &self.factor,
                    right_side: &level.b,
                    result: &level.y,
                },
                counts::ONE,
            );
        }
        if is_again {
            self.make(recorder, l, Make::Smooth, [&level.y, &level.b, &level.x])?;
        } else {
            self.smooth_from_zero(recorder, l)?;
        }
        self.go_down(recorder, l)?;
        self.visit(recorder, l + 1, false)?;
        if is_visited_twice(l + 1, last) {
            self.visit(recorder, l + 1, true)?;
        }
        self.go_up(recorder, l)
    }

    /// The first sweep of a visit that starts from zero.
    fn smooth_from_zero(&self, recorder: &mut Recorder, l: usize) -> Result<()> {
        let level = &self.levels[l];
        let per_node = l == 0;
        let factor = if per_node { self.inverse_sides } else { [1.0; 3] }.map(|f| self.damping.factor() * f);
        let nodes = level.mesh.nodes();
        recorder.dispatch(
            JacobiStart {
                nodes: nodes as u32,
                per_node: u32::from(per_node),
                factor_x: factor[0],
                factor_y: factor[1],
                factor_z: factor[2],
            },
            &bindings::JacobiStart {
                state: &self.state,
                inverse: &level.inverse,
                right_side: &level.b,
                result: &level.x,
            },
            threads::<JacobiStart>(nodes),
        )
    }

    /// The residual's way to the next coarser mesh.
    fn go_down(&self, recorder: &mut Recorder, l: usize) -> Result<()> {
        let (level, coarser) = (&self.levels[l], &self.levels[l + 1]);
        self.make(recorder, l, Make::Residual, [&level.x, &level.b, &level.residual])?;
        let [nx, ny, nz] = level.size();
        let [coarse_x, coarse_y, coarse_z] = coarser.size();
        let [weights_x, weights_y, weights_z] = level.weights;
        recorder.dispatch(
            Restrict { nx, ny, nz, coarse_x, coarse_y, coarse_z, weights_x, weights_y, weights_z },
            &bindings::Restrict {
                state: &self.state,
                plan: &level.plan,
                coarse_plan: &coarser.plan,
                residual: &level.residual,
                right_side: &coarser.b,
            },
            threads::<Restrict>(coarser.mesh.dofs()),
        )
    }

    /// The correction's way from the next coarser mesh, and the last sweep.
    fn go_up(&self, recorder: &mut Recorder, l: usize) -> Result<()> {
        let (level, coarser) = (&self.levels[l], &self.levels[l + 1]);
        let [nx, ny, nz] = level.size();
        let [coarse_x, coarse_y, coarse_z] = coarser.size();
        let [weights_x, weights_y, weights_z] = level.weights;
        recorder.dispatch(
            Prolong { nx, ny, nz, coarse_x, coarse_y, coarse_z, weights_x, weights_y, weights_z },
            &bindings::Prolong {
                state: &self.state,
                plan: &level.plan,
                correction: &coarser.y,
                result: &level.x,
            },
            threads::<Prolong>(level.mesh.nodes()),
        )?;
        self.make(recorder, l, Make::Smooth, [&level.x, &level.b, &level.y])
    }

    /// The given mesh's plan.
    pub(super) fn plan(&self) -> &Buffer {
        &self.levels[0].plan
    }

    /// Lowers the damping for all later cycles, when one has not been positive definite; returns whether it
    /// could.
    pub(super) fn lower_damping(&mut self) -> bool {
        self.damping.lower()
    }

    pub(super) fn damping(&self) -> Damping {
        self.damping
    }

    pub(super) fn set_damping(&mut self, damping: Damping) {
        self.damping = damping;
    }
}

impl Level {
    /// The number of elements along each axis.
    pub(super) fn size(&self) -> [u32; 3] {
        self.mesh.size().map(|n| n as u32)
    }

    fn buffers(&self) -> [&Buffer; 7] {
        let Self { plan, source, inverse, b, residual, x, y, .. } = self;
        [plan, source, inverse, b, residual, x, y]
    }
}

/// The blocks B_s: entry (a, b) of s = 4 half + i is component i of vector 9 half + 3 a + b; the low words
/// follow after eighteen vectors.
fn blocks(element: &Element) -> Vec<[f32; 4]> {
    let entry = |at: usize, i: usize| element.blocks()[4 * (at / 9) + i][at % 9 / 3][at % 3];
    let high = (0..18).map(|at| std::array::from_fn(|i| entry(at, i) as f32));
    let low =
        (0..18).map(|at| std::array::from_fn(|i| (entry(at, i) - f64::from(entry(at, i) as f32)) as f32));
    high.chain(low).collect()
}

/// The coupling: entry (row, column) of representations s = 4 half + i and s xor k is component i of vector
/// 18 k + 9 half + 3 row + column.
fn coupling_vectors(element: &Element) -> Vec<[f32; 4]> {
    let coupling = coupling(element);
    let vector = |at: usize| {
        let (k, half, row, column) = (at / 18, at / 9 % 2, at / 3 % 3, at % 3);
        std::array::from_fn(|i| {
            let s = 4 * half + i;
            coupling[3 * s + row][3 * (s ^ k) + column] as f32
        })
    };
    (0..COUPLING_VECTORS as usize).map(vector).collect()
}
