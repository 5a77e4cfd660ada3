//! The device's finite elements against their twins in f64, on odd sizes.

use super::compliance::{DeviceCompliance, SolidDevice};
use super::levels::Levels;
use super::solve::record_residual;
use crate::engine::gpu::AdapterChoice;
use crate::engine::gpu::buffers::Buffer;
use crate::engine::gpu::recording::Recorder;
use crate::engine::gpu::shared::{MOST_COARSEST, Make};
use crate::fem::layout::{LevelLayout, layouts};
use crate::fem::operator::product_by_elements;
use crate::fem::{BrickMesh, Element, Simp, SolidCompliance, Solver, Supports, solve_directly};

/// A fixed pseudo-random sequence in (-1, 1), each number an f32.
fn noise(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        f64::from((state >> 40) as f32 / (1 << 23) as f32 - 1.0)
    }
}

/// The left face held, and one node of the lower edge held vertically.
fn supports(mesh: BrickMesh) -> Supports {
    let [nx, _, nz] = mesh.size();
    let mut supports = Supports::clamped_left(mesh);
    supports.fix(mesh.node(nx - 1, 0, nz / 2), [false, true, false]);
    supports
}

/// Thin members of solid in almost void.
fn moduli(mesh: BrickMesh) -> Vec<f64> {
    let [nx, ny, _] = mesh.size();
    let solid =
        |e: usize| (e % nx + e / nx % ny + e / (nx * ny)).is_multiple_of(4) || (e / nx).is_multiple_of(ny);
    (0..mesh.elements()).map(|e| if solid(e) { 1.0 } else { 1e-6 }).map(|m| f64::from(m as f32)).collect()
}

struct Bench {
    recorder: Recorder,
    levels: Levels,
    layouts: Vec<LevelLayout>,
    supports: Supports,
    element: Element,
    moduli: Vec<f64>,
}

impl Bench {
    fn new(size: [usize; 3]) -> Self {
        let mesh = BrickMesh::new(size[0], size[1], size[2]).unwrap();
        let (element, supports) = (Element::new([1.0, 0.8, 1.1], 0.3).unwrap(), supports(mesh));
        let gpu = crate::engine::gpu::device::Gpu::open(&AdapterChoice::Any)
            .expect("the GPU tests need an adapter, for example a software one");
        let mut recorder = crate::engine::gpu::self_test::open(&gpu).unwrap();
        let levels = Levels::new(&mut recorder, mesh, &element, &supports).unwrap();
        let moduli = moduli(mesh);
        let narrow: Vec<f32> = moduli.iter().map(|m| *m as f32).collect();
        recorder.upload(&levels.moduli, &narrow).unwrap();
        levels.set_up(&mut recorder).unwrap();
        let layouts = layouts(mesh, &supports.mask, MOST_COARSEST as usize);
        Self { recorder, levels, layouts, supports, element, moduli }
    }

    fn buffer(&mut self, values: &[f64]) -> Buffer {
        let buffer = self.recorder.buffer("test", 4 * values.len() as u64).unwrap();
        let words: Vec<f32> = values.iter().map(|v| *v as f32).collect();
        self.recorder.upload(&buffer, &words).unwrap();
        buffer
    }

    fn read(&mut self, buffer: &Buffer, len: usize) -> Vec<f64> {
        let staging = self.recorder.staging(4 * len as u64).unwrap();
        self.recorder.copy(buffer, 0, &staging, 0, 4 * len as u64);
        let data = self.recorder.read(&staging, 4 * len as u64).unwrap();
        bytemuck::pod_collect_to_vec::<u8, f32>(&data).into_iter().map(f64::from).collect()
    }

    /// What is made of the operator of level `l`, for u and b.
    fn make(&mut self, l: usize, what: Make, u: &[f64], b: &[f64]) -> Vec<f64> {
        let [u_buffer, b_buffer, out] = [u, b, u].map(|values| self.buffer(values));
        self.levels.make(&mut self.recorder, l, what, [&u_buffer, &b_buffer, &out]).unwrap();
        self.read(&out, u.len())
    }

    /// Values on the free degrees of freedom of level `l`.
    fn free(&self, l: usize, seed: u64) -> Vec<f64> {
        let LevelLayout { mesh, mask, .. } = &self.layouts[l];
        let mut next = noise(seed);
        let values =
            |i: usize| if mask[i % mesh.nodes()] >> (i / mesh.nodes()) & 1 == 1 { 0.0 } else { next() };
        (0..mesh.dofs()).map(values).collect()
    }

    /// P x on level `l`, for x on the next coarser one.
    fn prolong(&self, l: usize, x: &[f64]) -> Vec<f64> {
        let (fine, coarse) = (&self.layouts[l], &self.layouts[l + 1]);
        let lower = fine.lower.as_ref().unwrap();
        let [nx, ny, nz] = fine.mesh.size();
        let mut out = vec![0.0; fine.mesh.dofs()];
        for z in 0..=nz {
            for y in 0..=ny {
                for x_at in 0..=nx {
                    let node = fine.mesh.node(x_at, y, z);
                    for q in 0..8 {
                        let mut weight = 1.0;
                        let mut at = [0; 3];
                        for (axis, place) in [x_at, y, z].into_iter().enumerate() {
                            let (low, up) = lower[axis][place];
                            let is_upper = q >> axis & 1 == 1;
                            weight *= f64::from(if is_upper { up } else { 1.0 - up });
                            at[axis] = low as usize + usize::from(is_upper);
                        }
                        let from = coarse.mesh.node(at[0], at[1], at[2]);
                        for d in (0..3).filter(|d| fine.mask[node] >> d & 1 == 0) {
                            out[d * fine.mesh.nodes() + node] += weight * x[d * coarse.mesh.nodes() + from];
                        }
                    }
                }
            }
        }
        out
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    norm(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>())
}

/// Sizes that halve, sizes that do not, and blocks of nodes that are cut off.
const SIZES: [[usize; 3]; 3] = [[8, 8, 8], [13, 7, 10], [11, 22, 5]];

#[test]
fn products_on_the_device_are_those_of_the_twin() {
    for size in SIZES {
        let mut bench = Bench::new(size);
        let mesh = bench.layouts[0].mesh;
        let (u, b) = (bench.free(0, 3), bench.free(0, 4));
        let mut exact = product_by_elements(&mesh, bench.element.stiffness(), &bench.moduli, &u).unwrap();
        bench.supports.clear(&mut exact);
        let found = bench.make(0, Make::Product, &u, &b);
        // Each entry is a sum of 192 products; rounding errors add up like a random walk.
        let allowed = 4.0 * 192.0_f64.sqrt() * f64::from(f32::EPSILON);
        assert!(distance(&found, &exact) <= allowed * norm(&exact), "{size:?}");
        let residual = bench.make(0, Make::Residual, &u, &b);
        let expected: Vec<f64> = b.iter().zip(&exact).map(|(b, k)| b - k).collect();
        assert!(distance(&residual, &expected) <= allowed * norm(&expected), "{size:?}");
        // A sweep of Jacobi's method, with the diagonal of single columns.
        let smooth = bench.make(0, Make::Smooth, &u, &b);
        let mut next = noise(8);
        for _ in 0..20 {
            let i = ((next() + 1.0) * 0.5 * mesh.dofs() as f64) as usize % mesh.dofs();
            let mut unit = vec![0.0; mesh.dofs()];
            unit[i] = 1.0;
            let column = product_by_elements(&mesh, bench.element.stiffness(), &bench.moduli, &unit).unwrap();
            let is_held = bench.supports.is_fixed(i % mesh.nodes(), i / mesh.nodes());
            let step = if is_held { 0.0 } else { 0.6 * expected[i] / column[i] };
            let tolerance = allowed * (u[i].abs() + norm(&exact) / column[i]);
            assert!((smooth[i] - u[i] - step).abs() <= tolerance, "{size:?} {i}");
        }
    }
}

/// A displacement far longer than it deforms: what is left after cancellation still has the digits of
/// double-word numbers.
#[test]
fn residuals_on_the_device_are_double_word() {
    for size in SIZES {
        let mut bench = Bench::new(size);
        let mesh = bench.layouts[0].mesh;
        let (small, shift) = (bench.free(0, 6), 100.0);
        let exact: Vec<f64> = small.iter().map(|v| shift + 1e-3 * v).collect();
        let high: Vec<f64> = exact.iter().map(|v| f64::from(*v as f32)).collect();
        let low: Vec<f64> = exact.iter().zip(&high).map(|(v, high)| f64::from((v - high) as f32)).collect();
        let given: Vec<f64> = high.iter().zip(&low).map(|(high, low)| high + low).collect();
        let displacement = bench.buffer(&[high, low].concat());
        let load = bench.free(0, 7).iter().map(|f| 1e-3 * f).map(|f| f64::from(f as f32)).collect::<Vec<_>>();
        let load_buffer = bench.buffer(&load);
        let Bench { recorder, levels, .. } = &mut bench;
        record_residual(recorder, levels, [&displacement, &load_buffer]).unwrap();
        let words = recorder.staging(4 * load.len() as u64).unwrap();
        recorder.copy(&levels.levels[0].b, 0, &words, 0, 4 * load.len() as u64);
        let data = recorder.read(&words, 4 * load.len() as u64).unwrap();
        let found: Vec<f64> =
            bytemuck::pod_collect_to_vec::<u8, f32>(&data).into_iter().map(f64::from).collect();
        let mut expected =
            product_by_elements(&mesh, bench.element.stiffness(), &bench.moduli, &given).unwrap();
        expected.iter_mut().zip(&load).for_each(|(k, f)| *k = f - *k);
        bench.supports.clear(&mut expected);
        // The result is rounded to f32; before that, some hundred operations of 2⁻⁴⁴ on numbers of size 100.
        let allowed = f64::from(f32::EPSILON) * norm(&expected)
            + 1e2 * 2.0_f64.powi(-44) * shift * (expected.len() as f64).sqrt();
        assert!(distance(&found, &expected) <= allowed, "{size:?}: {}", distance(&found, &expected));
    }
}

#[test]
fn coarse_operators_on_the_device_are_those_of_galerkin() {
    for size in SIZES {
        let mut bench = Bench::new(size);
        for l in 0..bench.layouts.len() - 1 {
            let x = bench.free(l + 1, 5);
            let coarse = bench.make(l + 1, Make::Product, &x, &x);
            let fine = bench.prolong(l, &x);
            let product = bench.make(l, Make::Product, &fine, &fine);
            // y·PᵀKPx for several y.
            for seed in 10..16 {
                let y = bench.free(l + 1, seed);
                let (found, expected) = (dot(&y, &coarse), dot(&bench.prolong(l, &y), &product));
                let scale = norm(&y) * norm(&coarse);
                let allowed = 100.0 * f64::from(f32::EPSILON);
                assert!((found - expected).abs() <= allowed * scale, "{size:?} {l}: {found} {expected}");
            }
        }
    }
}

#[test]
fn a_cycle_on_the_device_is_symmetric_and_positive() {
    for size in SIZES {
        let mut bench = Bench::new(size);
        let cycle = |bench: &mut Bench, b: &[f64]| {
            let words: Vec<f32> = b.iter().map(|v| *v as f32).collect();
            bench.recorder.upload(&bench.levels.levels[0].b, &words).unwrap();
            bench.levels.cycle(&mut bench.recorder).unwrap();
            let Bench { recorder, levels, .. } = bench;
            let out = &levels.levels[0].y;
            let staging = recorder.staging(4 * b.len() as u64).unwrap();
            recorder.copy(out, 0, &staging, 0, 4 * b.len() as u64);
            let data = recorder.read(&staging, 4 * b.len() as u64).unwrap();
            let values: Vec<f32> = bytemuck::pod_collect_to_vec(&data);
            values.into_iter().map(f64::from).collect::<Vec<f64>>()
        };
        let (a, b) = (bench.free(0, 20), bench.free(0, 21));
        let (from_a, from_b) = (cycle(&mut bench, &a), cycle(&mut bench, &b));
        let (ab, ba) = (dot(&a, &from_b), dot(&b, &from_a));
        let scale = (dot(&a, &from_a) * dot(&b, &from_b)).sqrt();
        assert!(dot(&a, &from_a) > 0.0 && dot(&b, &from_b) > 0.0, "{size:?}");
        assert!((ab - ba).abs() <= 1e-4 * scale, "{size:?}: {ab} {ba}");
    }
}

fn device() -> SolidDevice {
    SolidDevice::open(&AdapterChoice::Any).expect("the GPU tests need an adapter, for example a software one")
}

/// Loads of two cases: down at the far edge, and along z at its middle.
fn loads(mesh: BrickMesh) -> Vec<Vec<f64>> {
    let [nx, ny, nz] = mesh.size();
    let mut loads = vec![vec![0.0; mesh.dofs()]; 2];
    for z in 0..=nz {
        loads[0][mesh.dof(mesh.node(nx, 0, z), 1)] = -1.0 / (nz as f64 + 1.0);
    }
    loads[1][mesh.dof(mesh.node(nx, ny / 2, nz / 2), 2)] = 0.5;
    loads
}

#[test]
fn displacements_on_the_device_are_those_of_the_direct_solver() {
    for size in SIZES {
        let mesh = BrickMesh::new(size[0], size[1], size[2]).unwrap();
        let (element, supports) = (Element::new([1.0, 0.8, 1.1], 0.3).unwrap(), supports(mesh));
        let loads = loads(mesh);
        let bodies = vec![[0.0; 3]; loads.len()];
        let mut problem =
            DeviceCompliance::new(&device(), &element, &supports, loads.clone(), bodies).unwrap();
        let law = Simp { penalty: 1.0, void_modulus: 1e-6 };
        let densities: Vec<f64> = moduli(mesh).iter().map(|modulus| modulus.max(0.01)).collect();
        let mut gradient = vec![0.0; mesh.elements()];
        let evaluation = problem.evaluate(&law, &densities, 1e-8, 2000, &mut gradient).unwrap();
        let rounded: Vec<f64> = densities.iter().map(|rho| f64::from(law.modulus(*rho) as f32)).collect();
        for ((load, found), report) in
            loads.iter().zip(problem.displacements().unwrap()).zip(&evaluation.solves)
        {
            assert!(report.residual <= 1e-8, "{size:?}: {}", report.residual);
            // The residual that the solver reports is the true one, but for the rounding of the load.
            let mut rest = product_by_elements(&mesh, element.stiffness(), &rounded, &found).unwrap();
            rest.iter_mut().zip(load).for_each(|(k, f)| *k = f - *k);
            supports.clear(&mut rest);
            assert!(norm(&rest) <= (1e-8 + f64::from(f32::EPSILON)) * norm(load), "{size:?}");
            let exact = solve_directly(&element, &supports, &rounded, load).unwrap();
            let energy = dot(load, &exact);
            assert!((dot(load, &found) - energy).abs() <= 1e-6 * energy, "{size:?}");
        }
    }
}

#[test]
fn compliance_and_gradient_on_the_device_are_those_of_the_twin() {
    for (size, body) in [([13, 7, 10], [0.0; 3]), ([16, 9, 8], [0.0, -0.01, 0.002])] {
        let mesh = BrickMesh::new(size[0], size[1], size[2]).unwrap();
        let (element, supports) = (Element::new([1.0; 3], 0.3).unwrap(), supports(mesh));
        let (loads, bodies) = (loads(mesh), vec![body, [0.0; 3]]);
        let solver = Solver::new(mesh, &element, &supports).unwrap();
        let mut twin =
            SolidCompliance::new(solver, loads.clone()).unwrap().with_bodies(bodies.clone()).unwrap();
        let mut problem = DeviceCompliance::new(&device(), &element, &supports, loads, bodies).unwrap();
        let law = Simp { penalty: 3.0, void_modulus: 1e-9 };
        let mut next = noise(7);
        let mut densities: Vec<f64> = (0..mesh.elements()).map(|_| 0.5 + 0.45 * next()).collect();
        let [mut found, mut expected] = [0; 2].map(|_| vec![0.0; mesh.elements()]);
        for round in 0..3 {
            let on_device = problem.evaluate(&law, &densities, 1e-6, 500, &mut found).unwrap();
            let exact = twin.evaluate(&law, &densities, 1e-10, 500, &mut expected).unwrap();
            let error = (on_device.value - exact.value).abs();
            assert!(error <= 1e-6 * exact.value, "{size:?} {round}: {} {}", on_device.value, exact.value);
            assert!(distance(&found, &expected) <= 1e-4 * norm(&expected), "{size:?} {round}");
            // The next design is near this one, so that solves start warm.
            densities.iter_mut().for_each(|rho| *rho = (*rho + 0.02 * next()).clamp(0.01, 1.0));
        }
    }
}
