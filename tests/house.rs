//! The rules of the house that no compiler checks: comments point at things that exist, lines fit, doc
//! comments say something.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Every file under `folder` of the package whose name ends with one of `endings`, in order.
fn files(folder: &str, endings: &[&str]) -> Vec<PathBuf> {
    fn visit(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                visit(&path, endings, found);
            } else if endings.iter().any(|ending| path.to_string_lossy().ends_with(ending)) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    visit(&root().join(folder), endings, &mut found);
    found.sort();
    assert!(!found.is_empty(), "{folder}");
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A path as the package sees it.
fn short(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// Runs of consecutive lines that begin with one of `markers`: the number of the first line, and the words of
/// all on one line.
fn blocks(text: &str, markers: &[&str]) -> Vec<(usize, String)> {
    let mut blocks: Vec<(usize, String)> = Vec::new();
    let mut last = None;
    for (number, line) in text.lines().enumerate() {
        let Some(words) = markers.iter().find_map(|marker| line.trim_start().strip_prefix(marker)) else {
            continue;
        };
        match blocks.last_mut() {
            Some((_, block)) if last == Some(number) => {
                if !words.trim().is_empty() {
                    block.push(' ');
                    block.push_str(words.trim());
                }
            }
            _ => blocks.push((number + 1, words.trim().to_string())),
        }
        last = Some(number + 1);
    }
    blocks
}

fn is_identifier(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether `source`, a Rust file, defines `item`: `function()`, `Type` or `Type::function()`.
fn defines(source: &str, item: &str) -> bool {
    let definition = |keyword: &str, name: &str| {
        source.match_indices(&format!("{keyword} {name}")).any(|(at, found)| {
            !source[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
                && !source[at + found.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
                && !source[..at].rsplit('\n').next().unwrap_or_default().contains("//")
        })
    };
    item.split("::").all(|part| match part.strip_suffix("()") {
        Some(function) => definition("fn", function),
        None => ["struct", "enum", "trait", "type"].iter().any(|keyword| definition(keyword, part)),
    })
}

/// The statements of `comment` that begin with "Twin:" or "Twins:", each to the end of its sentence.
fn twins(comment: &str) -> Vec<String> {
    let mut statements = Vec::new();
    for begin in ["Twin: ", "Twins: "] {
        for (at, found) in comment.match_indices(begin) {
            let rest = &comment[at + found.len()..];
            let end = rest
                .match_indices(". ")
                .map(|(end, _)| end)
                .find(|end| rest[end + 2..].starts_with(|c: char| c.is_uppercase()))
                .unwrap_or(rest.len());
            statements.push(rest[..end].trim_end_matches('.').to_string());
        }
    }
    statements
}

/// What is wrong with a statement about twins: a file that does not exist, a function or type that none of
/// the files defines, a file that defines none of them.
fn faults(statement: &str) -> Vec<String> {
    let words: Vec<&str> =
        statement.split_whitespace().map(|word| word.trim_matches(|c: char| ",.;:".contains(c))).collect();
    let paths: Vec<&str> = words.iter().copied().filter(|word| word.ends_with(".rs")).collect();
    let is_item = |word: &str| {
        word.split("::").all(|part| is_identifier(part.strip_suffix("()").unwrap_or(part)))
            && (word.ends_with("()") || word.starts_with(|c: char| c.is_uppercase()))
    };
    let items: Vec<&str> = words.iter().copied().filter(|word| is_item(word)).collect();
    if paths.is_empty() {
        // A function of another crate, which is named as its.
        let foreign = ["ndarray's", "the standard library's"];
        let is_foreign = foreign.iter().any(|owner| statement.starts_with(owner)) && !items.is_empty();
        return if is_foreign { Vec::new() } else { vec![format!("no file in `{statement}`")] };
    }
    let mut faults = Vec::new();
    let mut sources = Vec::new();
    for path in paths {
        match std::fs::read_to_string(root().join("src").join(path)) {
            Ok(source) => sources.push((path, source)),
            Err(_) => faults.push(format!("src/{path} does not exist")),
        }
    }
    for item in &items {
        if !sources.iter().any(|(_, source)| defines(source, item)) {
            faults.push(format!("`{item}` is not in {:?}", sources.iter().map(|s| s.0).collect::<Vec<_>>()));
        }
    }
    for (path, source) in &sources {
        if !items.is_empty() && !items.iter().any(|item| defines(source, item)) {
            faults.push(format!("src/{path} has none of {items:?}"));
        }
    }
    faults
}

#[test]
fn every_twin_that_a_shader_names_exists() {
    let (mut count, mut wrong) = (0, Vec::new());
    for file in files("shaders", &[".wgsl"]) {
        for (line, comment) in blocks(&read(&file), &["//"]) {
            for statement in twins(&comment) {
                count += 1;
                wrong.extend(
                    faults(&statement).into_iter().map(|fault| format!("{}:{line}: {fault}", short(&file))),
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(count >= 40, "{count} twins: the test has lost sight of some");
}

/// The check itself refuses what points at nothing.
#[test]
fn a_twin_that_does_not_exist_is_a_fault() {
    let comment = "A step. Twins: velocity() in flow/momentum.rs and flow/adam.rs. Traffic: none.";
    assert_eq!(twins(comment), ["velocity() in flow/momentum.rs and flow/adam.rs"]);
    assert_eq!(faults(&twins(comment)[0]), [""; 0]);
    assert_eq!(faults("engine/cpu/phase.rs, Field::weights() without a space"), [""; 0]);
    assert_eq!(faults("ndarray's dot()"), [""; 0]);
    for wrong in [
        "flow/mod.rs, velocity()",
        "flow/nothing.rs, velocity()",
        "velocity() in flow/momentum.rs and flow/newton.rs",
        "Momentums in flow/momentum.rs",
        "Adam::update() in flow/momentum.rs",
        "update()",
    ] {
        assert!(!faults(wrong).is_empty(), "{wrong}");
    }
}

/// The names of all shaders, without folder and ending.
fn shaders() -> BTreeSet<String> {
    files("shaders", &[".wgsl"])
        .iter()
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect()
}

/// The shaders that the comment of a twin begins with: "`oc_growth`, `oc_update`: ..." or "`flow_step` of one
/// chunk: ...".
fn named_first(comment: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = comment;
    while let Some((name, after)) = rest.strip_prefix('`').and_then(|rest| rest.split_once('`')) {
        if !is_identifier(name) {
            return Vec::new();
        }
        names.push(name);
        match after.strip_prefix(", ") {
            Some(more) if more.starts_with('`') => rest = more,
            _ => {
                let ends = [":", " of one chunk:", " of all ", ", with "];
                return if ends.iter().any(|end| after.starts_with(end)) { names } else { Vec::new() };
            }
        }
    }
    Vec::new()
}

#[test]
fn every_shader_that_the_cpu_engine_names_exists() {
    let shaders = shaders();
    let (mut count, mut wrong) = (0, Vec::new());
    for file in files("src/engine/cpu", &[".rs"]) {
        for (line, comment) in blocks(&read(&file), &["///", "//!", "//"]) {
            for name in named_first(&comment) {
                count += 1;
                if !shaders.contains(name) {
                    wrong.push(format!("{}:{line}: there is no shader `{name}`", short(&file)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(count >= 20, "{count} shaders named: the test has lost sight of some");
    assert_eq!(named_first("`flow_step` of one chunk: adds"), ["flow_step"]);
    assert_eq!(named_first("`oc_growth`, `oc_update`: one step"), ["oc_growth", "oc_update"]);
    assert_eq!(named_first("`vectors` of length `d`"), [""; 0]);
}

/// Every `*.wgsl` that the sources or the shaders speak of, with or without its folder.
#[test]
fn every_shader_file_that_is_named_exists() {
    let shaders = shaders();
    let (mut count, mut wrong) = (0, Vec::new());
    for file in files("src", &[".rs"]).into_iter().chain(files("shaders", &[".wgsl"])) {
        let comments = blocks(&read(&file), &["///", "//!", "//"]);
        for (line, comment) in comments {
            for (end, _) in comment.match_indices(".wgsl") {
                let before = &comment[..end];
                let begin = before.rfind(|c: char| !(c.is_alphanumeric() || "_/.".contains(c)));
                let path = &before[begin.map_or(0, |at| at + 1)..];
                // `*.wgsl`, `.wgsl`: no file in particular.
                let Some(name) = path.rsplit('/').next().filter(|name| !name.is_empty()) else { continue };
                count += 1;
                let whole = path.contains('/').then(|| {
                    let path = path.strip_prefix("shaders/").unwrap_or(path);
                    root().join("shaders").join(format!("{path}.wgsl")).is_file()
                });
                if !(shaders.contains(name) && whole.unwrap_or(true)) {
                    wrong.push(format!("{}:{line}: there is no {path}.wgsl", short(&file)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(count >= 10, "{count} files named: the test has lost sight of some");
}

/// The widest line that two windows beside each other show whole.
const COLUMNS: usize = 110;

#[test]
fn no_line_is_wider_than_two_windows_allow() {
    let mut wide = Vec::new();
    let places: [(&str, &[&str]); 7] = [
        ("src", &[".rs"]),
        ("shaders", &[".wgsl"]),
        ("tests", &[".rs"]),
        ("benches", &[".rs", ".py"]),
        ("examples", &[".rs", ".wgsl", ".py"]),
        ("python", &[".rs", ".py", ".pyi"]),
        ("scripts", &[""]),
    ];
    for file in places.into_iter().flat_map(|(folder, endings)| files(folder, endings)) {
        for (number, line) in read(&file).lines().enumerate() {
            let columns = line.chars().count();
            if columns > COLUMNS {
                wide.push(format!("{}:{}: {columns} columns", short(&file), number + 1));
            }
        }
    }
    assert!(wide.is_empty(), "{} lines: {wide:#?}", wide.len());
}

#[test]
fn no_doc_comment_is_a_fragment() {
    let mut fragments = Vec::new();
    for file in ["src", "tests", "benches", "examples"].into_iter().flat_map(|folder| files(folder, &[".rs"]))
    {
        let text = read(&file);
        for markers in [["///"], ["//!"]] {
            for (line, comment) in blocks(&text, &markers) {
                let words = comment.split_whitespace().filter(|word| word.contains(char::is_alphanumeric));
                if words.count() < 4 {
                    fragments.push(format!("{}:{line}: {comment}", short(&file)));
                }
            }
        }
    }
    assert!(fragments.is_empty(), "{} doc comments: {fragments:#?}", fragments.len());
}

/// A `mod.rs` is the face of its folder: it lists the files and what they offer, and defines nothing itself.
/// A folder of tests keeps what they share there.
#[test]
fn a_face_is_no_ground() {
    let definitions = ["fn ", "struct ", "enum ", "trait ", "impl", "const ", "static ", "type "];
    for path in files("src", &["rs"]).into_iter().chain(files("python/src", &["rs"])) {
        if !path.ends_with("mod.rs") || path.parent().is_some_and(|folder| folder.ends_with("tests")) {
            continue;
        }
        for (number, line) in read(&path).lines().enumerate() {
            let bare = line.strip_prefix("pub(crate) ").or(line.strip_prefix("pub(super) ")).unwrap_or(line);
            let bare = bare.strip_prefix("pub ").unwrap_or(bare);
            let defines = definitions.iter().any(|word| bare.starts_with(word));
            assert!(!defines, "{}:{}: {line}", short(&path), number + 1);
        }
    }
}

/// Durations and budgets come from a clock that only goes forward: that of the day jumps, when it is set,
/// over a night's sleep and at leap seconds, so no source asks for it.
#[test]
fn no_clock_is_read_that_jumps() {
    for path in files("src", &["rs"]).into_iter().chain(files("python", &["rs"])) {
        for clock in ["SystemTime", "UNIX_EPOCH", "time.time()", "datetime"] {
            assert!(!read(&path).contains(clock), "{}: {clock}", short(&path));
        }
    }
}
