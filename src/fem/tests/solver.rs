//! The solver against the direct solution, published values and itself.

use super::{difference, noise};
use crate::fem::{BrickMesh, Element, Solver, Supports, solve_directly};

/// Clamped at x = 0, total load 1 in −y along the edge x = nx, y = 0.
pub(super) fn cantilever(mesh: BrickMesh) -> (Supports, Vec<f64>) {
    let [nx, _, nz] = mesh.size();
    let mut load = vec![0.0; mesh.dofs()];
    for z in 0..=nz {
        let share = if z == 0 || z == nz { 0.5 } else { 1.0 };
        load[mesh.dof(mesh.node(nx, 0, z), 1)] = -share / nz as f64;
    }
    (Supports::clamped_left(mesh), load)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Moduli as in a design: mostly solid or void, contrast 10⁹.
pub(super) fn design(mesh: BrickMesh, seed: u64) -> Vec<f64> {
    noise(seed, mesh.elements()).iter().map(|v| 1e-9 + (v + 0.5).powi(3)).collect()
}

#[test]
fn small_meshes_agree_with_the_direct_solution() {
    let element = Element::new([1.0; 3], 0.3).unwrap();
    for (nx, ny, nz) in [(8, 4, 4), (5, 3, 4), (13, 9, 7), (17, 11, 9), (33, 5, 1), (2, 1, 30)] {
        let mesh = BrickMesh::new(nx, ny, nz).unwrap();
        let (supports, load) = cantilever(mesh);
        for moduli in [vec![1.0; mesh.elements()], design(mesh, 5)] {
            let expected = solve_directly(&element, &supports, &moduli, &load).unwrap();
            let mut solver = Solver::new(mesh, &element, &supports).unwrap();
            solver.set_moduli(&moduli).unwrap();
            let mut u = vec![0.0; mesh.dofs()];
            let report = solver.solve(&load, &mut u, 1e-12, 200).unwrap();
            println!("{nx} {ny} {nz}: {report:?}");
            let (c, known) = (dot(&load, &u), dot(&load, &expected));
            assert!((c / known - 1.0).abs() < 1e-9, "{nx}×{ny}×{nz}: {c} {known}");
            assert!(difference(&u, &expected) < 1e-9, "{nx}×{ny}×{nz}");
        }
    }
}

/// Supports that no coarse mesh can represent: single nodes at odd places, rollers, an odd end.
#[test]
fn any_supports_agree_with_the_direct_solution() {
    let element = Element::new([1.0, 0.7, 1.2], 0.25).unwrap();
    for (nx, ny, nz) in [(19, 11, 9), (14, 13, 12)] {
        let mesh = BrickMesh::new(nx, ny, nz).unwrap();
        let mut load = vec![0.0; mesh.dofs()];
        load[mesh.dof(mesh.node(nx / 2, ny, nz / 2), 1)] = -1.0;
        let mut points = Supports::new(mesh);
        points.fix(mesh.node(1, 0, 1), [true; 3]);
        points.fix(mesh.node(nx, 0, 1), [false, true, true]);
        points.fix(mesh.node(3, 0, nz - 2), [false, true, false]);
        let mut end = Supports::new(mesh);
        for z in 0..=nz {
            for y in 0..=ny {
                end.fix(mesh.node(nx, y, z), [true, y % 3 == 1, y == 0]);
                end.fix(mesh.node(7, 5, z), [false, true, true]);
            }
        }
        for supports in [points, end] {
            let moduli = design(mesh, 9);
            let expected = solve_directly(&element, &supports, &moduli, &load).unwrap();
            let mut solver = Solver::new(mesh, &element, &supports).unwrap();
            solver.set_moduli(&moduli).unwrap();
            let mut u = vec![0.0; mesh.dofs()];
            let report = solver.solve(&load, &mut u, 1e-11, 300).unwrap();
            println!("{nx} {ny} {nz}: {report:?}");
            assert!(difference(&u, &expected) < 1e-8, "{nx}×{ny}×{nz}");
        }
    }
}

/// The value is that of an independent implementation.
#[test]
fn solid_cantilever_has_the_known_compliance() {
    let mesh = BrickMesh::new(96, 48, 48).unwrap();
    let (supports, load) = cantilever(mesh);
    let mut solver = Solver::new(mesh, &Element::new([1.0; 3], 0.3).unwrap(), &supports).unwrap();
    solver.set_moduli(&vec![1.0; mesh.elements()]).unwrap();
    let mut u = vec![0.0; mesh.dofs()];
    let report = solver.solve(&load, &mut u, 1e-6, 30).unwrap();
    println!("{report:?}");
    assert!(report.iterations <= 13);
    let report = solver.solve(&load, &mut u, 1e-8, 30).unwrap();
    println!("{report:?}");
    let c = dot(&load, &u);
    assert!((c / 0.93448696668 - 1.0).abs() < 1e-8, "{c}");
}

#[test]
fn solutions_have_the_same_bits_for_any_number_of_threads() {
    let mesh = BrickMesh::new(23, 13, 17).unwrap();
    let (supports, load) = cantilever(mesh);
    let element = Element::new([1.0; 3], 0.3).unwrap();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut solver = Solver::new(mesh, &element, &supports).unwrap();
            solver.set_moduli(&design(mesh, 3)).unwrap();
            let mut u = vec![0.0; mesh.dofs()];
            solver.solve(&load, &mut u, 1e-6, 100).unwrap();
            u
        })
    };
    let expected = run(1);
    assert_eq!(run(2), expected);
    assert_eq!(run(5), expected);
}

#[test]
fn a_solve_that_does_not_arrive_says_so() {
    let mesh = BrickMesh::new(23, 13, 17).unwrap();
    let (supports, load) = cantilever(mesh);
    let mut solver = Solver::new(mesh, &Element::new([1.0; 3], 0.3).unwrap(), &supports).unwrap();
    let mut u = vec![0.0; mesh.dofs()];
    assert!(solver.solve(&load, &mut u, 1e-6, 10).is_err());
    solver.set_moduli(&vec![1.0; mesh.elements()]).unwrap();
    let error = solver.solve(&load, &mut u, 1e-6, 2).unwrap_err();
    assert!(error.to_string().contains("residual"), "{error}");
    assert!(solver.set_moduli(&vec![0.0; mesh.elements()]).is_err());
    assert!(solver.solve(&load[1..], &mut u, 1e-6, 2).is_err());
    solver.set_moduli(&vec![1.0; mesh.elements()]).unwrap();
    let report = solver.solve(&vec![0.0; mesh.dofs()], &mut u, 1e-6, 2).unwrap();
    assert_eq!((report.iterations, report.residual), (0, 0.0));
    let mut floating =
        Solver::new(mesh, &Element::new([1.0; 3], 0.3).unwrap(), &Supports::new(mesh)).unwrap();
    // Nothing is held: either the coarsest matrix is refused, or the solve does not arrive.
    let result = floating
        .set_moduli(&vec![1.0; mesh.elements()])
        .and_then(|()| floating.solve(&load, &mut vec![0.0; mesh.dofs()], 1e-6, 200));
    println!("{result:?}");
    assert!(result.is_err());
}

/// The memory that is told before is what is kept, and within the budget.
#[test]
fn memory_is_told_before() {
    let mesh = BrickMesh::new(40, 24, 28).unwrap();
    let (supports, load) = cantilever(mesh);
    let mut solver = Solver::new(mesh, &Element::new([1.0; 3], 0.3).unwrap(), &supports).unwrap();
    solver.set_moduli(&vec![1.0; mesh.elements()]).unwrap();
    let mut u = vec![0.0; mesh.dofs()];
    solver.solve(&load, &mut u, 1e-3, 100).unwrap();
    let (told, kept) = (Solver::bytes(mesh), solver.bytes_kept());
    println!("{told} {kept}");
    assert!(told <= kept && kept - told < 16 << 20);
    let million = BrickMesh::new(160, 80, 80).unwrap();
    println!("{}", Solver::bytes(million) as f64 / million.elements() as f64);
    assert!(Solver::bytes(million) < 200 * million.elements() as u64);
}
