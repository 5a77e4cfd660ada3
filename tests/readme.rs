//! The README and the pages in `docs/` do what they say: each `lgf …` line of their shell blocks is run as
//! written, what they link to exists, and Rust blocks are compiled.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Path and text of the README and of every page in `docs/`.
fn pages() -> Vec<(PathBuf, String)> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "md"));
    paths.sort();
    paths.insert(0, root().join("README.md"));
    paths.into_iter().map(|path| (path.clone(), std::fs::read_to_string(&path).unwrap())).collect()
}

/// The arguments of every command line of `page` that starts the program.
fn commands(page: &str) -> Vec<Vec<String>> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in page.lines() {
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
fn the_pages_commands_work_as_written() {
    let pages = pages();
    assert!(commands(&pages[0].1).contains(&Vec::new()), "the README shows the main job");
    let mut all: Vec<Vec<String>> = pages.iter().flat_map(|(_, text)| commands(text)).collect();
    assert!(all.len() >= 14, "the pages show {} commands", all.len());
    // One that two pages show is run once.
    all.sort();
    all.dedup();
    for arguments in all {
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

/// The README's problem file is the example's, and every example can be set up.
#[test]
fn the_problem_files_are_problems() {
    let readme = &pages()[0].1;
    let block = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let example = std::fs::read_to_string(root().join("examples/bracket.toml")).unwrap();
    assert_eq!(block, example);
    for name in ["bracket", "machine"] {
        let path = root().join(format!("examples/{name}.toml"));
        let structure = lgf::io::read_problem(&path).unwrap();
        assert_eq!(structure.name, name);
        lgf::topology::Compliance::new(structure).unwrap();
    }
}

#[test]
fn what_the_pages_link_to_exists() {
    // The package leaves out the results of benchmarks, pictures included; the repository has them.
    let packaged = root().join("Cargo.toml.orig").is_file();
    let mut pictures = 0;
    for (path, text) in pages() {
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.starts_with("https://")) {
            pictures += usize::from(link.ends_with(".png") || link.ends_with(".svg"));
            let target = path.parent().unwrap().join(link);
            let left_out = packaged && link.contains("benches/results/");
            assert!(left_out || target.is_file(), "{} links to {link}", path.display());
        }
    }
    assert!(pictures >= 6, "the pages show {pictures} pictures");
}

#[test]
fn the_pages_rust_blocks_are_compiled() {
    let library = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    for (path, text) in pages() {
        if text.lines().any(|line| line.starts_with("```rust")) {
            let page = path.strip_prefix(root()).unwrap().display().to_string();
            assert!(library.contains(&format!("include_str!(\"../{page}\")")), "{page} is no doc test");
        }
    }
}

#[test]
fn prose_keeps_to_110_columns() {
    let mut texts = pages();
    for name in ["CHANGELOG.md", "CONTRIBUTING.md", "src/knobs.md"] {
        let path = root().join(name);
        texts.push((path.clone(), std::fs::read_to_string(&path).unwrap()));
    }
    for (path, text) in texts {
        for (n, line) in text.lines().enumerate() {
            let columns = line.chars().count();
            let short = columns <= 110 || line.starts_with('|');
            assert!(short, "{}:{} has {columns} columns", path.display(), n + 1);
        }
    }
}
