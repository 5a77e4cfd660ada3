//! The progress of a discovery, and what ends it early.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::discover::Progress;
use crate::error::{Error, Result};

/// A progress bar, which ends the discovery when its time is over or Ctrl-C was pressed.
pub(super) struct Watcher {
    pub bar: ProgressBar,
    pub stage: &'static str,
    pub until: Option<Instant>,
    pub interrupted: Arc<AtomicBool>,
}

impl Watcher {
    pub(super) fn new(quiet: bool, seconds: Option<f64>, interrupted: Arc<AtomicBool>) -> Result<Self> {
        let until = match seconds {
            Some(seconds) => {
                let seconds = Error::require_positive("the number of seconds", seconds)?;
                // Beyond what a clock counts there is no end.
                Duration::try_from_secs_f64(seconds).ok().and_then(|d| Instant::now().checked_add(d))
            }
            None => None,
        };
        let bar = if quiet || !std::io::stderr().is_terminal() {
            ProgressBar::hidden()
        } else {
            ProgressBar::new(0)
        };
        // The template is a constant; if it did not parse, the default style would serve.
        if let Ok(style) = ProgressStyle::with_template("{prefix:10} {bar:30} {pos}/{len}, {elapsed} gone") {
            bar.set_style(style);
        }
        Ok(Self { bar, stage: "", until, interrupted })
    }

    pub(super) fn told(&mut self, progress: Progress) -> ControlFlow<()> {
        if self.stage != progress.stage {
            self.stage = progress.stage;
            self.bar.set_prefix(progress.stage);
            log::info!("discover: {}", progress.stage);
        }
        self.bar.set_length(progress.total as u64);
        self.bar.set_position(progress.done as u64);
        let over = self.until.is_some_and(|until| Instant::now() >= until);
        if over || self.interrupted.load(Ordering::SeqCst) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}
