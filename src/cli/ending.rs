//! How commands end: what they print, what ends them, and their exit codes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

/// The exit code of a run that failed.
pub(super) const RUN_FAILED: u8 = 1;
/// The exit code for arguments that make no sense.
pub(super) const USAGE: u8 = 2;
/// The exit code of a run that Ctrl-C has ended, after it has written its results.
pub(super) const INTERRUPTED: u8 = 130;

/// The outcome of a command that ran to its end.
pub(super) enum Ending {
    Done,
    Faulty(String),
    Interrupted,
}

/// Wrong settings are wrong usage; everything else has failed for another reason.
pub(super) fn exit_code(error: &Error) -> u8 {
    match error {
        Error::Settings(_) => USAGE,
        Error::Engine(_) | Error::Fem(_) | Error::File(_) | Error::Start(_) => RUN_FAILED,
    }
}

/// Prints to the standard output; a reader that has gone away (`lgf info | head -1`) is no failure.
pub(super) fn print(text: &str) -> Result<()> {
    use std::io::{ErrorKind, Write};
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(Error::io("standard output", e)),
        _ => Ok(()),
    }
}

/// Set by the first Ctrl-C; the second one ends the program at once.
pub(super) fn interrupt_flag() -> Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let shared = flag.clone();
    ctrlc::set_handler(move || {
        if shared.swap(true, Ordering::SeqCst) {
            std::process::exit(i32::from(INTERRUPTED));
        }
        eprintln!(
            "\nstopping after the current evaluation; press Ctrl-C again to quit at once without results"
        );
    })
    .map_err(|e| Error::io("the handler of Ctrl-C", std::io::Error::other(e)))?;
    Ok(flag)
}
