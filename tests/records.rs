//! The records that runs leave, against the page that describes them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The rows of the tables of `docs/records.md`: the types of each key.
fn documented() -> BTreeMap<String, String> {
    let page = include_str!("../docs/records.md");
    let row = |line: &str| {
        let mut cells = line.split('|').map(str::trim);
        let (key, kind) = (cells.nth(1)?, cells.next()?);
        Some((key.strip_prefix('`')?.strip_suffix('`')?.to_string(), kind.to_string()))
    };
    let end = page.find("## Beside it").unwrap();
    page[..end].lines().filter(|line| line.starts_with("| `")).filter_map(row).collect()
}

/// Every value of `record` that is no object or array, under its key; the elements of an array share theirs.
fn leaves<'a>(record: &'a Value, key: &str, found: &mut Vec<(String, &'a Value)>) {
    match record {
        Value::Object(entries) => {
            for (name, value) in entries {
                let below = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                leaves(value, &below, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| leaves(value, &format!("{key}[]"), found)),
        value => found.push((key.to_string(), value)),
    }
}

/// The documented key that covers `key`.
fn covering<'a>(documented: &'a BTreeMap<String, String>, key: &str) -> Option<(&'a String, &'a String)> {
    documented.get_key_value(key).or_else(|| {
        let covers = |(known, _): &(&String, &String)| {
            known.strip_suffix('*').is_some_and(|start| key.starts_with(start))
                || (key.starts_with(known.as_str()) && key[known.len()..].starts_with('.'))
        };
        documented.iter().find(covers)
    })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) | Value::Object(_) => "object",
    }
}

/// The records of a run that is made by `arguments`.
fn records(arguments: &[&str], out: &Path) -> Vec<Value> {
    let made = Command::new(env!("CARGO_BIN_EXE_lgf"))
        .args(arguments)
        .args(["--engine", "cpu", "--quiet", "--out"])
        .arg(out)
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    assert!(made.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&made.stderr));
    ["record.json", "plain/record.json", "lgf/record.json"]
        .iter()
        .filter_map(|file| std::fs::read(out.join(file)).ok())
        .map(|bytes| serde_json::from_slice(&bytes).unwrap())
        .collect()
}

/// No key is written that the page does not name, no value has another type, and no key is named that nothing
/// writes.
#[test]
fn the_page_on_records_names_what_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let runs: [&[&str]; 4] = [
        &["topology", "--size", "48x16", "--max-evaluations", "20"],
        &["topology", "--size", "24x8", "--radius", "0.5", "--method", "adaptive"],
        &["topology", "--preset", "cantilever", "--size", "8x4x4", "--max-evaluations", "6"],
        &["run", "heat-inverse", "--scale", "small"],
    ];
    let documented = documented();
    assert!(documented.len() > 60);
    let mut unseen: Vec<&String> = documented.keys().collect();
    for (number, arguments) in runs.iter().enumerate() {
        let made = records(arguments, &folder.path().join(number.to_string()));
        assert!(!made.is_empty(), "{arguments:?}");
        for record in &made {
            assert_eq!(record["schema"], 1);
            let mut found = Vec::new();
            leaves(record, "", &mut found);
            for (key, value) in found {
                let (row, types) = covering(&documented, &key).unwrap_or_else(|| {
                    panic!("{arguments:?} writes {key}, which docs/records.md does not name")
                });
                let is_whole_number = kind(value) == "integer" && types.contains("number");
                let is_inside = row.len() < key.len() && !row.ends_with('*');
                assert!(
                    types.contains(kind(value)) || is_whole_number || is_inside,
                    "{arguments:?} writes {key} = {value}, and docs/records.md says {types}"
                );
                unseen.retain(|known| *known != row);
            }
        }
    }
    // A run that was gone on with: tests/checkpoint.rs has one.
    unseen.retain(|key| !key.starts_with("resumed."));
    // It has no elements unless the problem changes on the way.
    unseen.retain(|key| *key != "report.changes[]");
    assert_eq!(unseen, [""; 0], "docs/records.md names keys that no run has written");
}
