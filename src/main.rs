//! The command line; everything is in [`lgf::cli`].

fn main() -> std::process::ExitCode {
    lgf::cli::main()
}
