//! The README's commands do what it says: each `lgf …` line of its shell blocks is run as written.

use std::process::Command;

const README: &str = include_str!("../README.md");

/// The arguments of every command line that starts the program.
fn commands() -> Vec<Vec<String>> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in README.lines() {
        if line.starts_with("```") {
            inside = !inside && line == "```sh";
            continue;
        }
        let line = line.split(" #").next().unwrap_or("").trim();
        let arguments =
            ["cargo run --release -- ", "lgf "].iter().find_map(|prefix| line.strip_prefix(prefix));
        let arguments = if line == "cargo run --release" { Some("") } else { arguments };
        if let (true, Some(arguments)) = (inside, arguments) {
            found.push(arguments.split_whitespace().map(String::from).collect());
        }
    }
    found
}

#[test]
fn the_readmes_commands_work_as_written() {
    let commands = commands();
    assert!(commands.len() >= 4, "the README shows {} commands", commands.len());
    assert!(commands.contains(&Vec::new()), "the README shows the main job");
    for arguments in commands {
        let dir = tempfile::tempdir().unwrap();
        let cache = concat!(env!("CARGO_TARGET_TMPDIR"), "/cache");
        let output = Command::new(env!("CARGO_BIN_EXE_lgf"))
            .args(&arguments)
            .current_dir(&dir)
            .env("XDG_CACHE_HOME", cache)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "lgf {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn the_readmes_pictures_exist() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let pictures: Vec<_> = README
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|p| p.ends_with(".png") || p.ends_with(".svg"))
        .collect();
    assert!(pictures.len() >= 2, "{pictures:?}");
    for picture in pictures {
        assert!(root.join(picture).is_file(), "{picture}");
    }
}
