//! Tests of the recipe for structures: sound defaults, honest refusals, symmetry and budgets.

use lgf::engine::{CpuEngine, EngineChoice};
use lgf::flow::{Adam, Flow, OptimalityCriteria};
use lgf::method::{Method, Potential};
use lgf::objective::Objective;
use lgf::report::StopReason;
use lgf::topology::{
    Compliance, Continuation, FilterKind, Level, Levels, Mesh, Preset, Projection, Recipe, Region, Shape,
    Solution, Structure, Symmetry,
};

/// A hole in parts of the width and the height of a box of unit squares.
fn hole([width, height]: [f64; 2], x: f64, y: f64, radius: f64) -> Region {
    Region::void(Shape::Sphere { centre: vec![x * width, y * height], radius: radius * height })
}

/// A structure of the plane with the filter radius that the half beam has.
fn preset(preset: Preset, size: [u32; 2], filter: FilterKind) -> Structure {
    let radius = Structure::mbb(size[0], size[1], filter).radius;
    Structure { filter, radius, ..Structure::preset(preset, &size).unwrap() }
}

fn solve(config: &Structure, recipe: Recipe) -> (Compliance, Solution) {
    let mut problem = Compliance::new(config.clone()).unwrap();
    let solution = recipe.solve(&mut problem, CpuEngine::new(), ()).unwrap();
    (problem, solution)
}

/// The hole takes the roller of the half beam; another one cuts the cantilever in two.
#[test]
fn structures_that_cannot_carry_their_load_are_refused() {
    let mbb = Structure::mbb(60, 20, FilterKind::Density).with(hole([60.0, 20.0], 1.0, 0.0, 0.3));
    let message = Compliance::new(mbb).unwrap_err().to_string();
    assert!(
        message.contains("load case 1 at (0, 20)") && message.contains("support at (60, 0)"),
        "{message}"
    );
    let cantilever = preset(Preset::Cantilever, [40, 20], FilterKind::Density);
    let cantilever = cantilever.with(hole([40.0, 20.0], 0.5, 0.5, 0.6));
    let message = Compliance::new(cantilever).unwrap_err().to_string();
    assert!(message.contains("load case 1 at (40, 0)") && message.contains("from all others"), "{message}");
}

/// Plain OC, run to its end, reaches 810.5 and 89 evaluations; the recipe used to end at 892.5.
#[test]
fn low_volume_on_a_small_grid_is_no_worse_than_plain_oc() {
    let config =
        Structure { volume_fraction: 0.2, radius: 1.5, ..Structure::mbb(60, 20, FilterKind::Density) };
    let (_, solution) = solve(&config, Recipe::default());
    assert!(solution.objective <= 810.5, "{}", solution.objective);
}

/// The best that was known at 180x60 is 234.63, without raising the penalty; the recipe used to end at
/// 240.34.
#[test]
fn the_default_layout_is_as_good_as_the_best_of_its_parts() {
    let (_, solution) = solve(&Structure::mbb(180, 60, FilterKind::Density), Recipe::default());
    assert!(solution.objective <= 1.003 * 234.63, "{}", solution.objective);
}

#[test]
fn symmetric_problems_have_symmetric_designs_unless_that_is_not_wanted() {
    let bridge =
        Structure { volume_fraction: 0.4, ..preset(Preset::TwoLoadBridge, [60, 20], FilterKind::Density) };
    let cantilever = preset(Preset::CantileverTwoLoads, [40, 20], FilterKind::Density);
    let mirrored = |mesh: &Mesh, e: usize, x: bool| {
        let mut place = mesh.element_place(e);
        let axis = usize::from(!x);
        place[axis] = mesh.size()[axis] - 1 - place[axis];
        mesh.element(place)
    };
    let asymmetry = |config: &Structure, x: bool| {
        let (problem, solution) = solve(config, Recipe::default());
        let density = problem.physical_density(&solution.design).unwrap();
        let design = &solution.design;
        let images = |field: &[f64]| {
            (0..field.len())
                .map(|e| (field[e] - field[mirrored(problem.mesh(), e, x)]).abs())
                .fold(0.0, f64::max)
        };
        (images(design), images(&density))
    };
    for (config, x) in [(&bridge, true), (&cantilever, false)] {
        let (design, density) = asymmetry(config, x);
        assert_eq!(design, 0.0);
        // The filter adds up neighbours in another order.
        assert!(density < 1e-14, "{density:e}");
    }
    // A cantilever with one load is not symmetric, and is made so where that is asked for.
    let single = preset(Preset::Cantilever, [40, 20], FilterKind::Density);
    assert!(asymmetry(&single, false).0 > 0.1);
    assert_eq!(asymmetry(&Structure { symmetry: Symmetry::Y, ..single }, false).0, 0.0);
}

/// The gradient of x -> c((x + Mx)/2) is that of the objective which is evaluated.
#[test]
fn the_gradient_of_a_symmetric_design_is_exact() {
    let config =
        Structure { symmetry: Symmetry::Both, ..preset(Preset::Cantilever, [9, 6], FilterKind::Density) };
    let mut problem = Compliance::new(config).unwrap();
    let mut x: Vec<f64> = (0..54).map(|e| 0.4 + 0.2 * (e as f64).sin()).collect();
    let mut gradient = vec![0.0; 54];
    problem.evaluate(&x, &mut gradient).unwrap();
    for e in [0, 17, 40, 53] {
        let h = 1e-4;
        let at = x[e];
        let mut value = |by: f64| {
            x[e] = at + by;
            problem.compliance(&x).unwrap()
        };
        let slope = (value(h) - value(-h)) / (2.0 * h);
        x[e] = at;
        assert!((slope - gradient[e]).abs() < 1e-5 * slope.abs(), "{slope} and {}", gradient[e]);
    }
}

/// Softer projections, raised penalties and competing layouts on the given grid share its budget, and the
/// counts add up.
#[test]
fn a_budget_is_a_budget() {
    let base = Structure::mbb(40, 16, FilterKind::Density);
    let projected = Structure { projection: Some(Projection { beta: 8.0 }), ..base.clone() };
    let narrow = Structure { radius: 1.5, ..base.clone() };
    for (config, continuation, levels) in [
        (&projected, Continuation::Auto, Levels::Auto),
        (&projected, Continuation::On, Levels::Count(1)),
        (&narrow, Continuation::Auto, Levels::Auto),
        (&base, Continuation::On, Levels::Count(1)),
    ] {
        for budget in [1, 3, 20, 60] {
            let mut recipe = Recipe { continuation, levels, ..Recipe::default() };
            recipe.stopping.max_evaluations = budget;
            let (problem, solution) = solve(config, recipe);
            let spent = solution.spent;
            assert!(spent.given_grid <= budget, "{spent:?} of {budget}");
            // One for the result; softer problems count their own, competing layouts are evaluated here.
            let own = problem.evaluations() - 1;
            assert!((solution.report.true_evaluations..=spent.given_grid).contains(&own), "{own}");
            let (on_grid, coarse): (Vec<&Level>, Vec<&Level>) =
                solution.levels.iter().partition(|level| level.size.starts_with("40x16"));
            let sum = |levels: &[&Level]| levels.iter().map(|l| l.true_evaluations).sum::<usize>();
            assert_eq!(sum(&on_grid) + solution.report.true_evaluations, spent.given_grid);
            assert_eq!(sum(&coarse), spent.coarse_grids);
            assert!(spent.coarse_grids <= 122, "{spent:?}");
        }
    }
}

/// A run that converges with its n-th evaluation has converged also when it has no more than n.
#[test]
fn convergence_on_the_last_evaluation_is_convergence() {
    let config = Structure::mbb(18, 6, FilterKind::Density);
    let oc = Flow::OptimalityCriteria(OptimalityCriteria::default());
    let adam = Flow::Adam(Adam::new(0.1));
    for method in [Potential::default().into(), oc.into(), Method::from(adam)] {
        let mut recipe = Recipe::new(method).cold();
        recipe.stopping.settled = None;
        let (_, free) = solve(&config, recipe);
        assert!(matches!(free.report.stop, StopReason::Converged { .. }), "{}", free.report.stop);
        recipe.stopping.max_evaluations = free.report.true_evaluations;
        let (_, tight) = solve(&config, recipe);
        assert_eq!(tight.report.stop, free.report.stop);
        assert_eq!(tight.objective, free.objective);
        recipe.stopping.max_evaluations -= 1;
        let (_, short) = solve(&config, recipe);
        assert!(matches!(short.report.stop, StopReason::MaxEvaluations { .. }), "{}", short.report.stop);
    }
}

#[test]
fn the_volume_is_never_above_its_bound() {
    let solid = Region::solid(Shape::Box { lower: vec![0.0, 16.0], upper: vec![40.0, 20.0] });
    for regions in [vec![], vec![hole([40.0, 20.0], 0.4, 0.5, 0.2), solid]] {
        let config = Structure { regions, ..Structure::mbb(40, 20, FilterKind::Density) };
        for choice in [EngineChoice::Cpu, EngineChoice::CpuSingle] {
            let mut problem = Compliance::new(config.clone()).unwrap();
            let solution = Recipe::default().solve(&mut problem, choice.open().unwrap(), ()).unwrap();
            assert!(solution.volume <= 0.5 * (1.0 + 2e-12), "{:e} above", solution.volume - 0.5);
        }
    }
}

#[test]
fn what_a_user_should_know_is_said() {
    let config = Structure { radius: 0.5, ..Structure::mbb(20, 10, FilterKind::Density) };
    let (_, solution) = solve(&config, Recipe::default());
    assert!(
        solution.warnings.iter().any(|w| w.contains("radius is 0.5 element sides")),
        "{:?}",
        solution.warnings
    );
    // So little material that no element is half full.
    let config =
        Structure { volume_fraction: 0.05, radius: 3.0, ..Structure::mbb(20, 10, FilterKind::Density) };
    let (_, solution) = solve(&config, Recipe::default());
    assert!(solution.warnings.iter().any(|w| w.contains("falls apart")), "{:?}", solution.warnings);
    let config = Structure::mbb(30, 10, FilterKind::Density);
    assert_eq!(solve(&config, Recipe::default()).1.warnings, Vec::<String>::new());
}
