//! The filter against its twin, the gradient against differences, and the path of optimality criteria.

use super::solver::cantilever;
use super::{difference, noise};
use crate::fem::filter::filter_by_pairs;
use crate::fem::{BrickMesh, DensityFilter, Element, Simp, SolidCompliance, Solver};

const LAW: Simp = Simp { penalty: 3.0, void_modulus: 1e-9 };

fn problem(mesh: BrickMesh) -> SolidCompliance {
    let (supports, load) = cantilever(mesh);
    let solver = Solver::new(mesh, &Element::new([1.0; 3], 0.3).unwrap(), &supports).unwrap();
    SolidCompliance::new(solver, vec![load]).unwrap()
}

#[test]
fn filter_agrees_with_its_twin_and_its_transpose() {
    for ((nx, ny, nz), sides, radius) in [
        ((7, 5, 6), [1.0; 3], 3.0_f64.sqrt()),
        ((11, 3, 2), [1.0, 0.5, 2.0], 3.1),
        ((1, 1, 1), [1.0; 3], 9.0),
        ((4, 6, 3), [1.0; 3], 0.3),
        ((5, 4, 6), [1.0; 3], 100.0),
    ] {
        let mesh = BrickMesh::new(nx, ny, nz).unwrap();
        let n = mesh.elements();
        let filter = DensityFilter::new(mesh, sides, radius).unwrap();
        let (x, g) = (noise(1, n), noise(2, n));
        let (mut density, mut back) = (vec![0.0; n], vec![0.0; n]);
        filter.apply(&x, &mut density).unwrap();
        assert!(difference(&density, &filter_by_pairs(mesh, sides, radius, &x).unwrap()) < 1e-13);
        filter.transpose(&g, &mut back).unwrap();
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        assert!((product(&density, &g) - product(&x, &back)).abs() < 1e-13 * n as f64);
    }
    let mesh = BrickMesh::new(2, 2, 2).unwrap();
    assert!(DensityFilter::new(mesh, [1.0; 3], 0.0).is_err());
    let filter = DensityFilter::new(mesh, [1.0; 3], 1.0).unwrap();
    assert!(filter.apply(&[0.0; 7], &mut [0.0; 8]).is_err());
}

#[test]
fn gradient_agrees_with_differences_for_all_load_cases() {
    let mesh = BrickMesh::new(13, 9, 8).unwrap();
    let (supports, load) = cantilever(mesh);
    let mut other = vec![0.0; mesh.dofs()];
    other[mesh.dof(mesh.node(13, 9, 3), 2)] = 0.7;
    let solver = Solver::new(mesh, &Element::new([1.0, 0.9, 1.1], 0.3).unwrap(), &supports).unwrap();
    let mut problem = SolidCompliance::new(solver, vec![load, other]).unwrap();
    let mut x: Vec<f64> = noise(3, mesh.elements()).iter().map(|v| 0.5 + 0.6 * v).collect();
    let (mut gradient, mut unused) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    let evaluation = problem.evaluate(&LAW, &x, 1e-11, 200, &mut gradient).unwrap();
    assert_eq!(evaluation.solves.len(), 2);
    let h = 1e-4;
    for e in [0, 77, 300, 500, x.len() - 1] {
        let at = x[e];
        x[e] = at + h;
        let above = problem.evaluate(&LAW, &x, 1e-11, 200, &mut unused).unwrap().value;
        x[e] = at - h;
        let below = problem.evaluate(&LAW, &x, 1e-11, 200, &mut unused).unwrap().value;
        x[e] = at;
        let slope = (above - below) / (2.0 * h);
        assert!((slope - gradient[e]).abs() < 1e-5 * gradient[e].abs(), "{e}: {slope} {}", gradient[e]);
    }
}

/// pyMOTO 2.0.1 gives this value, independently.
#[test]
fn uniform_design_has_the_known_compliance() {
    let mesh = BrickMesh::new(48, 24, 24).unwrap();
    let mut gradient = vec![0.0; mesh.elements()];
    let densities = vec![0.12; mesh.elements()];
    let value = problem(mesh).evaluate(&LAW, &densities, 1e-6, 100, &mut gradient).unwrap().value;
    assert!((value / 1047.147564 - 1.0).abs() < 1e-9, "{value}");
}

/// The next design of optimality criteria with a move limit of 0.2.
fn criteria(x: &[f64], g: &[f64], weights: &[f64], volume: f64) -> Vec<f64> {
    let design = |multiplier: f64| -> Vec<f64> {
        x.iter()
            .zip(g)
            .zip(weights)
            .map(|((x, g), w)| {
                let target = x * (-g / w / multiplier).max(0.0).sqrt();
                target.clamp((x - 0.2).max(0.0), (x + 0.2).min(1.0))
            })
            .collect()
    };
    let (mut low, mut high) = (1e-12_f64, 1e12_f64);
    while high / low > 1.0 + 1e-12 {
        let middle = (low * high).sqrt();
        let used: f64 = design(middle).iter().zip(weights).map(|(x, w)| x * w).sum();
        if used > volume { low = middle } else { high = middle }
    }
    design((low * high).sqrt())
}

/// Values from an independent implementation, at the evaluations 1, 2, 3, 5, 10 and 20.
#[test]
fn optimality_criteria_follow_the_known_path() {
    let mesh = BrickMesh::new(48, 24, 24).unwrap();
    let n = mesh.elements();
    let filter = DensityFilter::new(mesh, [1.0; 3], 3.0_f64.sqrt()).unwrap();
    let mut problem = problem(mesh);
    let mut weights = vec![0.0; n];
    filter.transpose(&vec![1.0; n], &mut weights).unwrap();
    let (mut x, mut densities, mut slopes, mut g) = (vec![0.12; n], vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    let known = [(1, 1047.1476), (2, 582.22), (3, 392.6454), (5, 266.6345), (10, 58.6102), (20, 21.9615)];
    for k in 1..=20 {
        filter.apply(&x, &mut densities).unwrap();
        let evaluation = problem.evaluate(&LAW, &densities, 1e-8, 500, &mut slopes).unwrap();
        println!("{k}: {} {:?}", evaluation.value, evaluation.solves);
        if let Some((_, value)) = known.iter().find(|(at, _)| *at == k) {
            assert!((evaluation.value / value - 1.0).abs() < 1e-5, "{k}: {}", evaluation.value);
        }
        filter.transpose(&slopes, &mut g).unwrap();
        x = criteria(&x, &g, &weights, 0.12 * n as f64);
    }
}
