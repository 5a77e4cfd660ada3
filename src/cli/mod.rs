//! The command line: it parses arguments and writes tables, pictures and records. It is the only part that
//! prints.

/// Appends a line to a `String`, which cannot fail.
macro_rules! line {
    ($out:expr, $($format:tt)*) => {{ let _ = writeln!($out, $($format)*); }};
}

mod arguments;
mod bench;
mod benchmark;
mod checkpoint;
mod command;
mod compare;
mod discover;
mod ending;
mod info;
mod init;
mod main_job;
mod paper;
mod progress;
mod results;
mod resume;
mod run;
mod topology;

pub use command::main;
