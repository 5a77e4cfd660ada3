//! A run that was cut short, by whatever, ends as if nothing had happened: `lgf resume`, `lgf repeat`.

#![cfg(unix)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

const SPACE: &[&str] = &["--preset", "cantilever", "--size", "32x16x16", "--max-evaluations", "14"];
const PLANE: &[&str] = &["--preset", "mbb", "--size", "60x20", "--symmetry", "none"];

fn lgf() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lgf"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn begin(out: &Path, options: &[&str]) -> Child {
    let fixed = ["topology", "--engine", "cpu", "--quiet", "--checkpoint", "every=3", "--out"];
    lgf().args(fixed).arg(out).args(options).spawn().unwrap()
}

fn resume(out: &Path) -> Output {
    lgf().arg("resume").arg(out).arg("--quiet").output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The number of evaluations that the killed run's listing tells of, its header left out.
fn listed(out: &Path) -> usize {
    fs::read_to_string(out.join("evaluations.csv")).map_or(0, |text| text.lines().count().saturating_sub(1))
}

/// Sends `signal` as soon as so many evaluations are listed; returns whether the run was still going on.
fn signal_at(mut child: Child, out: &Path, evaluations: usize, signal: &str) -> bool {
    while listed(out) < evaluations {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::yield_now();
    }
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    !child.wait().unwrap().success()
}

fn whole(folder: &TempDir, options: &[&str]) -> PathBuf {
    let out = folder.path().join("whole");
    let output = begin(&out, options).wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(!out.join("checkpoint").exists(), "a finished run leaves no checkpoint");
    out
}

fn assert_same(a: &Path, b: &Path) {
    for name in ["variables.npy", "design.npy", "history.csv", "evaluations.csv"] {
        assert!(fs::read(a.join(name)).unwrap() == fs::read(b.join(name)).unwrap(), "{name} differs");
    }
    let record = |dir: &Path| -> serde_json::Value {
        serde_json::from_slice(&fs::read(dir.join("record.json")).unwrap()).unwrap()
    };
    let (a, b) = (record(a), record(b));
    for key in ["objective", "volume", "spent", "kkt_residual", "stop"] {
        assert_eq!(a[key], b[key], "{key}");
    }
    let before = b["resumed"]["evaluations"].as_u64().unwrap();
    assert!(before > 0, "{before}");
}

/// In space, on coarse grids and on the given one: killed, gone on with, killed again, gone on with.
#[test]
fn a_run_that_is_killed_ends_the_same() {
    let folder = TempDir::new().unwrap();
    for (name, options, moments) in [("space", SPACE, [7, 60, 95]), ("plane", PLANE, [30, 90, 120])] {
        let folder_of_kind = TempDir::new().unwrap();
        let whole = whole(&folder_of_kind, options);
        let all = listed(&whole);
        for moment in moments {
            let out = folder.path().join(format!("{name}-{moment}"));
            assert!(moment < all, "the run has {all} evaluations");
            assert!(signal_at(begin(&out, options), &out, moment, "-KILL"), "it was killed");
            assert!(out.join("checkpoint/journal.bin").exists());
            // The sitting after that is killed as well, a little later.
            let again = lgf().arg("resume").arg(&out).spawn().unwrap();
            signal_at(again, &out, (moment + 15).min(all - 1), "-KILL");
            let output = resume(&out);
            assert!(output.status.success(), "{}", text(&output));
            assert_same(&whole, &out);
        }
    }
}

/// A run that was asked to end hands out what it has, and goes on later.
#[test]
fn a_run_that_is_asked_to_end_goes_on_later() {
    let folder = TempDir::new().unwrap();
    let whole = whole(&folder, SPACE);
    let out = folder.path().join("out");
    assert!(signal_at(begin(&out, SPACE), &out, 50, "-TERM"));
    assert!(out.join("record.json").exists() && out.join("checkpoint").exists());
    let output = resume(&out);
    assert!(output.status.success(), "{}", text(&output));
    assert_same(&whole, &out);
    assert!(!out.join("checkpoint").exists());
    let again = resume(&out);
    assert!(!again.status.success());
    assert!(text(&again).contains("there is no checkpoint in it"), "{}", text(&again));
}

/// A problem file that has changed since makes another run.
#[test]
fn a_changed_problem_is_refused() {
    let folder = TempDir::new().unwrap();
    let problem = folder.path().join("beam.toml");
    let saved = lgf().args(["topology", "--save-problem"]).arg(&problem).args(PLANE).output().unwrap();
    assert!(saved.status.success(), "{}", text(&saved));
    let out = folder.path().join("out");
    let child = begin(&out, &[problem.to_str().unwrap()]);
    assert!(signal_at(child, &out, 20, "-KILL"));
    let original = fs::read_to_string(&problem).unwrap();
    fs::write(&problem, original.replace("volume = 0.5", "volume = 0.4")).unwrap();
    let refused = resume(&out);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused).contains("the problem was another when the run began"), "{}", text(&refused));
    assert_eq!(text(&refused).lines().count(), 1, "{}", text(&refused));
    fs::write(&problem, original).unwrap();
    let output = resume(&out);
    assert!(output.status.success(), "{}", text(&output));
}

/// Two runs do not share a folder, and a new run does not take an unfinished one's checkpoint away.
#[test]
fn two_runs_do_not_share_a_folder() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("out");
    let mut first = begin(&out, SPACE);
    while listed(&out) == 0 {
        assert!(first.try_wait().unwrap().is_none());
    }
    let second = begin(&out, PLANE).wait_with_output().unwrap();
    assert!(!second.status.success() && text(&second).contains("another run writes"), "{}", text(&second));
    first.kill().unwrap();
    first.wait().unwrap();
    let third = begin(&out, PLANE).wait_with_output().unwrap();
    assert!(third.status.success(), "{}", text(&third));
    assert!(text(&third).contains("checkpoint/previous"), "{}", text(&third));
    assert!(out.join("checkpoint/previous/journal.bin").exists());
}

/// A run's folder tells everything that is needed to make it again.
#[test]
fn a_run_is_repeated_and_compared() {
    let folder = TempDir::new().unwrap();
    let out = whole(&folder, PLANE);
    let repeat = || lgf().arg("repeat").arg(&out).output().unwrap();
    let same = repeat();
    assert!(same.status.success(), "{}", text(&same));
    assert!(String::from_utf8_lossy(&same.stdout).contains("to the last bit"));
    let record = out.join("record.json");
    let mut value: serde_json::Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    value["history"][4]["objective"] = 1.5.into();
    fs::write(&record, value.to_string()).unwrap();
    let differs = repeat();
    assert_eq!(differs.status.code(), Some(1));
    assert!(text(&differs).contains("the runs differ from evaluation 5 on: 1.5 then"), "{}", text(&differs));
}

/// Kills a command as soon as its journal has so many bytes; returns whether it was still going on.
fn killed_at(mut child: Child, out: &Path, bytes: u64) -> bool {
    let journal = out.join("checkpoint/journal.bin");
    while fs::metadata(&journal).map_or(0, |file| file.len()) < bytes {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::yield_now();
    }
    child.kill().unwrap();
    !child.wait().unwrap().success()
}

/// The commands that make several runs are gone on with as well: the one that was killed is not lost, and
/// those before it are not computed again.
#[test]
fn commands_of_several_runs_go_on() {
    let commands: [(&[&str], &[&str]); 3] = [
        (
            &["run", "scattering", "--scale", "small", "--method", "adaptive"],
            &["plain/solution.npy", "plain/history.csv", "lgf/solution.npy", "lgf/history.csv"],
        ),
        (
            &["compare", "--problems", "nonlinear-heat,scattering", "--scale", "small", "--engines", "cpu"],
            &[],
        ),
        (
            &["--size", "60x20", "--solid", "16x8x8"],
            &[
                "plain/variables.npy",
                "lgf-oc/history.csv",
                "solid-plain/variables.npy",
                "solid-lgf/variables.npy",
                "solid-lgf/history.csv",
            ],
        ),
    ];
    for (words, files) in commands {
        let folder = TempDir::new().unwrap();
        let begin = |out: &Path| {
            let mut command = lgf();
            command.args(words).arg("--quiet").arg("--out").arg(out);
            if words[0] != "compare" {
                command.args(["--engine", "cpu"]);
            }
            command.spawn().unwrap()
        };
        let whole = folder.path().join("whole");
        let output = begin(&whole).wait_with_output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        assert!(!whole.join("checkpoint").exists(), "{words:?} leaves no checkpoint");
        for bytes in [1 << 14, 1 << 17] {
            let out = folder.path().join(format!("at-{bytes}"));
            assert!(killed_at(begin(&out), &out, bytes), "{words:?} has fewer than {bytes} bytes");
            let output = resume(&out);
            assert!(output.status.success(), "{words:?}: {}", text(&output));
            assert!(!out.join("checkpoint").exists());
            for name in files {
                assert!(fs::read(whole.join(name)).unwrap() == fs::read(out.join(name)).unwrap(), "{name}");
            }
            if words[0] == "compare" {
                // All but the seconds.
                let rows = |dir: &Path| -> Vec<Vec<String>> {
                    let text = fs::read_to_string(dir.join("comparison.csv")).unwrap();
                    let mut lines = text.lines().map(|l| l.split(',').map(String::from).collect::<Vec<_>>());
                    let head: Vec<String> = lines.next().unwrap();
                    let seconds = head.iter().position(|name| name == "seconds").unwrap();
                    lines
                        .map(|mut row| {
                            row.remove(seconds);
                            row
                        })
                        .collect()
                };
                assert_eq!(rows(&whole), rows(&out));
            }
        }
    }
}
