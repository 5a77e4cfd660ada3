use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Every, Journal, Journaled};
use crate::domain::Domain;
use crate::engine::gpu::{AdapterChoice, SolidDevice};
use crate::engine::{CpuEngine, Engine, GpuEngine};
use crate::error::ObjectiveError;
use crate::flow::{Flow, Newton, OptimalityCriteria};
use crate::method::{Field, Method, Potential, Stopping};
use crate::objective::Objective;
use crate::observe::{self, Event};
use crate::problems::{NonlinearHeat, Rosenbrock};
use crate::report::Report;
use crate::run::Lgf;
use crate::surrogate::SurrogateConfig;
use crate::topology::{Compliance, FilterKind, Levels, Preset, Recipe, Solution, Structure};

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// A closure that copies the journal at each of these evaluations, as if the run were killed there.
fn killed_at<'a>(
    journal: (&'a Journal, &'a Path),
    at: &'a [usize],
    copies: &'a Path,
) -> impl FnMut(Event<'_>) -> ControlFlow<()> + 'a {
    let mut evaluations = 0;
    move |event| {
        if let Event::TrueStep { .. } | Event::Landed { entry: Some(_), .. } = event {
            evaluations += 1;
            if at.contains(&evaluations) {
                journal.0.flush();
                copy_folder(journal.1, &copies.join(evaluations.to_string()));
            }
        }
        ControlFlow::Continue(())
    }
}

fn assert_same(a: &Solution, b: &Solution, killed: usize) {
    let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert!(bits(&a.design) == bits(&b.design), "killed at {killed}: another design");
    assert_eq!(a.objective.to_bits(), b.objective.to_bits(), "killed at {killed}");
    assert_eq!(a.report.history, b.report.history, "killed at {killed}");
    assert_eq!(a.spent, b.spent, "killed at {killed}");
    let iterations = |s: &Solution| s.solves.iter().map(|s| (s.evaluation, s.iterations)).collect::<Vec<_>>();
    assert_eq!(iterations(a), iterations(b), "killed at {killed}");
}

/// A structure's run is killed at some evaluations and gone on with from each of them.
fn check_structure<E: Engine>(
    recipe: Recipe,
    every: Every,
    at: &[usize],
    problem: impl Fn() -> Compliance,
    engine: impl Fn() -> E,
) {
    let folder = TempDir::new().unwrap();
    let plain = recipe.solve(&mut problem(), engine(), ()).unwrap();
    let kept = folder.path().join("journal");
    let journal = Journal::create(&kept, "a structure", every).unwrap();
    let mut journaled = problem();
    journaled.journal(&journal);
    let watch = observe::from_fn(killed_at((&journal, &kept), at, folder.path()));
    let whole = recipe.solve(&mut journaled, engine(), watch).unwrap();
    assert_same(&plain, &whole, 0);
    for killed in at {
        let journal = Journal::resume(&folder.path().join(killed.to_string()), "a structure", every).unwrap();
        let replays = journal.replays();
        assert!(replays <= *killed && replays + 12 > *killed, "{replays} of {killed}");
        let mut again = problem();
        again.journal(&journal);
        assert_same(&plain, &recipe.solve(&mut again, engine(), ()).unwrap(), *killed);
    }
}

/// What is evaluated after an interruption, on the grids that were still to come, is not journaled.
#[test]
fn an_interrupted_run_goes_on_where_it_was_interrupted() {
    let folder = TempDir::new().unwrap();
    let structure = Structure::preset(Preset::Cantilever, &[20, 10, 10]).unwrap();
    let recipe = Recipe::default();
    let stopping = Stopping { max_evaluations: 12, ..recipe.stopping };
    let recipe = Recipe { stopping, levels: Levels::Count(2), ..recipe };
    let run = |journal: Option<&Journal>, interrupted_at: usize| {
        let mut problem = Compliance::new(structure.clone()).unwrap();
        if let Some(journal) = journal {
            problem.journal(journal);
        }
        let mut evaluations = 0;
        let watch = observe::from_fn(move |event: Event<'_>| {
            evaluations += usize::from(matches!(event, Event::TrueStep { .. } | Event::Landed { .. }));
            if evaluations >= interrupted_at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        recipe.solve(&mut problem, CpuEngine::new(), watch).unwrap()
    };
    let whole = run(None, usize::MAX);
    for at in [9, 50] {
        let kept = folder.path().join(at.to_string());
        let journal = Journal::create(&kept, "a structure", Every::Evaluations(4)).unwrap();
        let part = run(Some(&journal), at);
        assert!(part.spent.coarse_grids < whole.spent.coarse_grids);
        drop(journal);
        let journal = Journal::resume(&kept, "a structure", Every::Evaluations(4)).unwrap();
        assert!((at..at + 3).contains(&journal.replays()), "{} of {at}", journal.replays());
        assert_same(&whole, &run(Some(&journal), usize::MAX), at);
    }
}

#[test]
fn a_killed_run_in_the_plane_ends_the_same() {
    let mbb = || Compliance::new(Structure::mbb(40, 14, FilterKind::Density)).unwrap();
    let oc = Flow::OptimalityCriteria(OptimalityCriteria::default());
    let methods: [Method; 3] =
        [Potential::default().into(), oc.into(), Field::adaptive(oc, SurrogateConfig::snapshots()).into()];
    for method in methods {
        let recipe = Recipe::new(method);
        let stopping = Stopping { max_evaluations: 25, ..recipe.stopping };
        let recipe = Recipe { stopping, levels: Levels::Auto, ..recipe };
        check_structure(recipe, Every::default(), &[1, 30, 61, 110, 135], mbb, CpuEngine::new);
    }
}

/// The states of several solvers are kept, at the pace of the journal and where one grid gives way to the
/// next.
#[test]
fn a_killed_run_in_space_ends_the_same() {
    let structure = Structure::preset(Preset::Cantilever, &[20, 10, 10]).unwrap();
    let problem = || Compliance::new(structure.clone()).unwrap();
    let recipe = Recipe::default();
    let stopping = Stopping { max_evaluations: 20, ..recipe.stopping };
    let recipe = Recipe { stopping, levels: Levels::Count(2), ..recipe };
    check_structure(recipe, Every::Evaluations(4), &[2, 9, 40, 77, 100], problem, CpuEngine::single);
}

#[test]
fn a_killed_run_on_a_device_ends_the_same() {
    let structure = Structure::preset(Preset::Cantilever, &[10, 6, 6]).unwrap();
    let device = SolidDevice::open(&AdapterChoice::Any).unwrap();
    let problem = || Compliance::on_device(structure.clone(), &device).unwrap();
    let recipe = Recipe::default().cold();
    let recipe = Recipe { stopping: Stopping { max_evaluations: 8, ..recipe.stopping }, ..recipe };
    let engine = || GpuEngine::open(AdapterChoice::Any).unwrap();
    check_structure(recipe, Every::Evaluations(2), &[3, 6], problem, engine);
}

/// Newton's directions are answers as well; a run that was killed between a value and its direction evaluates
/// once more.
#[test]
fn a_run_by_newtons_method_goes_on() {
    let folder = TempDir::new().unwrap();
    let run = |journal: &Journal, evaluations| {
        let heat = NonlinearHeat::new(12).unwrap();
        let start = vec![0.5; heat.dimension()];
        let lgf = Lgf::new(Flow::Newton(Newton { rate: 0.5 })).unwrap();
        let stopping = Stopping { max_evaluations: evaluations, tolerance: 0.0, ..Stopping::default() };
        let lgf = lgf.stopping(stopping).unwrap().on(CpuEngine::new());
        lgf.minimize(Journaled::new(heat, journal), &start).unwrap()
    };
    let whole = run(&Journal::create(&folder.path().join("whole"), "heat", Every::default()).unwrap(), 12);
    let part = folder.path().join("part");
    run(&Journal::create(&part, "heat", Every::default()).unwrap(), 7);
    let journal = Journal::resume(&part, "heat", Every::default()).unwrap();
    assert_eq!(journal.replays(), 7);
    let report = run(&journal, 12);
    assert_eq!(report.history, whole.history);
    assert_eq!(report.x, whole.x);
}

/// An objective that counts its evaluations, and answers by that count: it has a state.
struct Counting {
    count: u64,
    evaluated: usize,
}

impl Objective for &mut Counting {
    fn dimension(&self) -> usize {
        3
    }
    fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64, ObjectiveError> {
        self.count += 1;
        self.evaluated += 1;
        let shift = 1e-3 / self.count as f64;
        gradient.iter_mut().zip(x).for_each(|(g, x)| *g = 2.0 * (x - shift));
        Ok(x.iter().map(|x| (x - shift).powi(2)).sum())
    }
    fn domain(&self) -> Domain {
        Domain::Unbounded
    }
    fn has_state(&self) -> bool {
        true
    }
    fn state(&self) -> Result<Vec<u8>, ObjectiveError> {
        Ok(self.count.to_le_bytes().to_vec())
    }
    fn restore(&mut self, state: &[u8]) -> Result<(), ObjectiveError> {
        self.count = u64::from_le_bytes(state.try_into()?);
        Ok(())
    }
}

/// Runs the counting objective; returns the report and the number of evaluations that were computed.
fn count(journal: &Journal, evaluations: usize) -> (Report, usize) {
    watched_count(journal, evaluations, |_| ControlFlow::Continue(()))
}

fn watched_count(
    journal: &Journal,
    evaluations: usize,
    watch: impl FnMut(Event<'_>) -> ControlFlow<()>,
) -> (Report, usize) {
    let mut counting = Counting { count: 0, evaluated: 0 };
    let flow = Flow::Adam(crate::flow::Adam::new(0.05));
    let stopping = Stopping { max_evaluations: evaluations, tolerance: 0.0, ..Stopping::default() };
    let lgf = Lgf::new(flow).unwrap().stopping(stopping).unwrap().on(CpuEngine::new());
    let objective = Journaled::new(&mut counting, journal);
    let report = lgf.observe(observe::from_fn(watch)).minimize(objective, &[1.0, -2.0, 0.5]).unwrap();
    (report, counting.evaluated)
}

const ID: &str = "a count";

/// A run of 30 evaluations, and its journal as it is when the run is killed after 18 of them: with the states
/// after the 12th and the 16th.
fn killed_count(folder: &Path) -> (Report, PathBuf) {
    let kept = folder.join("kept");
    let journal = Journal::create(&kept, ID, Every::Evaluations(4)).unwrap();
    let (report, _) = watched_count(&journal, 30, killed_at((&journal, &kept), &[18], folder));
    (report, folder.join("18"))
}

fn resume(folder: &Path) -> Journal {
    Journal::resume(folder, ID, Every::Evaluations(4)).unwrap()
}

#[test]
fn a_run_goes_on_from_the_last_state_that_was_kept() {
    let folder = TempDir::new().unwrap();
    let (whole, killed) = killed_count(folder.path());
    let journal = resume(&killed);
    assert_eq!(journal.replays(), 16);
    let (report, evaluated) = count(&journal, 30);
    assert_eq!((report.history, evaluated), (whole.history, 14));
    journal.remove().unwrap();
    assert!(!killed.exists());
}

/// Of two states the one before is taken where the last one is altered, and the answers after it are made
/// again.
#[test]
fn an_altered_state_is_recognised() {
    let folder = TempDir::new().unwrap();
    let (whole, killed) = killed_count(folder.path());
    let last = killed.join("state-0-15.bin");
    let mut bytes = fs::read(&last).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&last, bytes).unwrap();
    let journal = resume(&killed);
    assert_eq!(journal.replays(), 12);
    assert_eq!(count(&journal, 30).0.history, whole.history);
}

/// A state that belongs to a record which is made again is not taken for that of the new record.
#[test]
fn states_after_the_last_record_that_counts_are_removed() {
    let folder = TempDir::new().unwrap();
    let (_, killed) = killed_count(folder.path());
    let file = killed.join("journal.bin");
    let bytes = fs::read(&file).unwrap();
    // The 15th record is cut off: the state after the 16th is of a record that is gone.
    fs::write(&file, &bytes[..bytes.len() - 4 * 72 + 5]).unwrap();
    assert!(killed.join("state-0-15.bin").exists());
    assert_eq!(resume(&killed).replays(), 12);
    assert!(!killed.join("state-0-15.bin").exists() && killed.join("state-0-11.bin").exists());
}

#[test]
fn a_journal_that_was_cut_off_or_altered_anywhere_ends_there() {
    let folder = TempDir::new().unwrap();
    let (whole, killed) = killed_count(folder.path());
    let file = killed.join("journal.bin");
    let bytes = fs::read(&file).unwrap();
    let header = bytes.len() - 18 * (48 + 24);
    for (place, altered) in [(header + 5, 1), (header + 72 * 9 + 50, 1), (bytes.len() - 1, 0), (header, 0)] {
        let copy = folder.path().join(format!("copy-{place}-{altered}"));
        copy_folder(&killed, &copy);
        let mut bytes = bytes.clone();
        if altered == 1 {
            bytes[place] ^= 16
        } else {
            bytes.truncate(place)
        }
        fs::write(copy.join("journal.bin"), &bytes).unwrap();
        let journal = resume(&copy);
        let whole_records = (place - header) / 72;
        // States are kept after the 12th and the 16th record only.
        let expected = [16, 12, 0].into_iter().find(|n| *n <= whole_records).unwrap();
        assert_eq!(journal.replays(), expected, "{place}");
        assert_eq!(count(&journal, 30).0.history, whole.history, "{place}");
    }
}

#[test]
fn a_journal_of_another_run_or_format_is_refused() {
    let folder = TempDir::new().unwrap();
    let (_, killed) = killed_count(folder.path());
    let refused = |folder: &Path, identity| {
        Journal::resume(folder, identity, Every::default()).unwrap_err().to_string()
    };
    assert!(refused(&killed, "another count").contains("of another run"));
    assert!(refused(&folder.path().join("none"), ID).contains("journal.bin"));
    let file = killed.join("journal.bin");
    let bytes = fs::read(&file).unwrap();
    let write = |place: usize, value: u8| {
        let mut bytes = bytes.clone();
        bytes[place] = value;
        fs::write(&file, bytes).unwrap();
    };
    write(7, 9);
    assert!(refused(&killed, ID).contains("another version"));
    write(0, b'x');
    assert!(refused(&killed, ID).contains("no checkpoint"));
    // A length beyond the file is not allocated.
    write(14, 1);
    assert!(refused(&killed, ID).contains("altered or cut off"));
    write(21, b'x');
    assert!(refused(&killed, ID).contains("altered or cut off"));
}

#[test]
fn one_folder_serves_one_run_at_a_time_and_loses_none() {
    let folder = TempDir::new().unwrap();
    let kept = folder.path().join("kept");
    let first = Journal::create(&kept, ID, Every::default()).unwrap();
    for refused in
        [Journal::create(&kept, "other", Every::default()), Journal::resume(&kept, ID, Every::default())]
    {
        assert!(refused.unwrap_err().to_string().contains("another run"));
    }
    count(&first, 5);
    drop(first);
    let second = Journal::create(&kept, "other", Every::default()).unwrap();
    assert_eq!(second.replays(), 0);
    let previous = kept.join("previous");
    assert_eq!(Journal::resume(&previous, ID, Every::default()).unwrap().replays(), 5);
    second.remove().unwrap();
    assert!(previous.join("journal.bin").exists());
}

/// A folder that is gone ends the journal, and the run goes on.
#[test]
fn a_folder_that_is_removed_ends_the_journal_only() {
    let folder = TempDir::new().unwrap();
    let (whole, _) = killed_count(folder.path());
    let kept = folder.path().join("gone");
    let journal = Journal::create(&kept, ID, Every::Evaluations(4)).unwrap();
    fs::remove_dir_all(&kept).unwrap();
    assert_eq!(count(&journal, 30).0.history, whole.history);
    assert!(journal.fault().is_some());
    journal.remove().unwrap();
}

/// What is journaled belongs to other values: from the first x that is not the journal's on, the run is made
/// anew.
#[test]
fn a_run_that_takes_another_way_leaves_the_journal() {
    let folder = TempDir::new().unwrap();
    let journal = Journal::create(folder.path(), ID, Every::default()).unwrap();
    let run = |journal: &Journal, start: f64| {
        let objective = Journaled::new(Rosenbrock { dimension: 2 }, journal);
        let lgf = Lgf::potential().stopping(Stopping::default().evaluations(10).tolerance(1e-6)).unwrap();
        lgf.on(CpuEngine::new()).minimize(objective, &[start, 1.0]).unwrap()
    };
    run(&journal, -1.2);
    drop(journal);
    let journal = Journal::resume(folder.path(), ID, Every::default()).unwrap();
    assert_eq!(journal.replays(), 10);
    let changed = run(&journal, -1.1);
    let plain = Lgf::potential().stopping(Stopping::default().evaluations(10).tolerance(1e-6)).unwrap();
    let plain = plain.on(CpuEngine::new()).minimize(Rosenbrock { dimension: 2 }, &[-1.1, 1.0]).unwrap();
    assert_eq!(changed.history, plain.history);
    drop(journal);
    assert_eq!(Journal::resume(folder.path(), ID, Every::default()).unwrap().replays(), 10);
}

/// An evaluation that failed and ended a run is made again, for its cause may be gone.
#[test]
fn a_failure_that_ended_a_run_is_tried_again() {
    let folder = TempDir::new().unwrap();
    let run = |journal: &Journal, fails_at: usize| {
        let mut number = 0;
        let objective = crate::objective::FnObjective::new(1, |x: &[f64], g: &mut [f64]| {
            number += 1;
            if number == fails_at {
                return Err("the licence server is away".into());
            }
            g[0] = 2.0 * x[0];
            Ok(x[0] * x[0])
        });
        let flow = Flow::GradientDescent(crate::flow::GradientDescent { rate: 0.1 });
        let lgf =
            Lgf::new(flow).unwrap().stopping(Stopping::default().evaluations(8).tolerance(0.0)).unwrap();
        lgf.on(CpuEngine::new()).minimize(Journaled::new(objective, journal), &[1.0]).unwrap()
    };
    let journal = Journal::create(folder.path(), ID, Every::default()).unwrap();
    let cut = run(&journal, 4);
    assert!(cut.stop.to_string().contains("licence server"), "{}", cut.stop);
    drop(journal);
    let journal = Journal::resume(folder.path(), ID, Every::default()).unwrap();
    assert_eq!(journal.replays(), 3);
    let report = run(&journal, usize::MAX);
    assert_eq!((report.true_evaluations, report.history.len()), (8, 8));
}
