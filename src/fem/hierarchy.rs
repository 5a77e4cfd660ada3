//! The meshes of multigrid, their operators, and one cycle in f32.

#![expect(clippy::needless_range_loop, reason = "indices are those of the formula")]

use rayon::prelude::*;

use super::coarse::{ByChildren, Children, Stored, TRIANGLE, combine, held, narrow, widen, without};
use super::coarsening::Coarsening;
use super::direct::Direct;
use super::element::{Element, Matrix, to_corners, to_modes};
use super::lanes::WIDTH;
use super::mesh::BrickMesh;
use super::operator::Operator;
use super::rows::{Single, product, scratch_len};
use super::transfer::{prolong, restrict};
use super::vectors::BLOCK;
use crate::error::Result;

/// The damping ω of Jacobi's method, which is lowered when it turns out to be too large. A cycle is positive
/// definite where ω D⁻¹K has no eigenvalue above 2. The largest eigenvalue of D⁻¹K is 3.1 in a solid and up
/// to 5.4 where single elements are surrounded by void.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Damping(f32);

impl Default for Damping {
    fn default() -> Self {
        Self(0.6)
    }
}

impl Damping {
    /// The least damping, for eigenvalues up to 8.
    const LEAST: f32 = 0.25;

    /// Returns the factor ω that multiplies each step of Jacobi's method.
    pub(crate) fn factor(self) -> f32 {
        self.0
    }

    /// The damping by this factor, which another one has had; none for a factor out of its range.
    pub(crate) fn of(factor: f32) -> Option<Self> {
        (Self::LEAST..=Self::default().0).contains(&factor).then_some(Self(factor))
    }

    /// Lowers the damping, for all later cycles; returns whether it could.
    pub(crate) fn lower(&mut self) -> bool {
        let can = self.0 > Self::LEAST;
        self.0 = (0.75 * self.0).max(Self::LEAST);
        can
    }
}

/// The largest number of degrees of freedom that is solved directly, on small meshes and on large ones, and
/// the share of the given mesh's degrees of freedom in between: a factorisation that costs no more than a
/// sweep on the given mesh. Coarse meshes do not resolve thin members, so that each level less pays.
const COARSEST: [usize; 2] = [2500, 8000];
const COARSEST_SHARE: usize = 200;

/// The first level that a cycle visits twice each time, a W-cycle from there on. One visit leaves too much of
/// what coarse meshes have to correct where members are thin; the second visit costs little, as those meshes
/// are small. It saves a third of the iterations at a million elements.
const VISITED_TWICE: usize = 2;

/// The shift of the coarsest matrix's diagonal, relative to it: what f32 leaves uncertain.
const SHIFT: f64 = 1e-7;

/// The bytes of an element whose matrix is stored by itself.
const SINGLE: usize = 24 * 24 * 4 + size_of::<Single>();

/// One mesh, its operator and its vectors.
#[derive(Debug)]
struct Level {
    mesh: BrickMesh,
    /// One byte a node; bit d is set where direction d is held.
    mask: Vec<u8>,
    operator: LevelOperator,
    inverse: Inverse,
    x: Vec<f32>,
    sides: Sides,
    scratch: Vec<f32>,
    is_visited_twice: bool,
}

/// The right-hand side and the residual of a level, side by side: between two cycles their memory serves as
/// one vector in f64.
#[derive(Debug)]
struct Sides(Vec<f64>);

impl Sides {
    fn new(dofs: usize) -> Self {
        Self(vec![0.0; dofs])
    }

    /// The right-hand side and the residual.
    fn split(&self) -> (&[f32], &[f32]) {
        bytemuck::cast_slice(&self.0).split_at(self.0.len())
    }

    /// The right-hand side and the residual.
    fn split_mut(&mut self) -> (&mut [f32], &mut [f32]) {
        let dofs = self.0.len();
        bytemuck::cast_slice_mut(&mut self.0).split_at_mut(dofs)
    }
}

#[derive(Debug)]
enum LevelOperator {
    Given { operator: Operator<f32>, moduli: Vec<f32> },
    ByChildren(ByChildren),
    Stored(Stored),
}

/// The inverse of the diagonal.
#[derive(Debug)]
enum Inverse {
    /// One over the sum of the moduli around each node; the diagonal is the same in all eight corners of an
    /// element, `scale` is one over its three values.
    Nodes { values: Vec<f32>, scale: [f32; 3] },
    /// One over the diagonal, for each degree of freedom.
    Dofs(Vec<f32>),
}

impl Inverse {
    /// The values for direction d of n nodes, and what they are to be multiplied by.
    fn of(&self, d: usize, n: usize) -> (&[f32], f32) {
        match self {
            Self::Nodes { values, scale } => (values, scale[d]),
            Self::Dofs(values) => (&values[d * n..(d + 1) * n], 1.0),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Nodes { values, .. } | Self::Dofs(values) => values.len(),
        }
    }
}

/// All levels, the given mesh first.
#[derive(Debug)]
pub(super) struct Hierarchy {
    element: Element,
    levels: Vec<Level>,
    coarsenings: Vec<Coarsening>,
    direct: Direct,
    damping: Damping,
}

/// Whether each cycle visits level `l` twice, `last` being solved directly.
pub(crate) fn is_visited_twice(l: usize, last: usize) -> bool {
    (VISITED_TWICE..last).contains(&l)
}

/// The largest number of degrees of freedom that is solved directly below `mesh`.
fn coarsest(mesh: BrickMesh) -> usize {
    (mesh.dofs() / COARSEST_SHARE).clamp(COARSEST[0], COARSEST[1])
}

/// From each mesh to the next coarser one, until the last has at most `coarsest` degrees of freedom.
pub(super) fn coarsenings(mesh: BrickMesh, coarsest: usize) -> Vec<Coarsening> {
    let (mut last, mut step) = (mesh, 1);
    let mut coarsenings = Vec::new();
    while last.dofs() > coarsest && last.size != [1; 3] {
        let coarsening = Coarsening::new(last, step, mesh.size);
        last = coarsening.coarse;
        step *= 2;
        coarsenings.push(coarsening);
    }
    coarsenings
}

impl Hierarchy {
    pub(super) fn new(mesh: BrickMesh, element: &Element, mask: &[u8]) -> Result<Self> {
        let coarsenings = coarsenings(mesh, coarsest(mesh));
        let last = coarsenings.len();
        let mut levels: Vec<Level> = Vec::with_capacity(last + 1);
        for l in 0..=last {
            let (mesh, mask) = match levels.last() {
                None => (mesh, mask.to_vec()),
                Some(above) => (coarsenings[l - 1].coarse, coarsenings[l - 1].mask(&above.mask)),
            };
            let (n, dofs) = (mesh.nodes(), mesh.dofs());
            let operator = match l {
                0 => LevelOperator::Given {
                    operator: Operator::new(mesh, element),
                    moduli: vec![0.0; mesh.elements()],
                },
                1 => {
                    let mut operator = ByChildren::new(&mesh, element);
                    let coarsening = &coarsenings[0];
                    let above = &levels[0].mask;
                    let [nx, ny, nz] = mesh.size;
                    for z in 0..nz {
                        for y in 0..ny {
                            for x in 0..nx {
                                let at = [x, y, z];
                                if !coarsening.is_even(at) || coarsening.is_irregular(above, &mask, at) {
                                    let matrix = Box::new([[0.0; 24]; 24]);
                                    operator.singles.push(Single { x, matrix });
                                }
                            }
                            operator.starts[z * ny + y + 1] = operator.singles.len() as u32;
                        }
                    }
                    LevelOperator::ByChildren(operator)
                }
                _ => LevelOperator::Stored(Stored::new(&mesh)),
            };
            let inverse = if l == 0 {
                let scale = [0, 1, 2].map(|d| (1.0 / element.stiffness()[d][d]) as f32);
                Inverse::Nodes { values: vec![0.0; n], scale }
            } else {
                Inverse::Dofs(vec![0.0; if l < last { dofs } else { 0 }])
            };
            levels.push(Level {
                mesh,
                mask,
                operator,
                inverse,
                x: vec![0.0; dofs],
                sides: Sides::new(dofs),
                scratch: Vec::new(),
                is_visited_twice: is_visited_twice(l, last),
            });
        }
        let direct = Direct::new(levels[last].mesh, &levels[last].mask)?;
        Ok(Self { element: element.clone(), levels, coarsenings, direct, damping: Damping::default() })
    }

    /// The bytes that the hierarchy of a mesh keeps, without the direct solver and matrices near supports.
    pub(super) fn bytes_of(mesh: BrickMesh) -> u64 {
        let coarsenings = coarsenings(mesh, coarsest(mesh));
        let meshes: Vec<BrickMesh> = [mesh].into_iter().chain(coarsenings.iter().map(|c| c.coarse)).collect();
        let odd = coarsenings.first().map_or(0, |c| {
            // What is left of the elements without those that have two children along every axis.
            let even = c.fine.size.map(|n| if n > 1 { n / 2 - n % 2 } else { 0 });
            c.coarse.elements() - even.iter().product::<usize>()
        });
        let bytes = |(l, mesh): (usize, &BrickMesh)| {
            let (n, dofs) = (mesh.nodes(), mesh.dofs());
            let chunks = mesh.size[0].div_ceil(WIDTH) * mesh.size[1] * mesh.size[2];
            let operator = match l {
                0 => 4 * (mesh.elements() + n),
                1 => 4 * (chunks * 8 * WIDTH + dofs),
                _ => 4 * (chunks * TRIANGLE * WIDTH + dofs),
            };
            let vectors = 4 * dofs * 3;
            (n + operator + vectors + 4 * scratch_len(mesh)) as u64
        };
        meshes.iter().enumerate().map(bytes).sum::<u64>() + (odd * SINGLE) as u64
    }

    /// The bytes that are kept now.
    pub(super) fn bytes(&self) -> u64 {
        let bytes = |level: &Level| {
            let floats = match &level.operator {
                LevelOperator::Given { moduli, .. } => moduli.len() + scratch_len(&level.mesh),
                LevelOperator::ByChildren(o) => o.moduli.len() + o.singles.len() * SINGLE / 4,
                LevelOperator::Stored(o) => o.entries.len(),
            };
            let vectors = level.x.len() + 2 * level.sides.0.len() + level.scratch.len();
            (level.mask.len() + 4 * (floats + vectors + level.inverse.len())) as u64
        };
        self.levels.iter().map(bytes).sum::<u64>() + self.direct.bytes()
    }

    /// Makes the operators of all levels for these moduli of the given mesh, and factorises the coarsest.
    pub(super) fn set_moduli(&mut self, moduli: &[f64]) -> Result<()> {
        let Self { element, levels, coarsenings, direct, .. } = self;
        if let LevelOperator::Given { moduli: narrow, .. } = &mut levels[0].operator {
            narrow.par_chunks_mut(BLOCK).zip(moduli.par_chunks(BLOCK)).for_each(|(out, moduli)| {
                for (out, modulus) in out.iter_mut().zip(moduli) {
                    *out = *modulus as f32;
                }
            });
        }
        for l in 1..levels.len() {
            let (above, below) = levels.split_at_mut(l);
            below[0].make_operator(&above[l - 1], &coarsenings[l - 1], element);
        }
        let Some((level, finer)) = levels.split_last_mut() else { return Ok(()) };
        let factorize = || match &level.operator {
            LevelOperator::Given { .. } => {
                direct.factorize(0.0, |e| element.stiffness().map(|row| row.map(|k| moduli[e] * k)))
            }
            operator => direct.factorize(SHIFT, |e| {
                let mut matrix = [[0.0; 24]; 24];
                operator.matrix(&level.mesh, e, &mut matrix);
                to_corners(&widen(&matrix))
            }),
        };
        // The factorisation is one task of many megaflops; the others make the inverses meanwhile.
        rayon::join(factorize, || finer.iter_mut().for_each(Level::make_inverse)).0
    }

    /// Where the right-hand side of [`v_cycle`](Self::v_cycle) goes; it must be 0 where the mesh is held.
    pub(super) fn right_hand_side(&mut self) -> &mut [f32] {
        self.levels[0].sides.split_mut().0
    }

    /// Memory of one vector in f64 that is free between two cycles; the next one overwrites it.
    pub(super) fn idle(&self) -> &[f64] {
        &self.levels[0].sides.0
    }

    /// The same memory, to write to.
    pub(super) fn idle_mut(&mut self) -> &mut [f64] {
        &mut self.levels[0].sides.0
    }

    /// The result of [`v_cycle`](Self::v_cycle).
    pub(super) fn solution(&self) -> &[f32] {
        &self.levels[0].x
    }

    /// One cycle from zero, a V-cycle on the first levels and a W-cycle on the others: an approximate
    /// solution of K x = b. It is a symmetric operator on b.
    pub(super) fn v_cycle(&mut self) {
        cycle(&mut self.levels, &self.coarsenings, &mut self.direct, self.damping.factor(), Visit::First);
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

/// Whether a cycle starts from zero or goes on from the solution that it has.
#[derive(Debug, Clone, Copy)]
enum Visit {
    First,
    Again,
}

fn cycle(levels: &mut [Level], coarsenings: &[Coarsening], direct: &mut Direct, damping: f32, visit: Visit) {
    match levels {
        [] => {}
        [coarsest] => direct.solve(coarsest.sides.split().0, &mut coarsest.x),
        [level, rest @ ..] => {
            let Some((coarsening, coarser)) = coarsenings.split_first() else { return };
            match visit {
                Visit::First => level.smooth_from_zero(damping),
                Visit::Again => level.smooth(damping),
            }
            level.make_residual();
            let below = &mut rest[0];
            restrict(coarsening, level.sides.split().1, &below.mask, below.sides.split_mut().0);
            cycle(rest, coarser, direct, damping, Visit::First);
            if rest[0].is_visited_twice {
                cycle(rest, coarser, direct, damping, Visit::Again);
            }
            prolong(coarsening, &rest[0].x, &level.mask, &mut level.x);
            level.smooth(damping);
        }
    }
}

impl LevelOperator {
    /// K̂ of element `e`; not for the given mesh.
    #[inline(always)]
    fn matrix(&self, mesh: &BrickMesh, e: usize, out: &mut [[f32; 24]; 24]) {
        let (row, x) = (e / mesh.size[0], e % mesh.size[0]);
        match self {
            Self::Given { .. } => {}
            Self::ByChildren(operator) => operator.matrix(row, x, out),
            Self::Stored(operator) => operator.matrix(row, x, out),
        }
    }
}

impl Level {
    /// Computes the product residual = K x.
    fn product(&mut self) {
        let Self { mesh, operator, x, sides, scratch, .. } = self;
        let (_, residual) = sides.split_mut();
        match operator {
            LevelOperator::Given { operator, moduli } => operator.apply(moduli, x, residual),
            LevelOperator::ByChildren(operator) => product(mesh, operator, x, residual, scratch),
            LevelOperator::Stored(operator) => product(mesh, operator, x, residual, scratch),
        }
    }

    /// x = ω D⁻¹ b.
    fn smooth_from_zero(&mut self, damping: f32) {
        let n = self.mesh.nodes();
        let (b, _) = self.sides.split();
        for d in 0..3 {
            let (inverse, scale) = self.inverse.of(d, n);
            let factor = damping * scale;
            self.x[d * n..(d + 1) * n]
                .par_chunks_mut(BLOCK)
                .zip(b[d * n..(d + 1) * n].par_chunks(BLOCK))
                .zip(inverse.par_chunks(BLOCK))
                .for_each(|((x, b), inverse)| {
                    for ((x, b), inverse) in x.iter_mut().zip(b).zip(inverse) {
                        *x = factor * inverse * b;
                    }
                });
        }
    }

    /// residual = b − K x, and 0 where the mesh is held.
    fn make_residual(&mut self) {
        self.product();
        let n = self.mesh.nodes();
        let (b, residual) = self.sides.split_mut();
        for d in 0..3 {
            residual[d * n..(d + 1) * n]
                .par_chunks_mut(BLOCK)
                .zip(b[d * n..(d + 1) * n].par_chunks(BLOCK))
                .zip(self.mask.par_chunks(BLOCK))
                .for_each(|((residual, b), mask)| {
                    for ((residual, b), mask) in residual.iter_mut().zip(b).zip(mask) {
                        *residual = if mask >> d & 1 == 1 { 0.0 } else { b - *residual };
                    }
                });
        }
    }

    /// x += ω D⁻¹ (b − K x).
    fn smooth(&mut self, damping: f32) {
        self.product();
        let n = self.mesh.nodes();
        let (b, product) = self.sides.split();
        for d in 0..3 {
            let (inverse, scale) = self.inverse.of(d, n);
            let factor = damping * scale;
            self.x[d * n..(d + 1) * n]
                .par_chunks_mut(BLOCK)
                .zip(b[d * n..(d + 1) * n].par_chunks(BLOCK))
                .zip(product[d * n..(d + 1) * n].par_chunks(BLOCK))
                .zip(inverse.par_chunks(BLOCK))
                .zip(self.mask.par_chunks(BLOCK))
                .for_each(|((((x, b), product), inverse), mask)| {
                    for ((((x, b), product), inverse), mask) in
                        x.iter_mut().zip(b).zip(product).zip(inverse).zip(mask)
                    {
                        let step = factor * inverse * (b - product);
                        *x += if mask >> d & 1 == 1 { 0.0 } else { step };
                    }
                });
        }
    }

    /// Makes this level's operator of that of the next finer level.
    fn make_operator(&mut self, above: &Self, coarsening: &Coarsening, element: &Element) {
        let [nx, ny, _] = self.mesh.size;
        let fine = above.mesh;
        match &mut self.operator {
            LevelOperator::Given { .. } => {}
            LevelOperator::ByChildren(operator) => {
                let LevelOperator::Given { moduli, .. } = &above.operator else { return };
                let starts = &operator.starts;
                let singles: &[Single] = &operator.singles;
                let row_len = nx.div_ceil(WIDTH) * 8 * WIDTH;
                operator.moduli.par_chunks_exact_mut(row_len).enumerate().for_each(|(row, out)| {
                    let mut single =
                        singles[starts[row] as usize..starts[row + 1] as usize].iter().peekable();
                    for x in 0..nx {
                        let at = [x, row % ny, row / ny];
                        let mut sums = [0.0; 8];
                        if single.next_if(|single| single.x == x).is_none() {
                            sums = std::array::from_fn(|c| {
                                let [x, y, z] = [0, 1, 2].map(|d| 2 * at[d] + (c >> d & 1));
                                moduli[fine.element(x, y, z)]
                            });
                        }
                        for bit in [1, 2, 4] {
                            for low in (0..8).filter(|low| low & bit == 0) {
                                let (a, b) = (sums[low], sums[low | bit]);
                                sums[low] = a + b;
                                sums[low | bit] = a - b;
                            }
                        }
                        for (k, sum) in sums.into_iter().enumerate() {
                            out[(x / WIDTH * 8 + k) * WIDTH + x % WIDTH] = sum;
                        }
                    }
                });
                let modal = to_modes(element.stiffness());
                let starts = &operator.starts;
                operator.singles.par_iter_mut().enumerate().for_each(|(i, single)| {
                    let row = starts.partition_point(|start| *start as usize <= i) - 1;
                    let at = [single.x, row % ny, row / ny];
                    let children = Masked { fine, mask: &above.mask, modal: &modal, moduli };
                    let matrix = combine(coarsening, at, &children);
                    *single.matrix = narrow(&to_corners(&matrix));
                });
            }
            LevelOperator::Stored(operator) => {
                let row_len = nx.div_ceil(WIDTH) * TRIANGLE * WIDTH;
                operator.entries.par_chunks_exact_mut(row_len).enumerate().for_each(|(row, out)| {
                    let at = [0, row % ny, row / ny];
                    pulp::Arch::new().dispatch(RowOfMatrices { coarsening, above, at, out });
                });
            }
        }
    }

    /// Makes the inverse of the diagonal, from the elements around each node.
    fn make_inverse(&mut self) {
        let Self { mesh, mask, operator, inverse, .. } = self;
        let [nx, ny, nz] = mesh.size;
        let (row, n) = (mesh.row(), mesh.nodes());
        // The elements of a row and the corners in which they touch a row of nodes.
        let around = |y: usize, z: usize| {
            (0..4).filter_map(move |q| {
                let (y, z) = (y.checked_sub(q & 1)?, z.checked_sub(q >> 1)?);
                (y < ny && z < nz).then_some((y + ny * z, 2 * q))
            })
        };
        match (operator, inverse) {
            (LevelOperator::Given { moduli, .. }, Inverse::Nodes { values, .. }) => {
                values.par_chunks_exact_mut(row).enumerate().for_each(|(at, out)| {
                    out.fill(0.0);
                    for (elements, _) in around(at % (ny + 1), at / (ny + 1)) {
                        let moduli = &moduli[elements * nx..(elements + 1) * nx];
                        for (sum, modulus) in out.iter_mut().zip(moduli) {
                            *sum += modulus;
                        }
                        for (sum, modulus) in out[1..].iter_mut().zip(moduli) {
                            *sum += modulus;
                        }
                    }
                    for sum in out {
                        *sum = sum.recip();
                    }
                });
            }
            (operator, Inverse::Dofs(values)) => {
                // The diagonals of all elements of a row, each once a row of nodes that it touches.
                let sums: Vec<Vec<f32>> = (0..(ny + 1) * (nz + 1))
                    .into_par_iter()
                    .map(|at| {
                        let mut sums = vec![0.0; 3 * row];
                        for (elements, corner) in around(at % (ny + 1), at / (ny + 1)) {
                            for x in 0..nx {
                                let diagonal = operator.diagonal(elements, x);
                                for d in 0..3 {
                                    sums[d * row + x] += diagonal[3 * corner + d];
                                    sums[d * row + x + 1] += diagonal[3 * (corner + 1) + d];
                                }
                            }
                        }
                        sums
                    })
                    .collect();
                for (at, sums) in sums.iter().enumerate() {
                    for d in 0..3 {
                        let out = &mut values[d * n + at * row..][..row];
                        let mask = &mask[at * row..][..row];
                        for ((out, sum), mask) in out.iter_mut().zip(&sums[d * row..]).zip(mask) {
                            let free = mask >> d & 1 == 0 && *sum > 0.0;
                            *out = if free { sum.recip() } else { 0.0 };
                        }
                    }
                }
            }
            _ => {}
        }
    }
}

impl LevelOperator {
    /// The diagonal by corners of element `x` of a row; not for the given mesh.
    fn diagonal(&self, row: usize, x: usize) -> [f32; 24] {
        match self {
            Self::Given { .. } => [0.0; 24],
            Self::ByChildren(operator) => operator.diagonal(row, x),
            Self::Stored(operator) => operator.diagonal(row, x),
        }
    }
}

/// The elements of the given mesh near supports, without what is held.
struct Masked<'a> {
    fine: BrickMesh,
    mask: &'a [u8],
    modal: &'a Matrix,
    moduli: &'a [f32],
}

impl Children<f64> for Masked<'_> {
    fn matrix(&self, [x, y, z]: [usize; 3], out: &mut Matrix) {
        let held = held(&self.fine, self.mask, x, y, z);
        *out = if held == 0 { *self.modal } else { without(self.modal, held) };
        let modulus = f64::from(self.moduli[self.fine.element(x, y, z)]);
        for entry in out.as_flattened_mut() {
            *entry *= modulus;
        }
    }
}

/// The elements of a coarse mesh, without what is held.
impl Children<f32> for Level {
    #[inline(always)]
    fn matrix(&self, [x, y, z]: [usize; 3], out: &mut [[f32; 24]; 24]) {
        let row = y + self.mesh.size[1] * z;
        match &self.operator {
            LevelOperator::Given { .. } => {}
            LevelOperator::ByChildren(operator) => operator.matrix(row, x, out),
            LevelOperator::Stored(operator) => operator.matrix(row, x, out),
        }
        let held = held(&self.mesh, &self.mask, x, y, z);
        if held != 0 {
            *out = narrow(&without(&widen(out), held));
        }
    }
}

/// Makes the stored matrices of the row of elements that starts with `at`.
struct RowOfMatrices<'a> {
    coarsening: &'a Coarsening,
    above: &'a Level,
    at: [usize; 3],
    out: &'a mut [f32],
}

impl pulp::NullaryFnOnce for RowOfMatrices<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for x in 0..self.coarsening.coarse.size[0] {
            let matrix = combine(self.coarsening, [x, self.at[1], self.at[2]], self.above);
            let mut entry = x / WIDTH * TRIANGLE * WIDTH + x % WIDTH;
            for i in 0..24 {
                for j in 0..=i {
                    self.out[entry] = matrix[i][j];
                    entry += WIDTH;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fem::mesh::Supports;
    use crate::fem::tests::noise;

    /// Every coarse operator is Pᵀ K P of the next finer one, restricted to what is free; its diagonal is the
    /// one that smoothing uses.
    #[test]
    fn coarse_operators_are_those_of_galerkin() {
        let element = Element::new([1.0, 0.8, 1.1], 0.3).unwrap();
        for (nx, ny, nz) in [(16, 12, 20), (27, 11, 13), (9, 31, 14)] {
            let mesh = BrickMesh::new(nx, ny, nz).unwrap();
            let mut supports = Supports::new(mesh);
            supports.fix(mesh.node(1, 0, 1), [true; 3]);
            for z in 0..=nz {
                supports.fix(mesh.node(nx, 3, z), [true, false, true]);
                supports.fix(mesh.node(0, 2, z), [true; 3]);
            }
            let moduli: Vec<f64> =
                noise(4, mesh.elements()).iter().map(|v| 1e-9 + (v + 0.5).powi(3)).collect();
            let mut hierarchy = Hierarchy::new(mesh, &element, &supports.mask).unwrap();
            hierarchy.set_moduli(&moduli).unwrap();
            let Hierarchy { levels, coarsenings, .. } = &mut hierarchy;
            for l in 1..levels.len() {
                let (above, below) = levels.split_at_mut(l);
                let (fine, coarse) = (&mut above[l - 1], &mut below[0]);
                let n = coarse.mesh.nodes();
                coarse.x = noise(l as u64, coarse.mesh.dofs()).iter().map(|v| *v as f32).collect();
                for (i, x) in coarse.x.iter_mut().enumerate() {
                    *x = if coarse.mask[i % n] >> (i / n) & 1 == 1 { 0.0 } else { *x };
                }
                fine.x.fill(0.0);
                prolong(&coarsenings[l - 1], &coarse.x, &fine.mask, &mut fine.x);
                fine.product();
                let nodes = fine.mesh.nodes();
                for (i, value) in fine.sides.split_mut().1.iter_mut().enumerate() {
                    *value = if fine.mask[i % nodes] >> (i / nodes) & 1 == 1 { 0.0 } else { *value };
                }
                let (from, to) = (fine.sides.split().1, coarse.sides.split_mut().0);
                restrict(&coarsenings[l - 1], from, &coarse.mask, to);
                coarse.product();
                let (b, product) = coarse.sides.split();
                let scale = b.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
                for (i, (found, expected)) in product.iter().zip(b).enumerate() {
                    if coarse.mask[i % n] >> (i / n) & 1 == 0 {
                        assert!((found - expected).abs() < 2e-6 * scale, "{l} {i}: {found} {expected}");
                    }
                }
                if l + 1 < levels.len() {
                    let coarse = &mut levels[l];
                    for i in (0..3 * n).step_by(37) {
                        if coarse.mask[i % n] >> (i / n) & 1 == 1 {
                            continue;
                        }
                        coarse.x.fill(0.0);
                        coarse.x[i] = 1.0;
                        coarse.product();
                        let diagonal = coarse.sides.split().1[i];
                        let Inverse::Dofs(inverse) = &coarse.inverse else { panic!() };
                        assert!((inverse[i] * diagonal - 1.0).abs() < 1e-4, "{} {diagonal}", inverse[i]);
                    }
                }
            }
        }
    }
}
