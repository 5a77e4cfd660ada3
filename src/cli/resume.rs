//! The commands `lgf resume`, which goes on with what was cut short, and `lgf repeat`, which makes a
//! run again and compares.

use std::path::{Path, PathBuf};

use clap::Parser;
use serde::Deserialize;

use super::checkpoint::{CheckpointFlag, Identity, Sitting};
use super::command::{Cli, Command};
use super::{compare, main_job, run, topology};
use crate::cli::ending::{Ending, print};
use crate::error::{Error, Result};
use crate::report::HistoryEntry;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder of the run, the DIR of its --out
    #[arg(value_name = "DIR", default_value = "out")]
    dir: PathBuf,
    /// Print one JSON object and nothing else on the standard output
    #[arg(long)]
    json: bool,
    /// Print nothing but errors
    #[arg(long)]
    quiet: bool,
}

/// The words of a recorded command.
fn parse(command: &[String], of: &Path) -> Result<Cli> {
    Cli::try_parse_from(command)
        .map_err(|_| Error::format(of, "another version of lgf wrote it: the recorded command is unknown"))
}

/// The words of a recorded command as arguments of `lgf topology`.
fn parse_topology(command: &[String], of: &Path) -> Result<Box<topology::Args>> {
    match parse(command, of)?.command {
        Some(Command::Topology(args)) => Ok(args),
        _ => Err(Error::format(of, "the run was none of `lgf topology`, which alone can be repeated")),
    }
}

/// Makes the folder's path absolute, and goes to where the run's command was given, if that still exists, for
/// the paths in it.
fn go_to(directory: &Path, dir: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(dir).map_err(|e| Error::io(dir, e))?;
    if std::env::set_current_dir(directory).is_err() {
        log::warn!("{} is gone; paths in the run's command are taken from here", directory.display());
    }
    Ok(absolute)
}

/// Goes on with the run whose checkpoint is in the folder.
pub(super) fn resume(args: &Args) -> Result<Ending> {
    let identity = Identity::read(&args.dir)?;
    let cli = parse(&identity.command, &args.dir)?;
    let out = go_to(&identity.directory, &args.dir)?;
    let sitting = Sitting::Another(Box::new(identity));
    let is_json = |was: bool| args.json || (was && !args.quiet);
    match cli.command {
        Some(Command::Topology(mut run)) => {
            (run.out, run.json, run.quiet) = (out, is_json(run.json), run.quiet || args.quiet);
            topology::execute(&run, sitting)
        }
        Some(Command::Run(mut run)) => {
            (run.out, run.json, run.quiet) = (out, is_json(run.json), run.quiet || args.quiet);
            run::execute(&run, &sitting)
        }
        Some(Command::Compare(mut run)) => {
            (run.out, run.quiet) = (out, run.quiet || args.quiet);
            compare::execute(&run, &sitting)
        }
        None => {
            let mut run = cli.main_job;
            (run.out, run.quiet) = (out, run.quiet || args.quiet);
            main_job::execute(&run, &sitting)
        }
        Some(_) => Err(Error::format(&args.dir, "its command is none that can be gone on with")),
    }
}

/// What `lgf repeat` reads of a record.
#[derive(Debug, Deserialize)]
struct Recorded {
    version: String,
    command: Vec<String>,
    #[serde(default)]
    directory: PathBuf,
    objective: f64,
    engine: String,
    adapter: String,
    history: Vec<HistoryEntry>,
}

impl Recorded {
    fn read(dir: &Path) -> Result<Self> {
        let path = dir.join("record.json");
        let text = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
        Self::parse(&text)
            .map_err(|e| Error::format(&path, format!("it is no record of `lgf topology`: {e}")))
    }

    fn parse(text: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(text)
    }

    fn made_by(&self) -> String {
        format!("lgf {} on {}, {}", self.version, self.engine, self.adapter)
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct RepeatArgs {
    /// The folder of the run, the DIR of its --out; the repetition goes to DIR/repeat
    #[arg(value_name = "DIR", default_value = "out")]
    dir: PathBuf,
    /// Print nothing but errors
    #[arg(long)]
    quiet: bool,
}

/// Makes the run in the folder again, and says where the two differ.
pub(super) fn repeat(args: &RepeatArgs) -> Result<Ending> {
    let then = Recorded::read(&args.dir)?;
    let mut run = parse_topology(&then.command, &args.dir)?;
    let dir = go_to(&then.directory, &args.dir)?;
    let mut causes = String::new();
    if run.stops_by_time() {
        causes += "; it had a time budget, and what is done in it depends on the machine";
    }
    if run.starts_from(&dir) {
        causes += "; the design that it started from was in its own folder, and it has overwritten it";
    }
    run.out = dir.join("repeat");
    (run.json, run.quiet) = (false, true);
    // A repetition that is cut short is begun anew: its command is `lgf repeat`, which does not go on.
    run.checkpoint.checkpoint = CheckpointFlag::Off;
    match topology::execute(&run, Sitting::First)? {
        Ending::Done => {}
        other => return Ok(other),
    }
    let now = Recorded::read(&run.out)?;
    let verdict = compare(&then, &now);
    match verdict {
        Ok(same) if args.quiet => drop(same),
        Ok(same) => print(&(same + "\n"))?,
        Err(differs) => return Ok(Ending::Faulty(differs + &causes)),
    }
    Ok(Ending::Done)
}

/// A sentence on two runs that agree to the last bit, or one on the first place where they do not.
fn compare(then: &Recorded, now: &Recorded) -> std::result::Result<String, String> {
    let same = |a: &HistoryEntry, b: &HistoryEntry| {
        a.objective.to_bits() == b.objective.to_bits()
            && (a.evaluation, a.accepted) == (b.evaluation, b.accepted)
    };
    let by = || {
        let (then, now) = (then.made_by(), now.made_by());
        if then == now { format!("both by {now}") } else { format!("by {then} and now by {now}") }
    };
    let pairs = then.history.iter().zip(&now.history);
    if let Some((a, b)) = pairs.clone().find(|(a, b)| !same(a, b)) {
        return Err(format!(
            "the runs differ from evaluation {} on: {:?} then, {:?} now; {}",
            a.evaluation,
            a.objective,
            b.objective,
            by()
        ));
    }
    let [before, after] = [then, now].map(|run| run.history.len());
    if before != after || then.objective.to_bits() != now.objective.to_bits() {
        return Err(format!(
            "the runs differ in their end: {before} evaluations to {:?} then, {after} to {:?} now; {}",
            then.objective,
            now.objective,
            by()
        ));
    }
    Ok(format!("the same {after} evaluations to the last bit, down to {:?}; {}", now.objective, by()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostile::spoiled;

    #[test]
    fn hostile_records() {
        let good = r#"{"schema": 1, "version": "0.1.0", "command": ["lgf", "topology", "--size", "6x4"],
            "directory": "/", "objective": 12.5, "engine": "cpu", "adapter": "2 threads", "history": [
            {"evaluation": 1, "iteration": 0, "objective": 13.0, "accepted": true},
            {"evaluation": 2, "iteration": 1, "objective": 12.5, "accepted": true}]}"#;
        let whole = Recorded::parse(good.as_bytes()).unwrap();
        assert!(compare(&whole, &whole).is_ok());
        let mut read = 0;
        for bytes in spoiled(good.as_bytes()) {
            let Ok(record) = Recorded::parse(&bytes) else { continue };
            let _ = parse_topology(&record.command, Path::new("run"));
            if compare(&whole, &record).is_err() {
                read += 1;
            }
        }
        assert!(read > 0);
    }
}
