//! Hostile inputs: files and flags as nobody would write them, made of good ones by a seeded generator.
//! Nothing that is read may panic, hang or take more memory than its size announces.
//!
//! Every test tries 2000 inputs a seed; the environment variable LGF_HOSTILE gives another number.

use std::path::Path;

use crate::checkpoint::{Every, Journal, Journaled};
use crate::engine::CpuEngine;
use crate::io;
use crate::problems::Rosenbrock;
use crate::topology::{Compliance, Structure};
use crate::{Lgf, Stopping};

/// The inputs that are tried for each seed.
fn tries() -> usize {
    std::env::var("LGF_HOSTILE").ok().and_then(|count| count.parse().ok()).unwrap_or(2000)
}

/// Marsaglia's xorshift generator of numbers.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below.max(1) as u64) as usize
    }
}

/// What people and programs write where something else is expected.
const WORDS: [&[u8]; 20] = [
    b"nan",
    b"inf",
    b"-inf",
    b"-1",
    b"0",
    b"1e308",
    b"1e-320",
    b"99999999999999999999",
    b"4294967296",
    b"-9223372036854775808",
    b"[[[[[[[[",
    b"((((((((",
    b"\"",
    b"\n",
    b"=",
    b"{",
    b"..",
    b"/dev/zero",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\0\0\0\0\0\0\0\0",
];

/// Spoiled copies of a good input.
pub(crate) fn spoiled(good: &[u8]) -> impl Iterator<Item = Vec<u8>> + use<> {
    let good = good.to_vec();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ good.len() as u64);
    (0..tries()).map(move |_| {
        let mut bytes = good.clone();
        for _ in 0..=dice.throw(4) {
            let at = dice.throw(bytes.len());
            let until = (at + dice.throw(16)).min(bytes.len());
            match dice.throw(7) {
                0 if at < bytes.len() => bytes[at] ^= 1 << dice.throw(8),
                1 if at < bytes.len() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff, b'9', b'-'][dice.throw(7)],
                2 => bytes.truncate(at),
                3 => drop(bytes.drain(at..until)),
                4 => {
                    let part = bytes[at..until].to_vec();
                    bytes.splice(at..at, part);
                }
                5 => drop(bytes.splice(at..until, WORDS[dice.throw(WORDS.len())].iter().copied())),
                _ => drop(bytes.splice(at..at, WORDS[dice.throw(WORDS.len())].iter().copied())),
            }
        }
        bytes
    })
}

/// Calls `read` with the path of each spoiled copy.
pub(crate) fn each_file(good: &[u8], mut read: impl FnMut(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("input");
    for bytes in spoiled(good) {
        std::fs::write(&path, bytes).unwrap();
        read(&path);
    }
}

#[test]
fn problem_files() {
    let plane =
        io::write_problem(&Structure::preset(crate::topology::Preset::TwoLoadBridge, &[8, 4]).unwrap());
    let template = io::PROBLEM_TEMPLATE.replace("60, 20, 20", "6, 3, 3");
    let mut set_up = 0;
    for good in [plane.unwrap(), template] {
        for bytes in spoiled(good.as_bytes()) {
            let Ok(structure) = io::parse_problem(&String::from_utf8_lossy(&bytes)) else { continue };
            if structure.validate().is_ok()
                && structure.elements() <= 500
                && Compliance::new(structure).is_ok()
            {
                set_up += 1;
            }
        }
    }
    assert!(set_up > 0);
}

#[test]
fn surfaces() {
    let density: Vec<f64> = (0..60).map(|e| f64::from(u8::from(e % 5 > 0 && e % 5 < 4))).collect();
    let surface = io::solid::boundary([5, 4, 3], [1.0; 3], &density).surface;
    let text = "solid a\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\nendloop\n\
                endfacet\nendsolid a\n";
    for good in [io::solid::write_stl(&surface), text.into()] {
        each_file(&good, |path| drop(io::stl_cells(path, &[5, 4, 3], [5.0, 4.0, 3.0])));
    }
}

#[test]
fn arrays() {
    let plane = ndarray::Array2::from_elem((3, 4), 0.5);
    let good = io::npy(plane.view()).unwrap();
    each_file(&good, |path| {
        drop(io::mask_cells(path, &[4, 3]));
        drop(io::read_design(path, &[4, 3]));
    });
}

#[test]
fn checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    let run = |journal: &Journal| {
        let lgf = Lgf::potential().stopping(Stopping::default().evaluations(6).tolerance(1e-6)).unwrap();
        let objective = Journaled::new(Rosenbrock { dimension: 2 }, journal);
        lgf.on(CpuEngine::new()).minimize(objective, &[-1.2, 1.0]).unwrap()
    };
    let whole = run(&Journal::create(folder.path(), "id", Every::default()).unwrap());
    let file = folder.path().join("journal.bin");
    let mut resumed = 0;
    for bytes in spoiled(&std::fs::read(&file).unwrap()) {
        std::fs::write(&file, bytes).unwrap();
        if let Ok(journal) = Journal::resume(folder.path(), "id", Every::default()) {
            assert_eq!(run(&journal).history, whole.history);
            resumed += 1;
        }
    }
    assert!(resumed > 0);
}
