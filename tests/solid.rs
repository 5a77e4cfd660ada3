//! Tests of structures of one's own, in two and three dimensions: loads, supports, units, regions, gradients.

use lgf::engine::CpuEngine;
use lgf::engine::gpu::{AdapterChoice, SolidDevice};
use lgf::flow::{Flow, OptimalityCriteria};
use lgf::objective::Objective;
use lgf::topology::{
    Axis, Cells, Compliance, Directions, FilterKind, Force, Levels, Load, LoadCase, Material, Mesh,
    PlaneState, Preset, Projection, Recipe, Region, RegionFile, Shape, Structure, Support,
};
use lgf::{Lgf, Stopping};

fn plane(axis: Axis, at: f64) -> Shape {
    Shape::Plane { axis, at }
}

/// A bar of unequal sides, held so that it can narrow, and pulled at its right end.
fn bar(elements: &[u32], lengths: &[f64], force: Force) -> Structure {
    let mut bar = Structure::new(elements, 1.0);
    bar.mesh.lengths = lengths.to_vec();
    bar.radius = 1e-3 * lengths[0];
    bar.supports = vec![
        Support { at: plane(Axis::X, 0.0), fix: Directions::only(Axis::X) },
        Support { at: plane(Axis::Y, 0.0), fix: Directions::only(Axis::Y) },
    ];
    if elements.len() == 3 {
        bar.supports.push(Support { at: plane(Axis::Z, 0.0), fix: Directions::only(Axis::Z) });
    }
    bar.load_cases = vec![LoadCase::of(vec![Load { at: plane(Axis::X, lengths[0]), force }])];
    bar.material.youngs_modulus = 7.0;
    bar
}

/// Closed form: stress σ, strain σ/E along the bar and −νσ/E across, compliance F σ L / E.
#[test]
fn a_pulled_bar_has_the_displacement_of_the_closed_form() {
    let stress = 0.4;
    let solid = |force: Force| bar(&[5, 4, 3], &[10.0, 2.0, 3.0], force);
    let flat = |force: Force, state: PlaneState| {
        let mut bar = bar(&[6, 3], &[9.0, 2.0], force);
        bar.material.plane = state;
        bar.material.thickness = 0.5;
        bar
    };
    let nu: f64 = 0.3;
    let traction = |n: usize| {
        let mut vector = vec![0.0; n];
        vector[0] = stress;
        Force::Traction(vector)
    };
    let total = |n: usize, area: f64| {
        let mut vector = vec![0.0; n];
        vector[0] = stress * area;
        Force::Total(vector)
    };
    // In plane strain the bar is stiffer by 1/(1 − ν²) along and narrows by ν/(1 − ν) of that.
    let stiff = 1.0 - nu * nu;
    let cases = [
        (solid(traction(3)), [1.0, nu]),
        (solid(total(3, 6.0)), [1.0, nu]),
        (solid(Force::Pressure(-stress)), [1.0, nu]),
        (flat(traction(2), PlaneState::Stress), [1.0, nu]),
        (flat(total(2, 1.0), PlaneState::Stress), [1.0, nu]),
        (flat(Force::Pressure(-stress), PlaneState::Strain), [stiff, nu / (1.0 - nu) * stiff]),
    ];
    for (structure, [along, across]) in cases {
        let lengths = structure.lengths();
        let area = if structure.dimension() == 3 { 6.0 } else { 1.0 };
        let mut problem = Compliance::new(structure).unwrap();
        let compliance = problem.compliance(&vec![1.0; problem.dimension()]).unwrap();
        let strain = stress / 7.0;
        let exact = stress * area * strain * lengths[0] * along;
        assert!((compliance / exact - 1.0).abs() < 1e-10, "{compliance} against {exact}");
        let displacement = &problem.displacements().unwrap()[0];
        let mesh = problem.mesh();
        let size = mesh.size();
        for node in 0..mesh.nodes() {
            let place = mesh.node_place(node);
            let at: Vec<f64> =
                (0..mesh.dimension()).map(|a| lengths[a] * place[a] as f64 / size[a] as f64).collect();
            for (axis, coordinate) in at.iter().enumerate() {
                let exact = coordinate * strain * if axis == 0 { along } else { -across };
                let found = displacement[mesh.dof(node, axis)];
                assert!((found - exact).abs() < 1e-6 * strain * lengths[0], "{found} against {exact}");
            }
        }
    }
}

/// A bar that stands on the ground under its own weight, without Poisson's ratio: u = ρ g y (L − y/2) / E.
#[test]
fn a_bar_under_its_own_weight_has_the_compliance_of_the_closed_form() {
    for elements in [vec![2, 8], vec![2, 8, 3]] {
        let lengths = [1.0, 4.0, 1.5];
        let n = elements.len();
        let mut bar = Structure::new(&elements, 1.0);
        bar.mesh.lengths = lengths[..n].to_vec();
        bar.radius = 1e-3;
        bar.material =
            Material { youngs_modulus: 50.0, poisson_ratio: 0.0, density: 2.5, ..Material::default() };
        bar.supports = vec![Support { at: plane(Axis::Y, 0.0), fix: Directions::ALL }];
        let mut gravity = vec![0.0; n];
        gravity[1] = -9.81;
        bar.load_cases = vec![LoadCase { gravity: Some(gravity), weight: 2.0, ..LoadCase::of(Vec::new()) }];
        let mut problem = Compliance::new(bar).unwrap();
        let found = problem.compliance(&vec![1.0; problem.dimension()]).unwrap();
        let area = if n == 3 { 1.5 } else { 1.0 };
        // ∫ (ρ g)² A (L − y)² / E dy; the nodes' displacements are exact, the work of linear elements is
        // below by the square of an element's length.
        let weight: f64 = 2.5 * 9.81;
        let exact = 2.0 * weight.powi(2) * area * 4.0_f64.powi(3) / 3.0 / 50.0;
        let lost = 1.0 - 1.0 / (4.0 * 64.0);
        assert!((found / (exact * lost) - 1.0).abs() < 1e-9, "{found} against {}", exact * lost);
    }
}

/// Two weighted load cases, one of them under gravity, a hole, a flange, a projection, unequal sides.
fn complicated(dimension: usize) -> Structure {
    let (elements, lengths) = ([6_u32, 5, 4], [6.0, 4.0, 3.5]);
    let mut structure = Structure::new(&elements[..dimension], 0.4);
    structure.mesh.lengths = lengths[..dimension].to_vec();
    structure.radius = 1.4;
    structure.projection = Some(Projection { beta: 3.0 });
    structure.material =
        Material { youngs_modulus: 11.0, void_modulus: 0.05, density: 0.3, ..Material::default() };
    structure.supports = vec![Support { at: plane(Axis::X, 0.0), fix: Directions::ALL }];
    let vector = |x: f64, y: f64, z: f64| [x, y, z][..dimension].to_vec();
    let pull = Load { at: plane(Axis::X, 6.0), force: Force::Total(vector(0.3, -1.0, 0.2)) };
    let push =
        Load { at: Shape::Point(vector(6.0, 4.0, 3.5)), force: Force::PerNode(vector(-0.5, 0.1, -0.3)) };
    structure.load_cases = vec![
        LoadCase { weight: 0.7, ..LoadCase::of(vec![pull]) },
        LoadCase { gravity: Some(vector(0.1, -0.5, 0.2)), ..LoadCase::of(vec![push]) },
    ];
    let void = Shape::Sphere { centre: vector(3.0, 2.0, 1.7), radius: 0.9 };
    let flange = Shape::Box { lower: vector(5.0, 0.0, 0.0), upper: vector(6.0, 4.0, 3.5) };
    structure.with(Region::void(void)).with(Region::solid(flange))
}

/// Fourth-order differences of the value, whose solver ends at 1e-10, so that the value has all digits.
#[test]
fn gradients_are_exact_with_everything_that_has_one() {
    for dimension in [2, 3] {
        let mut problem = Compliance::new(complicated(dimension)).unwrap();
        problem.set_tolerance(1e-10).unwrap();
        let d = problem.dimension();
        let x: Vec<f64> = (0..d).map(|e| 0.45 + 0.3 * (1.7 * e as f64).sin()).collect();
        let direction: Vec<f64> = (0..d).map(|e| (0.9 * e as f64).cos()).collect();
        let mut gradient = vec![0.0; d];
        let value = problem.evaluate(&x, &mut gradient).unwrap();
        let exact: f64 = gradient.iter().zip(&direction).map(|(g, v)| g * v).sum();
        let h = 1e-3;
        let mut at = |step: f64| {
            let moved: Vec<f64> = x.iter().zip(&direction).map(|(x, v)| x + step * v).collect();
            problem.compliance(&moved).unwrap()
        };
        let slope = (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h);
        let size: f64 = gradient.iter().zip(&direction).map(|(g, v)| (g * v).abs()).sum();
        assert!((slope - exact).abs() < 1e-7 * size, "{dimension}: {slope} and {exact} at {value}");
    }
}

/// Lengths by a, forces by b, moduli by c: the same design, and the compliance by b²/(a c) in space, b²/c in
/// the plane (with the same thickness). Filters, given densities, symmetry and the chain rule on a device are
/// those of the host, in f32; and with a projection or the structure's own weight, where the host has them,
/// as well.
#[test]
fn designs_on_a_device_have_the_value_and_the_gradient_of_the_cpu() {
    let device = SolidDevice::open(&AdapterChoice::Any).expect("an adapter, for example a software one");
    let cantilever = |elements: &[u32]| Structure::preset(Preset::Cantilever, elements).unwrap();
    let sensitivity = Structure { filter: FilterKind::Sensitivity, radius: 1.5, ..cantilever(&[13, 7, 6]) };
    let mut regions = Structure { radius: 2.3, ..cantilever(&[12, 7, 9]) };
    regions.mesh.lengths = vec![12.0, 5.0, 9.0];
    let block =
        |lower: [f64; 3], upper: [f64; 3]| Shape::Box { lower: lower.to_vec(), upper: upper.to_vec() };
    regions.regions = vec![
        Region::void(block([3.0, 1.0, 2.0], [6.0, 4.0, 7.0])),
        Region::solid(block([10.0, 0.0, 0.0], [12.0, 2.0, 9.0])),
    ];
    let regions_by_sensitivity = Structure { filter: FilterKind::Sensitivity, ..regions.clone() };
    let odd_penalty = Structure { penalty: 2.3, radius: 1.2, ..cantilever(&[9, 8, 5]) };
    let linear = Structure { penalty: 1.0, ..cantilever(&[10, 6, 5]) };
    let projected = Structure { projection: Some(Projection { beta: 4.0 }), ..cantilever(&[10, 6, 5]) };
    let structures = [
        cantilever(&[17, 8, 9]),
        sensitivity,
        regions,
        regions_by_sensitivity,
        odd_penalty,
        linear,
        projected,
        complicated(3),
    ];
    for (number, structure) in structures.into_iter().enumerate() {
        let mut exact = Compliance::new(structure.clone()).unwrap();
        let mut found = Compliance::on_device(structure, &device).unwrap();
        let d = exact.dimension();
        let uniform = exact.uniform_start()[0];
        let x: Vec<f64> = (0..d).map(|i| (uniform * (1.0 + 0.5 * (1.7 * i as f64).sin())).min(1.0)).collect();
        let [mut expected, mut gradient] = [0, 1].map(|_| vec![0.0; d]);
        for problem in [&mut exact, &mut found] {
            problem.set_tolerance(1e-7).unwrap();
        }
        let value = exact.evaluate(&x, &mut expected).unwrap();
        let on_device = found.evaluate(&x, &mut gradient).unwrap();
        assert!((on_device / value - 1.0).abs() < 1e-6, "{number}: {on_device} {value}");
        let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
        let off: Vec<f64> = gradient.iter().zip(&expected).map(|(a, b)| a - b).collect();
        assert!(norm(&off) < 1e-4 * norm(&expected), "{number}: {}", norm(&off) / norm(&expected));
        // Symmetric designs stay symmetric to the last bit.
        let mirrored = found.symmetrized(&gradient).into_owned();
        assert_eq!(mirrored, gradient, "{number}");
        assert_eq!(found.evaluations(), 1);
    }
}

/// A load's work is twice the strain energy, so the energies add up to the compliances of the load cases, and
/// those with their weights to the objective; in a pulled bar the energy per volume is σ²/2E everywhere.
#[test]
fn strain_energies_add_up_to_the_compliance() {
    for dimension in [2, 3] {
        let structure = complicated(dimension);
        let mut problem = Compliance::new(structure.clone()).unwrap();
        let x: Vec<f64> = (0..problem.mesh().elements()).map(|e| 0.3 + 0.1 * (e % 7) as f64).collect();
        assert!(problem.strain_energies(&x).is_err(), "nothing has been evaluated");
        let value = problem.compliance(&x).unwrap();
        let cases = problem.load_case_compliances(&x).unwrap();
        let weighted: f64 = structure.load_cases.iter().zip(&cases).map(|(case, c)| case.weight * c).sum();
        // The reported value's solve ends at a residual of 10⁻⁷, and its error is of second order.
        assert!((weighted - value).abs() <= 1e-9 * value, "{dimension}: {weighted} and {value}");
        let [a, b, c] = structure.sides();
        let volume = a * b * if dimension == 2 { structure.material.thickness } else { c };
        let energies = problem.strain_energies(&x).unwrap();
        for (energies, compliance) in energies.iter().zip(&cases) {
            assert!(energies.iter().all(|w| *w >= 0.0));
            let sum = 2.0 * volume * energies.iter().sum::<f64>();
            assert!((sum - compliance).abs() <= 1e-12 * compliance, "{sum} and {compliance}");
        }
    }
    let stress = 0.4;
    let mut bar = bar(&[5, 4, 3], &[10.0, 2.0, 3.0], Force::Traction(vec![stress, 0.0, 0.0]));
    bar.load_cases[0].weight = 3.0;
    let mut problem = Compliance::new(bar.clone()).unwrap();
    let x = vec![1.0; 60];
    problem.compliance(&x).unwrap();
    let density = 0.5 * stress * stress / bar.material.youngs_modulus;
    for energy in &problem.strain_energies(&x).unwrap()[0] {
        assert!((energy - density).abs() <= 1e-6 * density, "{energy} and {density}");
    }
}

#[test]
fn other_units_lead_to_the_same_design() {
    for (elements, dimension) in [(&[24_u32, 8][..], 2), (&[12, 6, 6], 3)] {
        let mut given = Structure::preset(Preset::Cantilever, elements).unwrap();
        given.load_cases[0].weight = 3.0;
        // Powers of two scale without rounding, so that the runs are the same to the last bit.
        let (a, b, c) = (64.0, 1024.0, 0.25);
        let mut scaled = given.clone();
        scaled.mesh.lengths.iter_mut().for_each(|l| *l *= a);
        scaled.radius *= a;
        let moved = |shape: &Shape| match shape {
            Shape::Plane { axis, at } => Shape::Plane { axis: *axis, at: at * a },
            Shape::Point(at) => Shape::Point(at.iter().map(|x| a * x).collect()),
            Shape::Box { lower, upper } => Shape::Box {
                lower: lower.iter().map(|x| a * x).collect(),
                upper: upper.iter().map(|x| a * x).collect(),
            },
            other => panic!("{other:?}"),
        };
        scaled.supports.iter_mut().for_each(|s| s.at = moved(&s.at));
        for load in &mut scaled.load_cases[0].loads {
            load.at = moved(&load.at);
            let Force::Total(total) = &mut load.force else { panic!("a total") };
            total.iter_mut().for_each(|f| *f *= b);
        }
        scaled.material.youngs_modulus *= c;
        let solve = |structure: &Structure| {
            let mut problem = Compliance::new(structure.clone()).unwrap();
            let mut recipe = Recipe { levels: Levels::Count(2), ..Recipe::default() };
            recipe.stopping.max_evaluations = 15;
            recipe.solve(&mut problem, CpuEngine::new(), ()).unwrap()
        };
        let (first, second) = (solve(&given), solve(&scaled));
        let factor = b * b / c / if dimension == 3 { a } else { 1.0 };
        assert_eq!(first.design, second.design);
        assert_eq!(first.objective * factor, second.objective);
    }
}

/// The reference path of optimality criteria on the preset: three-dimensional cantilever 48×24×24, volume
/// 0.12, radius √3; its first value is pyMOTO's too.
#[test]
fn the_cantilever_has_the_reference_values() {
    let structure = Structure::preset(Preset::Cantilever, &[48, 24, 24]).unwrap();
    let structure = Structure { volume_fraction: 0.12, radius: 3.0_f64.sqrt(), ..structure };
    let mut problem = Compliance::new(structure).unwrap();
    let start = problem.uniform_start();
    let oc = Flow::OptimalityCriteria(OptimalityCriteria::default());
    let lgf = Lgf::new(oc).unwrap().stopping(Stopping::default().evaluations(5).tolerance(0.0)).unwrap();
    let report = lgf.on(CpuEngine::new()).minimize(&mut problem, &start).unwrap();
    let reference = [(1, 1047.147564), (2, 582.2200), (3, 392.6454), (5, 266.6345)];
    for (evaluation, value) in reference {
        let found = report.history[evaluation - 1].objective;
        assert!((found / value - 1.0).abs() < 1e-5, "{evaluation}: {found} against {value}");
    }
}

#[test]
fn every_preset_in_space_is_optimized_and_keeps_its_symmetry() {
    for (preset, mirrors) in [
        (Preset::Mbb, &[][..]),
        (Preset::Cantilever, &[2]),
        (Preset::LBracket, &[2]),
        (Preset::Bridge, &[0, 2]),
        (Preset::Torsion, &[1, 2]),
    ] {
        let structure = Structure::preset(preset, &[13, 8, 6]).unwrap();
        let mut problem = Compliance::new(structure).unwrap();
        let mut recipe = Recipe::default();
        recipe.stopping.max_evaluations = 12;
        let solution = recipe.solve(&mut problem, CpuEngine::new(), ()).unwrap();
        assert!(solution.volume <= 0.2 * (1.0 + 1e-9), "{preset:?}: {}", solution.volume);
        assert!(solution.objective < 0.7 * solution.report.history[0].objective, "{preset:?}");
        let mesh = *problem.mesh();
        for axis in mirrors {
            let image = |e: usize| {
                let mut place = mesh.element_place(e);
                place[*axis] = mesh.size()[*axis] - 1 - place[*axis];
                solution.design[mesh.element(place)]
            };
            assert!((0..mesh.elements()).all(|e| solution.design[e] == image(e)), "{preset:?} {axis}");
        }
    }
}

/// A mask of half the resolution on every element: the hole is where the mask is, on the coarse grids too.
#[test]
fn regions_of_cells_hold_on_every_mesh() {
    let size = [6, 4, 3];
    let inside: Vec<bool> = (0..72).map(|i| i % 6 == 2 && i / 6 % 4 < 2).collect();
    let cells = Cells { size, inside: inside.clone() };
    let region = Region::void(Shape::Mask(RegionFile::with_cells("mask.npy", cells)));
    for elements in [[12, 8, 6], [6, 4, 3]] {
        let structure = Structure::preset(Preset::Cantilever, &elements).unwrap().with(region.clone());
        let problem = Compliance::new(structure).unwrap();
        let density = problem.physical_density(&problem.uniform_start()).unwrap();
        let mesh = problem.mesh();
        for (e, density) in density.iter().enumerate() {
            let place = mesh.element_place(e);
            let [x, y, z] = std::array::from_fn(|a| place[a] * size[a] / elements[a] as usize);
            assert_eq!(*density == 0.0, inside[x + 6 * (y + 4 * z)]);
        }
    }
    let unread = Region::void(Shape::Mask(RegionFile::new("mask.npy")));
    let structure = Structure::preset(Preset::Cantilever, &[6, 4, 3]).unwrap().with(unread);
    let message = Compliance::new(structure).unwrap_err().to_string();
    assert_eq!(message, "regions[0].at is a file that has not been read");
}

/// A design of a coarser mesh is a start: no worse than where it came from, and better than a uniform one.
#[test]
fn a_run_goes_on_from_a_design_of_another_resolution() {
    for elements in [vec![24, 12], vec![16, 8, 8]] {
        let half: Vec<u32> = elements.iter().map(|n| n / 2).collect();
        let structure = |elements: &[u32]| Structure::preset(Preset::Cantilever, elements).unwrap();
        let mut coarse = Compliance::new(structure(&half)).unwrap();
        let mut recipe = Recipe::default().cold();
        recipe.stopping.max_evaluations = 25;
        let found = recipe.solve(&mut coarse, CpuEngine::new(), ()).unwrap();
        let mut fine = Compliance::new(structure(&elements)).unwrap();
        let from = (coarse.mesh(), &found.design[..]);
        recipe.stopping.max_evaluations = 3;
        let warm = recipe.solve_from(&mut fine, from, CpuEngine::new(), ()).unwrap();
        let cold = recipe.solve(&mut fine, CpuEngine::new(), ()).unwrap();
        assert!(warm.levels.is_empty());
        assert!(warm.report.history[0].objective < 0.8 * cold.objective, "{elements:?}");
        let other = Mesh::new(&[3, 3, 3][..5 - elements.len()]).unwrap();
        let design = vec![0.2; other.elements()];
        assert!(recipe.solve_from(&mut fine, (&other, &design), CpuEngine::new(), ()).is_err());
    }
}

#[test]
fn what_makes_no_sense_is_named_as_in_a_problem_file() {
    let good = || complicated(3);
    let cases: Vec<(Structure, &str)> = vec![
        (Structure { supports: Vec::new(), ..good() }, "supports is empty"),
        (Structure { load_cases: Vec::new(), ..good() }, "load-cases is empty"),
        (
            {
                let mut s = good();
                s.supports[0].at = Shape::Point(vec![0.0, 0.0]);
                s
            },
            "supports[0].at has a point of 2 coordinates; the mesh has 3 axes",
        ),
        (
            {
                let mut s = good();
                s.load_cases[1].loads[0].force = Force::Traction(vec![0.0, 1.0, 0.0]);
                s
            },
            "load-cases[1].loads[0] is a force on a unit of area, and the nodes of its shape are no surface",
        ),
        (
            {
                let mut s = good();
                s.load_cases[1].loads[0].force = Force::Pressure(1.0);
                s
            },
            "load-cases[1].loads[0] is a pressure on a shape that is no plane",
        ),
        (
            {
                let mut s = good();
                s.load_cases[0].loads.clear();
                s
            },
            "load-cases[0] has neither loads nor gravity",
        ),
        (
            {
                let mut s = good();
                s.mesh.lengths = vec![600.0, 4.0, 3.5];
                s
            },
            "mesh has elements of 100.0000 x 0.8000 x 0.8750; no side may be more than 10 times another",
        ),
        (
            {
                let mut s = good();
                s.regions[0].at = plane(Axis::X, 1.0);
                s
            },
            "regions[0].at is a point or a plane, which holds no element",
        ),
        (
            {
                let mut s = good();
                s.supports[0].fix = Directions::only(Axis::X);
                s
            },
            "load case 1 at (6, 0, 0) and the supports exclude each other",
        ),
    ];
    for (structure, expected) in cases {
        let message = Compliance::new(structure).unwrap_err().to_string();
        assert!(message.starts_with(expected), "{message}");
    }
}
