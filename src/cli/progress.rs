//! The progress bar, which is an observer.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

use crate::observe::{Event, Observer};
use crate::report::HistoryEntry;

/// Shows the progress of a run, on a terminal only, and ends the run when the flag is set.
pub(super) struct Progress {
    bar: ProgressBar,
    /// The name of the run, and of its current stage.
    base: String,
    name: String,
    interrupted: Arc<AtomicBool>,
}

impl Progress {
    pub(super) fn new(name: &str, quiet: bool, interrupted: Arc<AtomicBool>) -> Self {
        let bar = if quiet || !std::io::stderr().is_terminal() {
            ProgressBar::hidden()
        } else {
            ProgressBar::new(0)
        };
        // The template is a constant; if it did not parse, the default style would serve.
        if let Ok(style) = ProgressStyle::with_template(
            "{prefix:10} {bar:30} {pos}/{len} evaluations, {elapsed} gone, at most {eta} left, {msg}",
        ) {
            bar.set_style(style);
        }
        Self { bar, base: name.to_string(), name: name.to_string(), interrupted }
    }

    fn show(&self, entry: HistoryEntry, note: &str) {
        self.bar.set_position(entry.evaluation as u64);
        self.bar.set_message(format!("objective {:.6}{note}", entry.objective));
        log::info!(
            "{}: evaluation {}, iteration {}, objective {:.9}{note}",
            self.name,
            entry.evaluation,
            entry.iteration,
            entry.objective
        );
    }
}

impl Observer for Progress {
    fn event(&mut self, event: Event<'_>) -> ControlFlow<()> {
        match event {
            Event::Started { engine, dimension, max_evaluations } => {
                self.bar.reset();
                self.bar.set_length(max_evaluations as u64);
                self.bar.set_prefix(self.name.clone());
                log::info!(
                    "{}: {dimension} unknowns on the {} engine, {}, {}",
                    self.name,
                    engine.kind.name(),
                    engine.adapter,
                    engine.precision
                );
            }
            Event::Stage { name } => self.name = format!("{} {name}", self.base),
            Event::TrueStep { entry, change, .. } => self.show(entry, &format!(", step {change:.3}")),
            Event::Landed { entry: Some(entry), phase, .. } => {
                let verdict = if phase.accepted { "landed" } else { "undone" };
                self.show(entry, &format!(", {verdict} after {} surrogate steps", phase.steps));
            }
            Event::Changed { evaluation } => {
                log::info!("{}: the objective is another one from evaluation {evaluation} on", self.name)
            }
            Event::Finished { report } => {
                self.bar.finish_and_clear();
                log::info!("{}: {}", self.name, report.stop);
            }
            _ => {}
        }
        if self.interrupted.load(Ordering::SeqCst) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}
