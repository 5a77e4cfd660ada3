//! The list of commands, and what the program ends with.

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use super::ending::{Ending, INTERRUPTED, RUN_FAILED, USAGE, exit_code};
use super::{bench, benchmark, compare, discover, info, init, main_job, resume, run, topology};
use crate::error::{EngineError, Error};

/// Learned gradient flow: optimization when every gradient is a finite-element solve.
///
/// Without a subcommand: the half-MBB beam by plain OC, by LGF-OC, and by LGF as `lgf topology` does it, side
/// by side.
///
/// Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted (results written). Environment:
/// RUST_LOG=lgf=info logs every evaluation; WGPU_ADAPTER_NAME and WGPU_BACKEND choose the GPU, as --adapter
/// does.
#[derive(Debug, Parser)]
#[command(name = "lgf", version, max_term_width = 110, args_conflicts_with_subcommands = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub main_job: main_job::Args,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Topology optimization in 2D and 3D: minimum compliance under a volume constraint, of a preset or of
    /// your own problem file
    Topology(Box<topology::Args>),
    /// Go on with a run that was cut short, as if nothing had happened
    Resume(resume::Args),
    /// Make a run of `lgf topology` again, and say where the two differ
    Repeat(resume::RepeatArgs),
    /// One of the method paper's five problems: the plain flow beside LGF, with the problem's pictures
    Run(Box<run::Args>),
    /// Those problems by the plain flow and by learned fields: one table
    Compare(Box<compare::Args>),
    /// Learned flows and other optimizers, on structures or on smooth functions: evaluations to the best
    /// value, performance profiles
    Benchmark(Box<benchmark::Args>),
    /// Equation discovery: find the differential equations behind a recorded trajectory
    Discover(Box<discover::Args>),
    /// What each pass of a cycle costs on this machine: device times, bandwidth, both engines, against an
    /// earlier measurement
    Bench(bench::Args),
    /// Write a commented problem file to begin with: your own structure for `lgf topology`
    Init(init::Args),
    /// Show the GPU adapters, their limits and self-tests, and which engine `auto` takes
    Info(info::Args),
}

/// Parses the arguments, runs, and turns the outcome into an exit code: 0 done, 1 failed, 2 wrong usage, 130
/// interrupted (results written).
pub fn main() -> ExitCode {
    env_logger::Builder::from_env(
        env_logger::Env::default().default_filter_or("warn,wgpu_core=error,wgpu_hal=error,naga=error"),
    )
    .format_timestamp_millis()
    .init();
    let command = Cli::command();
    let parsed = command.clone().try_get_matches().and_then(|given| {
        // The subcommand that the arguments belong to; without one, the program itself.
        let chosen = given.subcommand_name().and_then(|name| command.find_subcommand(name)).cloned();
        Cli::from_arg_matches(&given).map(|cli| (cli, chosen.unwrap_or(command)))
    });
    let (cli, chosen) = match parsed {
        Ok(parsed) => parsed,
        Err(error) if error.use_stderr() => {
            eprintln!("{}", one_sentence(&error));
            return ExitCode::from(USAGE);
        }
        Err(help) => {
            // A closed pipe while printing help is no failure.
            let _ = help.print();
            return ExitCode::SUCCESS;
        }
    };
    let outcome = match cli.command {
        None => main_job::run(&cli.main_job),
        Some(Command::Topology(args)) => topology::run(&args),
        Some(Command::Resume(args)) => resume::resume(&args),
        Some(Command::Repeat(args)) => resume::repeat(&args),
        Some(Command::Run(args)) => run::run(&args),
        Some(Command::Compare(args)) => compare::run(&args),
        Some(Command::Benchmark(args)) => benchmark::run(&args),
        Some(Command::Discover(args)) => discover::run(&args),
        Some(Command::Bench(args)) => bench::run(&args),
        Some(Command::Init(args)) => init::run(&args),
        Some(Command::Info(args)) => info::run(&args),
    };
    match outcome {
        Ok(Ending::Done) => ExitCode::SUCCESS,
        Ok(Ending::Faulty(reason)) => {
            eprintln!("error: {reason}");
            ExitCode::from(RUN_FAILED)
        }
        Ok(Ending::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(error) => {
            eprintln!("error: {error}{}", advice(&error, &chosen));
            ExitCode::from(exit_code(&error))
        }
    }
}

/// What the user of `command` can do about `error`, in the words of the command line: ends the error's
/// sentence. Empty where the error says it all.
fn advice(error: &Error, command: &clap::Command) -> String {
    match error {
        Error::Engine(EngineError::OtherAdapters { .. }) => " with --adapter".into(),
        Error::Engine(EngineError::NoAdapter { .. }) => {
            "; a software adapter comes with `apt-get install mesa-vulkan-drivers libvulkan1`".into()
        }
        Error::Engine(EngineError::Memory { .. }) => {
            let has = |name: &str| command.get_arguments().any(|option| option.get_long() == Some(name));
            let options = [
                ("history", "a smaller --history"),
                ("tables", "--tables f16"),
                ("rank", "a smaller --rank"),
                ("engine", "--engine cpu"),
            ];
            let words: Vec<&str> =
                options.into_iter().filter(|(name, _)| has(name)).map(|(_, words)| words).collect();
            if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) }
        }
        _ => String::new(),
    }
}

/// clap's message without its usage and tips, on one line.
fn one_sentence(error: &clap::Error) -> String {
    let text = error.to_string();
    let message: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .filter(|line| !line.is_empty())
        .collect();
    format!("{} (see --help)", message.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ending::interrupt_flag;
    use crate::error::{FemError, SettingsError};

    #[test]
    fn the_exit_code_follows_from_the_layer() {
        let wrong = [
            Error::invalid("the rate", 0, "positive"),
            Error::length("the start", 3, 4),
            Error::domain("the OC flow", "a volume constraint"),
            Error::exclusive("a", "b", "of c"),
            Error::only_with("--steps", "--flow potential"),
            SettingsError::Length { name: "t", found: 1, expected: 2 }.into(),
        ];
        for error in wrong {
            assert_eq!(exit_code(&error), USAGE, "{error}");
        }
        let failed = [
            Error::internal("a run of the benchmark panicked"),
            Error::factorization("eigenvalue decomposition of a test"),
            EngineError::NotStarted.into(),
            EngineError::Lost("pulled out".into()).into(),
            FemError::Memory.into(),
            Error::io("the handler of Ctrl-C", std::io::Error::other("there is one already")),
            Error::format("x.npz", "this is no NumPy .npz file"),
            Error::encoding("a plot", "too small"),
            Error::Start("no".into()),
        ];
        for error in failed {
            assert_eq!(exit_code(&error), RUN_FAILED, "{error}");
        }
    }

    /// A second handler cannot be set, which is not the caller's fault.
    #[test]
    fn a_failed_handler_of_ctrl_c_is_no_wrong_usage() {
        let first = interrupt_flag();
        let second = interrupt_flag().unwrap_err();
        assert!(first.is_ok());
        assert!(second.to_string().starts_with("the handler of Ctrl-C: "), "{second}");
        assert_eq!(exit_code(&second), RUN_FAILED);
    }

    #[test]
    fn hostile_flags() {
        let good = b"topology --size 150x50x4 --volume 0.5 --hole 0.3,0.5,0.2 --checkpoint 5min --levels 3 \
                     --max-seconds 12.5 --adapter 0 --save-every 3";
        for bytes in crate::hostile::spoiled(good) {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Ok(cli) = Cli::try_parse_from(std::iter::once("lgf").chain(text.split(' ')))
                && let Some(Command::Topology(args)) = cli.command
                && args.problem.is_none()
                && let Ok(structure) = args.structure()
            {
                drop(args.recipe(&structure));
            }
        }
    }

    #[test]
    fn advice_names_options_that_the_subcommand_has() {
        let error = EngineError::Memory { what: "a run".into(), needed: 9, available: Some(8) }.into();
        let command = Cli::command();
        let of = |name: &str| advice(&error, command.find_subcommand(name).unwrap());
        assert_eq!(of("topology"), " (a smaller --history, --tables f16, a smaller --rank, --engine cpu)");
        assert_eq!(of("discover"), " (a smaller --rank, --engine cpu)");
        assert_eq!(advice(&error, &command), " (--tables f16, --engine cpu)");
        assert!(!error.to_string().contains("--"), "{error}");
        let none: Error = EngineError::NoAdapter { looked_for: "looked for Vulkan".into() }.into();
        assert!(!none.to_string().contains("apt-get") && none.to_string().contains("install"), "{none}");
        assert!(advice(&none, &command).contains("apt-get install mesa-vulkan-drivers"));
        assert_eq!(advice(&Error::internal("a fault"), &command), "");
    }
}
