//! Reads the recordings, finds the equations, and writes what was found.

use std::path::Path;
use std::sync::atomic::Ordering;

use ndarray::{Array1, Array2};
use ndarray_npy::NpzWriter;

use super::args::Args;
use super::reading::load;
use super::summary;
use super::watcher::Watcher;
use crate::cli::ending::{Ending, interrupt_flag, print};
use crate::discover::{Aim, Discovery, Trajectory, recorded_input};
use crate::engine::{Engine, EngineChoice};
use crate::error::{Error, Result};
use crate::io;

pub(in crate::cli) fn run(args: &Args) -> Result<Ending> {
    let mut search = args.search()?;
    let interrupted = interrupt_flag()?;
    let mut watcher = Watcher::new(args.quiet, args.max_seconds, interrupted.clone())?;
    let recording = load(&args.file, args.dt, args.map)?;
    let trajectories = &recording.trajectories;
    let coordinates = trajectories[0].states().ncols();
    search.names = recording.names;
    search.input_names = recording.input_names;
    if !args.names.is_empty() {
        let inputs = trajectories[0].inputs().ncols();
        let split = coordinates.min(args.names.len());
        let (names, rest) = args.names.split_at(split);
        search.names = names.to_vec();
        if !rest.is_empty() || inputs == 0 {
            search.input_names = rest.to_vec();
        }
    } else if search.input_names.is_empty() && search.names.len() > coordinates {
        search.input_names = search.names.split_off(coordinates);
    }
    if search.aim == Aim::Tracked && trajectories.iter().any(|t| t.gradients().is_none()) {
        return Err(Error::only_with(
            "--targets tracked",
            format!("the recorded gradients, array `g`, which {} has not", args.file.display()),
        ));
    }
    let mut engine = EngineChoice::from(args.engine).open()?;
    let found = search.run_watched(trajectories, &mut engine, &mut |progress| watcher.told(progress))?;
    watcher.bar.finish_and_clear();
    let info = engine.info();
    let name = format!("{} ({})", info.kind.name(), info.adapter);
    if !args.quiet {
        print(&summary::text(trajectories, &found, &name))?;
    }
    if let Some(path) = &args.json {
        io::write_file(path, summary::record(trajectories, &found, info.kind.name(), &info.adapter)?)?;
    }
    if let Some(duration) = args.simulate
        && let Some(ending) = simulate(args, &trajectories[0], &found, duration)?
    {
        return Ok(ending);
    }
    Ok(if interrupted.load(Ordering::SeqCst) { Ending::Interrupted } else { Ending::Done })
}

/// Simulates from the first sample and writes the trajectory; an ending if the equations blow up.
fn simulate(
    args: &Args,
    trajectory: &Trajectory,
    found: &Discovery,
    duration: f64,
) -> Result<Option<Ending>> {
    let times = trajectory.times();
    let dt = trajectory.mean_spacing();
    let recorded = times[times.len() - 1] - times[0];
    if found.inputs() > 0 && duration > recorded * (1.0 + 1e-9) {
        return Err(Error::invalid(
            "the duration (--simulate)",
            duration,
            format!("at most {recorded}, for as long as the inputs are recorded"),
        ));
    }
    let input = recorded_input(times, trajectory.inputs());
    let (t, x) = found.simulate_with(trajectory.states().row(0), times[0], duration, dt, &input)?;
    let reached = t[t.len() - 1];
    save(&args.trajectory, &t, &x)?;
    if !args.quiet {
        print(&format!(
            "simulated to t = {reached}: {} written to {}\n",
            summary::count(t.len(), "sample"),
            args.trajectory.display()
        ))?;
    }
    Ok((reached < duration - 0.5 * dt).then(|| {
        Ending::Faulty(format!(
            "the equations leave the finite numbers at t = {reached}; the trajectory ends there"
        ))
    }))
}

fn save(path: &Path, t: &Array1<f64>, x: &Array2<f64>) -> Result<()> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut npz = NpzWriter::new(&mut bytes);
    let failed = |e: ndarray_npy::WriteNpzError| Error::encoding(path.display(), e);
    npz.add_array("t", t).map_err(failed)?;
    npz.add_array("x", x).map_err(failed)?;
    npz.finish().map_err(failed)?;
    io::write_file(path, bytes.into_inner())
}
