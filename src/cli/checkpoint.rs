//! Checkpoints of `lgf topology`: the run that one belongs to, and the flag that sets its pace.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::results::json;
use crate::checkpoint::{Every, Journal};
use crate::engine::EngineInfo;
use crate::error::{Error, Result};
use crate::topology::{Compliance, Recipe};

/// The folder of the checkpoint in a run's folder.
const FOLDER: &str = "checkpoint";

/// The value of the `--checkpoint` flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CheckpointFlag {
    Off,
    On(Every),
}

/// Parses the pace of a checkpoint: `off`, `5min`, `30s`, `1h`, or a number of evaluations.
pub(super) fn parse_checkpoint(text: &str) -> std::result::Result<CheckpointFlag, String> {
    let expected =
        || "expected off, a time as in 30s, 5min or 1h, or a number of evaluations, e.g. 10".into();
    let text = text.trim();
    let pace = text.strip_prefix("every=").unwrap_or(text);
    if pace == "off" {
        return Ok(CheckpointFlag::Off);
    }
    let units = [("min", 60.0), ("s", 1.0), ("h", 3600.0)];
    let time = units.into_iter().find_map(|(unit, seconds)| Some((pace.strip_suffix(unit)?, seconds)));
    let every = match time {
        Some((number, seconds)) => {
            let seconds = number.trim().parse::<f64>().map_err(|_| expected())? * seconds;
            if !(seconds > 0.0) {
                return Err(expected());
            }
            Every::Time(Duration::try_from_secs_f64(seconds).map_err(|_| expected())?)
        }
        None => match pace.parse() {
            Ok(0) | Err(_) => return Err(expected()),
            Ok(count) => Every::Evaluations(count),
        },
    };
    Ok(CheckpointFlag::On(every))
}

/// Everything that the steps of a run depend on, and how it was called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Identity {
    lgf: String,
    /// The checksum of the program: another build may round in another way.
    build: String,
    /// Where the command was given, and its words.
    pub directory: PathBuf,
    pub command: Vec<String>,
    problem: serde_json::Value,
    /// The checksum of what the files of the problem's regions say.
    regions: u32,
    recipe: Recipe,
    /// The checksum of the design that the run starts from.
    start: Option<u32>,
    engine: String,
    gradient: String,
}

impl Identity {
    /// The identity of the run that this process is about to begin.
    pub(super) fn of(
        problem: &Compliance,
        recipe: Recipe,
        start: Option<&[f64]>,
        engine: &EngineInfo,
    ) -> Result<Self> {
        let failed = |e: serde_json::Error| Error::encoding("a checkpoint", e);
        let half = vec![0.5; problem.mesh().elements()];
        let density = problem.physical_density(&half)?;
        Ok(Self {
            lgf: env!("CARGO_PKG_VERSION").into(),
            build: build(),
            directory: std::env::current_dir().unwrap_or_default(),
            command: command(),
            problem: serde_json::to_value(problem.structure()).map_err(failed)?,
            regions: checksum(&density),
            recipe,
            start: start.map(checksum),
            engine: format!("{}, {}, {}", engine.kind.name(), engine.adapter, engine.precision),
            gradient: problem.gradient_by(),
        })
    }

    pub(super) fn text(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&json(self, false)?).into_owned())
    }

    /// The identity of the run whose checkpoint is in the folder of a run.
    pub(super) fn read(out: &Path) -> Result<Self> {
        let folder = folder(out);
        if !folder.is_dir() {
            let reason =
                "there is no checkpoint in it: the run has ended, or was begun with --checkpoint off";
            return Err(Error::format(out, reason));
        }
        let text = Journal::identity(&folder)?;
        serde_json::from_str(&text).map_err(|_| {
            Error::format(&folder, "another version of lgf wrote this checkpoint; go on with that")
        })
    }

    /// Refuses to go on with this run where it is not the one that `self` tells of.
    pub(super) fn check(&self, now: &Self, out: &Path) -> Result<()> {
        let differs = |what: &str, then: &dyn std::fmt::Display, now: &dyn std::fmt::Display| {
            Error::format(
                folder(out),
                format!("{what} was {then} when the run began and is {now}; go on as it was, or begin anew"),
            )
        };
        let programs = [(&self.lgf, &now.lgf), (&self.build, &now.build)];
        if programs.iter().any(|(then, now)| then != now) {
            let of = |identity: &Self| format!("lgf {} (build {})", identity.lgf, identity.build);
            return Err(differs("the program", &of(self), &of(now)));
        }
        for (what, then, now) in
            [("the engine", &self.engine, &now.engine), ("the gradient", &self.gradient, &now.gradient)]
        {
            if then != now {
                return Err(differs(what, then, now));
            }
        }
        let (known, changed) = (&"another", &"changed");
        if self.problem != now.problem {
            return Err(differs("the problem", known, changed));
        }
        if self.regions != now.regions {
            return Err(differs("a file of the problem's regions", known, changed));
        }
        if self.start != now.start {
            return Err(differs("the design to start from", known, changed));
        }
        if self.recipe != now.recipe {
            return Err(differs("the recipe", known, changed));
        }
        Ok(())
    }
}

/// The folder of the checkpoint of the run in `out`.
pub(super) fn folder(out: &Path) -> PathBuf {
    out.join(FOLDER)
}

/// The words of this process's command.
pub(super) fn command() -> Vec<String> {
    std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect()
}

fn checksum(values: &[f64]) -> u32 {
    crc32fast::hash(bytemuck::cast_slice(values))
}

/// The checksum of the running program.
fn build() -> String {
    let bytes = std::env::current_exe().and_then(std::fs::read);
    bytes.map_or_else(|_| "unknown".into(), |bytes| format!("{:08x}", crc32fast::hash(&bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_a_time_a_count_or_off() {
        let time = |seconds| Ok(CheckpointFlag::On(Every::Time(Duration::from_secs(seconds))));
        assert_eq!(parse_checkpoint("off"), Ok(CheckpointFlag::Off));
        assert_eq!(parse_checkpoint("5min"), time(300));
        assert_eq!(parse_checkpoint("30s"), time(30));
        assert_eq!(parse_checkpoint(" 1h "), time(3600));
        assert_eq!(parse_checkpoint("every=10"), Ok(CheckpointFlag::On(Every::Evaluations(10))));
        assert_eq!(parse_checkpoint("10"), Ok(CheckpointFlag::On(Every::Evaluations(10))));
        for wrong in ["", "0", "-1", "never", "0min", "-5min", "nans", "1e400s", "5 minutes", "1.5"] {
            assert!(parse_checkpoint(wrong).is_err(), "{wrong}");
        }
    }
}
