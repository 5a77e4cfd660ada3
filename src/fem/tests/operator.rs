//! The element and the product with the operator, against their slow twins.

#![expect(clippy::needless_range_loop, reason = "indices are those of the formula")]

use super::{difference, noise};
use crate::fem::operator::{energies_by_elements, product_by_elements};
use crate::fem::{BrickMesh, Element, Operator};

const SIZES: [(usize, usize, usize); 6] =
    [(3, 5, 7), (1, 1, 1), (2, 9, 4), (8, 4, 4), (9, 1, 17), (31, 3, 11)];

#[test]
fn stiffness_is_symmetric_and_blind_to_rigid_motions() {
    for (sides, nu) in [([1.0; 3], 0.3), ([1.0, 2.0, 0.5], 0.0), ([0.3, 0.7, 1.9], 0.45)] {
        let element = Element::new(sides, nu).unwrap();
        let k = element.stiffness();
        let scale = k[0][0];
        for i in 0..24 {
            for j in 0..24 {
                assert!((k[i][j] - k[j][i]).abs() < 1e-14 * scale);
            }
        }
        let place = |k: usize, d: usize| if k >> d & 1 == 1 { sides[d] } else { 0.0 };
        for motion in 0..6 {
            let u: [f64; 24] = std::array::from_fn(|i| {
                let (k, d) = (i / 3, i % 3);
                if motion < 3 {
                    return f64::from(u8::from(d == motion));
                }
                let axis = motion - 3;
                match (d + 3 - axis) % 3 {
                    1 => -place(k, (axis + 2) % 3),
                    2 => place(k, (axis + 1) % 3),
                    _ => 0.0,
                }
            });
            for row in k {
                let force: f64 = row.iter().zip(u).map(|(k, u)| k * u).sum();
                assert!(force.abs() < 1e-13 * scale, "{motion}: {force}");
            }
        }
    }
}

/// Under a linear displacement the stress is constant: its energy is known, and inner nodes are in balance.
#[test]
fn patch_test() {
    let (sides, nu) = ([1.0, 0.5, 2.0], 0.3);
    let mesh = BrickMesh::new(3, 4, 5).unwrap();
    let element = Element::new(sides, nu).unwrap();
    let slopes = [[0.3, -0.1, 0.2], [0.05, -0.2, 0.4], [-0.3, 0.1, 0.25]];
    let mut u = vec![0.0; mesh.dofs()];
    for z in 0..=5 {
        for y in 0..=4 {
            for x in 0..=3 {
                let place = [x as f64 * sides[0], y as f64 * sides[1], z as f64 * sides[2]];
                for d in 0..3 {
                    u[mesh.dof(mesh.node(x, y, z), d)] = (0..3).map(|e| slopes[d][e] * place[e]).sum();
                }
            }
        }
    }
    let mut force = vec![0.0; mesh.dofs()];
    Operator::new(mesh, &element).product(&vec![1.0; mesh.elements()], &u, &mut force).unwrap();
    for z in 1..5 {
        for y in 1..4 {
            for x in 1..3 {
                for d in 0..3 {
                    assert!(force[mesh.dof(mesh.node(x, y, z), d)].abs() < 1e-13);
                }
            }
        }
    }
    let (lame, shear) = (nu / ((1.0 + nu) * (1.0 - 2.0 * nu)), 0.5 / (1.0 + nu));
    let trace: f64 = (0..3).map(|d| slopes[d][d]).sum();
    let mut expected = lame * trace * trace;
    for a in 0..3 {
        for b in 0..3 {
            let strain = 0.5 * (slopes[a][b] + slopes[b][a]);
            expected += 2.0 * shear * strain * strain;
        }
    }
    let mut energies = vec![0.0; mesh.elements()];
    Operator::new(mesh, &element).energies(&u, &mut energies).unwrap();
    for energy in energies {
        assert!((energy - expected).abs() < 1e-13 * expected, "{energy} {expected}");
    }
}

#[test]
fn products_and_energies_agree_with_their_twins() {
    for (nx, ny, nz) in SIZES {
        let mesh = BrickMesh::new(nx, ny, nz).unwrap();
        let element = Element::new([1.0, 1.3, 0.8], 0.3).unwrap();
        let u = noise(1, mesh.dofs());
        let moduli: Vec<f64> = noise(2, mesh.elements()).iter().map(|v| v + 0.6).collect();
        let expected = product_by_elements(&mesh, element.stiffness(), &moduli, &u).unwrap();
        let mut found = vec![f64::NAN; mesh.dofs()];
        Operator::new(mesh, &element).product(&moduli, &u, &mut found).unwrap();
        assert!(difference(&found, &expected) < 1e-14, "{nx} {ny} {nz}");
        let narrow = |v: &[f64]| v.iter().map(|v| *v as f32).collect::<Vec<_>>();
        let mut single = vec![f32::NAN; mesh.dofs()];
        Operator::new(mesh, &element).product(&narrow(&moduli), &narrow(&u), &mut single).unwrap();
        let wide: Vec<f64> = single.iter().map(|v| f64::from(*v)).collect();
        assert!(difference(&wide, &expected) < 3e-6, "{nx} {ny} {nz}");

        let expected = energies_by_elements(&mesh, element.stiffness(), &u).unwrap();
        let mut found = vec![f64::NAN; mesh.elements()];
        Operator::new(mesh, &element).energies(&u, &mut found).unwrap();
        assert!(difference(&found, &expected) < 1e-14, "{nx} {ny} {nz}");
    }
}

#[test]
fn products_have_the_same_bits_for_any_number_of_threads() {
    let mesh = BrickMesh::new(13, 9, 23).unwrap();
    let element = Element::new([1.0; 3], 0.3).unwrap();
    let (u, moduli) = (noise(1, mesh.dofs()), vec![0.7; mesh.elements()]);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut out = vec![0.0; mesh.dofs()];
        pool.install(|| Operator::new(mesh, &element).product(&moduli, &u, &mut out)).unwrap();
        out
    };
    let expected = run(1);
    for threads in [2, 3, 7] {
        assert_eq!(run(threads), expected);
    }
}

#[test]
fn arrays_of_the_wrong_length_are_refused() {
    let mesh = BrickMesh::new(2, 2, 2).unwrap();
    let mut operator = Operator::<f64>::new(mesh, &Element::new([1.0; 3], 0.3).unwrap());
    let mut out = vec![0.0; mesh.dofs()];
    assert!(operator.product(&[1.0; 7], &vec![0.0; mesh.dofs()], &mut out).is_err());
    assert!(operator.product(&[1.0; 8], &[0.0; 5], &mut out).is_err());
    assert!(operator.energies(&[0.0; 5], &mut [0.0; 8]).is_err());
    assert!(BrickMesh::new(0, 2, 2).is_err());
    assert!(BrickMesh::new(usize::MAX, 2, 2).is_err());
    assert!(Element::new([1.0, 0.0, 1.0], 0.3).is_err());
    assert!(Element::new([1.0; 3], 0.5).is_err());
}
