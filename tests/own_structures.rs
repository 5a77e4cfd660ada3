//! What people's own structures broke: places outside of the box, areas that meshes cut, starts from other
//! problems, loads that do nothing, and what an optimizer rests at.

use lgf::engine::CpuEngine;
use lgf::topology::{
    Axis, Compliance, Directions, FilterKind, Force, Load, LoadCase, Material, PlaneState, Recipe, Region,
    Shape, Structure, Support, Symmetry,
};

fn flat(lower: &[f64], upper: &[f64]) -> Shape {
    Shape::Box { lower: lower.to_vec(), upper: upper.to_vec() }
}

/// A box of these lengths that is clamped at x = 0, under one force.
fn clamped(elements: &[u32], lengths: &[f64], at: Shape, force: Force) -> Structure {
    let mut structure = Structure::new(elements, 0.4);
    structure.mesh.lengths = lengths.to_vec();
    structure.radius = 1.5 * structure.sides()[0];
    let wall = Shape::Plane { axis: Axis::X, at: 0.0 };
    structure.supports = vec![Support { at: wall, fix: Directions::ALL }];
    structure.load_cases = vec![LoadCase::of(vec![Load { at, force }])];
    structure
}

/// The resultant of a structure's first load case, and its moment about the origin: Σ x ∧ f.
fn resultant(structure: Structure) -> ([f64; 3], [f64; 3]) {
    let sides = structure.sides();
    let problem = Compliance::new(structure).unwrap();
    let (mut force, mut moment) = ([0.0; 3], [0.0; 3]);
    for (dof, value) in &problem.boundary().cases[0].forces {
        let (node, axis) = problem.mesh().node_and_axis(*dof);
        let place = problem.mesh().node_place(node);
        let mut x: [f64; 3] = std::array::from_fn(|k| place[k] as f64 * sides[k]);
        if problem.mesh().dimension() == 2 {
            x[2] = 0.0;
        }
        let mut f = [0.0; 3];
        f[axis] = *value;
        force[axis] += value;
        for (k, moment) in moment.iter_mut().enumerate() {
            let (i, j) = ((k + 1) % 3, (k + 2) % 3);
            *moment += x[i] * f[j] - x[j] * f[i];
        }
    }
    (force, moment)
}

/// A pressure times its true area, at the middle of it, on meshes that cut the area anywhere.
#[test]
fn pressure_has_the_resultant_of_its_area_on_every_mesh() {
    let near = |found: [f64; 3], exact: [f64; 3]| {
        let size = exact.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        found.iter().zip(exact).all(|(a, b)| (a - b).abs() < 1e-12 * size)
    };
    for elements in [[20, 10, 10], [7, 5, 3], [40, 20, 20], [13, 4, 9]] {
        let at = || flat(&[8.6, 10.0, 3.6], &[11.4, 10.0, 6.9]);
        let (area, [x, y, z]) = (2.8 * 3.3, [10.0, 10.0, 5.25]);
        let (force, moment) = resultant(clamped(&elements, &[20.0, 10.0, 10.0], at(), Force::Pressure(3.0)));
        // The pressure acts on the upper face, so downwards.
        let f = -3.0 * area;
        assert!(near(force, [0.0, f, 0.0]), "{elements:?}: {force:?}");
        assert!(near(moment, [-z * f, 0.0, x * f]), "{elements:?}: {moment:?}");
        let push = Force::Traction(vec![1.0, 2.0, -0.5]);
        let (force, moment) = resultant(clamped(&elements, &[20.0, 10.0, 10.0], at(), push));
        let f = [1.0, 2.0, -0.5].map(|t| t * area);
        assert!(near(force, f), "{elements:?}: {force:?}");
        let exact = [y * f[2] - z * f[1], z * f[0] - x * f[2], x * f[1] - y * f[0]];
        assert!(near(moment, exact), "{elements:?}: {moment:?}");
    }
    // A patch that is smaller than an element, and one that ends at the box's own end; in the plane the
    // thickness counts.
    for (elements, from, to) in [([20, 10], 8.6, 11.4), ([6, 3], 8.6, 8.9), ([11, 7], 17.7, 20.0)] {
        let mut structure =
            clamped(&elements, &[20.0, 10.0], flat(&[from, 10.0], &[to, 10.0]), Force::Pressure(2.0));
        structure.material.thickness = 0.25;
        let f = -2.0 * 0.25 * (to - from);
        let (force, moment) = resultant(structure);
        assert!(near(force, [0.0, f, 0.0]), "{elements:?}: {force:?}");
        assert!(near(moment, [0.0, 0.0, 0.5 * (from + to) * f]), "{elements:?}: {moment:?}");
    }
}

#[test]
fn what_has_no_place_or_no_effect_is_refused() {
    let tip = || Shape::Point(vec![20.0, 5.0]);
    let down = || Force::Total(vec![0.0, -1.0]);
    let good = || clamped(&[20, 10], &[20.0, 10.0], tip(), down());
    Compliance::new(good()).unwrap();
    let loaded = |at: Shape| clamped(&[20, 10], &[20.0, 10.0], at, down());
    let disc = |x: f64, radius: f64| Shape::Sphere { centre: vec![x, 5.0], radius };
    let held = |at: Shape| {
        let mut structure = good();
        structure.supports.push(Support { at, fix: Directions::ALL });
        structure
    };
    let solid = |change: &dyn Fn(&mut Structure)| {
        let at = Shape::Point(vec![20.0, 5.0, 5.0]);
        let force = Force::Total(vec![0.0, -1.0, 0.0]);
        let mut structure = clamped(&[20, 10, 10], &[20.0, 10.0, 10.0], at, force);
        change(&mut structure);
        structure
    };
    let pulled = |a: f64, b: f64| {
        let mut structure = good();
        let load = |force: f64| Load { at: tip(), force: Force::Total(vec![0.0, force]) };
        structure.load_cases = vec![LoadCase::of(vec![load(a), load(b)])];
        structure
    };
    let cases: Vec<(Structure, &str)> = vec![
        (loaded(Shape::Point(vec![20000.0, 5.0])), "load-cases[0].loads[0].at is outside of the box"),
        (loaded(Shape::Point(vec![20.0, -1.0])), "load-cases[0].loads[0].at is outside of the box"),
        (loaded(disc(100.0, 0.1)), "load-cases[0].loads[0].at is outside of the box"),
        (held(Shape::Plane { axis: Axis::Y, at: 11.0 }), "supports[1].at is outside of the box"),
        (held(disc(-3.0, 2.0)), "supports[1].at is outside of the box"),
        (loaded(Shape::Point(vec![0.0, 5.0])), "load-cases[0] has no effect"),
        (pulled(0.3, -0.3), "load-cases[0] has no effect"),
        (
            Structure {
                load_cases: vec![LoadCase { gravity: Some(vec![0.0, -9.81]), ..LoadCase::of(Vec::new()) }],
                ..good()
            },
            "load-cases[0].gravity acts on no mass; give material.density",
        ),
        (
            {
                let mut structure = good();
                let case = LoadCase { name: "wind".into(), ..structure.load_cases[0].clone() };
                structure.load_cases = vec![case.clone(), case];
                structure
            },
            "load-cases[1].name is \"wind\"",
        ),
        (Structure { symmetry: Symmetry::Z, ..good() }, "the symmetry of front and back"),
        (solid(&|s| s.material.thickness = 2.0), "material.thickness is for structures in two dimensions"),
        (solid(&|s| s.material.plane = PlaneState::Strain), "material.plane is for structures in two"),
    ];
    for (structure, expected) in cases {
        let message = Compliance::new(structure).unwrap_err().to_string();
        assert!(message.starts_with(expected), "{message}");
    }
    // What touches the box, or misses it by less than half an element, is moved to its border.
    let corner = Shape::Sphere { centre: vec![20.5, 9.0], radius: 1.0 };
    for structure in [held(corner), loaded(Shape::Point(vec![20.4, 5.0]))] {
        Compliance::new(structure).unwrap();
    }
    let rod = |from: f64, tilt: f64| {
        let at = Shape::Cylinder {
            from: vec![from, 9.0 + tilt, 5.0],
            to: vec![from + 3.0, 9.0, 5.0],
            radius: 1.0,
        };
        let mut structure = solid(&|_| {});
        structure.supports.push(Support { at, fix: Directions::ALL });
        Compliance::new(structure)
    };
    assert!(rod(20.9, 0.0).is_err(), "a rod along x ends where its end is");
    assert!(rod(20.9, 3.0).is_ok(), "a tilted one reaches back by its radius");
    assert!(rod(18.0, 0.0).is_ok());
}

#[test]
fn what_changes_nothing_or_locks_is_a_warning() {
    let tip = Shape::Point(vec![20.0, 5.0]);
    let good = || clamped(&[20, 10], &[20.0, 10.0], tip.clone(), Force::Total(vec![0.0, -1.0]));
    let warnings = |structure: Structure| Compliance::new(structure).unwrap().warnings();
    assert!(warnings(good()).is_empty());
    let ball = |x: f64, radius: f64| Region::void(Shape::Sphere { centre: vec![x, 5.0], radius });
    let found = warnings(good().with(ball(10.0, 2.0)).with(ball(200.0, 2.0)).with(ball(12.0, 0.1)));
    assert_eq!(found.len(), 2);
    assert!(found[0].starts_with("regions[1] changes nothing") && found[1].starts_with("regions[2]"));
    let strained = |poisson_ratio: f64, plane: PlaneState| {
        let material = Material { poisson_ratio, plane, ..Material::default() };
        warnings(Structure { material, ..good() }).len()
    };
    assert_eq!(strained(0.499, PlaneState::Strain), 1);
    assert_eq!(strained(0.45, PlaneState::Strain), 0);
    assert_eq!(strained(0.499, PlaneState::Stress), 0, "a thin plate gives way to its sides");
}

/// A design for another load or with less material is a start all the same.
#[test]
fn a_start_from_another_problem_is_led_back() {
    let size = [40, 20];
    let problem = |at: [f64; 2], volume_fraction: f64| {
        let load = Shape::Point(at.to_vec());
        let structure = clamped(&size, &[20.0, 10.0], load, Force::Total(vec![0.0, -1.0]));
        Compliance::new(Structure { volume_fraction, ..structure }).unwrap()
    };
    let recipe = Recipe::default();
    let mut short = problem([10.0, 10.0], 0.2);
    let first = recipe.solve(&mut short, CpuEngine::new(), ()).unwrap();
    let plain = recipe.solve(&mut problem([20.0, 5.0], 0.6), CpuEngine::new(), ()).unwrap();
    let from = (short.mesh(), &first.design[..]);
    // Too little material at any scale, so that all elements get more.
    let filled = recipe.solve_from(&mut problem([20.0, 5.0], 0.6), from, CpuEngine::new(), ()).unwrap();
    assert!((filled.volume - 0.6).abs() < 1e-6, "{}", filled.volume);
    assert!(filled.objective < 1.03 * plain.objective, "{} and {}", filled.objective, plain.objective);
    // Black and white, and nothing where the load is.
    let black: Vec<f64> = first.design.iter().map(|x| f64::from(u8::from(*x > 0.5))).collect();
    let plain = recipe.solve(&mut problem([20.0, 5.0], 0.2), CpuEngine::new(), ()).unwrap();
    let mut other = problem([20.0, 5.0], 0.2);
    let mixed = recipe.solve_from(&mut other, (short.mesh(), &black), CpuEngine::new(), ()).unwrap();
    assert!(mixed.objective < 1.1 * plain.objective, "{} and {}", mixed.objective, plain.objective);
    assert!(mixed.warnings.iter().any(|w| w.contains("does not carry load case 1")), "{:?}", mixed.warnings);
    // A design of the problem itself is a start as it is.
    let from = (short.mesh(), &first.design[..]);
    let again = recipe.solve_from(&mut problem([10.0, 10.0], 0.2), from, CpuEngine::new(), ()).unwrap();
    assert!(again.warnings.is_empty() && again.report.history[0].objective < 1.001 * first.objective);
}

/// On the coarsest grid the load falls on the wall that holds it; the run begins on a finer one.
#[test]
fn a_coarse_grid_that_loses_the_problem_is_left_out() {
    let at = Shape::Point(vec![1.0, 20.0]);
    let structure = clamped(&[80, 40], &[80.0, 40.0], at, Force::Total(vec![0.0, -1.0]));
    let structure = Structure { volume_fraction: 0.3, ..structure };
    let mut problem = Compliance::new(structure).unwrap();
    let solution = Recipe::default().solve(&mut problem, CpuEngine::new(), ()).unwrap();
    let grids: Vec<&str> = solution.levels.iter().map(|level| level.size.as_str()).collect();
    assert_eq!(grids[0], "40x20", "{grids:?}");
    assert!(!solution.report.stop.is_fault());
}

/// Under its own weight alone a structure has next to no curvature to learn at first, and landings far up
/// later; a run ends where it is stationary, or says that it is not.
#[test]
fn a_run_under_its_own_weight_ends_at_rest() {
    let mut arch = clamped(&[40, 20], &[40.0, 20.0], Shape::Point(vec![0.0, 0.0]), Force::Pressure(1.0));
    arch.filter = FilterKind::Density;
    arch.volume_fraction = 0.35;
    arch.material.density = 1.0;
    let foot = |from: f64| Support { at: flat(&[from, 0.0], &[from + 1.0, 0.0]), fix: Directions::ALL };
    arch.supports = vec![foot(0.0), foot(39.0)];
    arch.load_cases = vec![LoadCase { gravity: Some(vec![0.0, -1.0]), ..LoadCase::of(Vec::new()) }];
    let solve =
        |recipe: Recipe| recipe.solve(&mut Compliance::new(arch.clone()).unwrap(), CpuEngine::new(), ());
    let solution = solve(Recipe::default()).unwrap();
    let residual = solution.report.kkt_residual.unwrap();
    let says_so = solution.warnings.iter().any(|w| w.contains("KKT residual"));
    assert!(residual < 0.1 || says_so, "{residual}: {:?}", solution.warnings);
    let cold = solve(Recipe::default().cold()).unwrap();
    assert!(cold.objective < 0.02 * cold.report.history[0].objective, "{}", cold.objective);
}
