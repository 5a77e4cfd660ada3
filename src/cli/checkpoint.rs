//! Checkpoints of commands: the run that one belongs to, and the flag that sets its pace.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ending::Ending;
use super::results::json;
use crate::checkpoint::{Every, Journal};
use crate::engine::EngineInfo;
use crate::error::{Error, Result};

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

/// The flag of every command whose runs are kept.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct CheckpointArgs {
    /// How often the solver's state is kept in DIR/checkpoint, so that `lgf resume DIR` goes on with a run
    /// that was cut short: a time (30s, 5min, 1h), a number of evaluations, or off; values and gradients are
    /// kept at once
    #[arg(long, value_name = "TIME|N|off", default_value = "1min", value_parser = parse_checkpoint)]
    pub checkpoint: CheckpointFlag,
}

/// The first time that a run is made, or another time, after it was cut short.
pub(super) enum Sitting {
    First,
    Another(Box<Identity>),
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
    /// What else the steps depend on, by name: values, or the checksums of vectors and files.
    depends_on: Vec<(String, serde_json::Value)>,
}

impl Identity {
    /// The identity of the run that this process is about to begin.
    pub(super) fn new() -> Self {
        Self {
            lgf: env!("CARGO_PKG_VERSION").into(),
            build: build(),
            directory: std::env::current_dir().unwrap_or_default(),
            command: command(),
            depends_on: Vec::new(),
        }
    }

    /// The same identity of a run that depends on `value` as well.
    pub(super) fn with(mut self, name: &str, value: impl Serialize) -> Result<Self> {
        let value = serde_json::to_value(value).map_err(|e| Error::encoding("a checkpoint", e))?;
        self.depends_on.push((name.into(), value));
        Ok(self)
    }

    /// The same identity of a run on this engine.
    pub(super) fn on(self, engine: &EngineInfo) -> Result<Self> {
        self.with("the engine", format!("{}, {}, {}", engine.kind.name(), engine.adapter, engine.precision))
    }

    fn text(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&json(self, false)?).into_owned())
    }

    /// The identity of the run whose checkpoint is in the folder of a run.
    pub(super) fn read(out: &Path) -> Result<Self> {
        let folder = folder(out);
        if !out.is_dir() {
            return Err(Error::format(out, "there is no such folder"));
        }
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
    fn check(&self, now: &Self, out: &Path) -> Result<()> {
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
        for ((what, then), (_, now)) in self.depends_on.iter().zip(&now.depends_on) {
            match (then.as_str(), now.as_str()) {
                (Some(then), Some(now)) if then != now => return Err(differs(what, &then, &now)),
                _ if then != now => return Err(differs(what, &"another", &"changed")),
                _ => {}
            }
        }
        if self.depends_on.len() != now.depends_on.len() {
            return Err(differs("the run", &"another", &"changed"));
        }
        Ok(())
    }
}

/// The folder of the checkpoint of the run in `out`.
fn folder(out: &Path) -> PathBuf {
    out.join(FOLDER)
}

/// The journal that the runs of a command are kept in, if any. What they depend on is asked for where there
/// is one, as it may take passes over a mesh and over the program.
pub(super) fn open(
    out: &Path,
    flag: CheckpointFlag,
    sitting: &Sitting,
    now: impl FnOnce() -> Result<Identity>,
) -> Result<Option<Journal>> {
    let folder = folder(out);
    match (sitting, flag) {
        (Sitting::First, CheckpointFlag::Off) => Ok(None),
        (Sitting::First, CheckpointFlag::On(every)) => {
            Journal::create(&folder, &now()?.text()?, every).map(Some)
        }
        (Sitting::Another(then), flag) => {
            then.check(&now()?, out)?;
            let every = if let CheckpointFlag::On(every) = flag { every } else { Every::default() };
            let journal = Journal::resume(&folder, &then.text()?, every)?;
            log::info!(
                "{} evaluations of the first {:.0} seconds are known",
                journal.replays(),
                journal.earlier_seconds()
            );
            Ok(Some(journal))
        }
    }
}

/// Removes the journal of a command that has ended well; says how to go on with one that has not.
pub(super) fn leave(journal: Option<Journal>, ending: &Ending, out: &Path) -> Result<()> {
    match (journal, ending) {
        (None, _) => Ok(()),
        (Some(journal), Ending::Done) => journal.remove(),
        (Some(_), _) => {
            log::warn!("`lgf resume {}` goes on with this run", out.display());
            Ok(())
        }
    }
}

/// The words of this process's command.
pub(super) fn command() -> Vec<String> {
    std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect()
}

pub(super) fn checksum(values: &[f64]) -> u32 {
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
