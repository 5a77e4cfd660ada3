//! What the finite elements in three dimensions cost: the product beside a copy of as many bytes, solves at
//! several settings, and design iterations of optimality criteria.
//!
//! `cargo bench --bench solid -- product 160x80x80`, `… -- solves`, `… -- iterations 128x64x64`. Ratios are
//! measured in turns within one run; single times are of the machine and the moment.

use std::hint::black_box;
use std::time::Instant;

use lgf::fem::{BrickMesh, Element, Operator};
use lgf::flow::{Flow, OptimalityCriteria};
use lgf::topology::{Compliance, Material, Preset, Structure};
use lgf::{Lgf, Stopping, engine::CpuEngine};
use rayon::prelude::*;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn size(text: &str) -> Vec<u32> {
    text.split('x').map(|n| n.parse().expect("a size such as 96x48x48")).collect()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The product A u in f32 beside a copy that reads and writes 40 bytes for each element between them.
fn product(elements: &[u32]) -> Outcome {
    let mesh = BrickMesh::new(elements[0] as usize, elements[1] as usize, elements[2] as usize)?;
    let element = Element::new([1.0; 3], 0.3)?;
    let moduli: Vec<f32> = (0..mesh.elements()).map(|e| 0.1 + (e % 7) as f32).collect();
    let u: Vec<f32> = (0..mesh.dofs()).map(|i| (i % 13) as f32 - 6.0).collect();
    let mut out = vec![0.0_f32; mesh.dofs()];
    let mut operator = Operator::<f32>::new(mesh, &element);
    // 20 bytes are read and 20 are written.
    let from = vec![1.0_f32; 5 * mesh.elements()];
    let mut to = vec![0.0_f32; 5 * mesh.elements()];
    let (mut products, mut copies) = (Vec::new(), Vec::new());
    for _ in 0..21 {
        let began = Instant::now();
        operator.product(&moduli, black_box(&u), &mut out)?;
        products.push(began.elapsed().as_secs_f64());
        let began = Instant::now();
        to.par_chunks_mut(1 << 16)
            .zip(black_box(&from).par_chunks(1 << 16))
            .for_each(|(to, from)| to.copy_from_slice(from));
        copies.push(began.elapsed().as_secs_f64());
    }
    black_box((&out, &to));
    let (product, copy) = (median(products), median(copies));
    println!("| elements | product, f32 | copy of 40 bytes | ratio | million elements a second |");
    println!("|---|---|---|---|---|");
    println!(
        "| {} | {:.2} ms | {:.2} ms | {:.2} | {:.0} |",
        mesh.elements(),
        1e3 * product,
        1e3 * copy,
        product / copy,
        1e-6 * mesh.elements() as f64 / product
    );
    Ok(())
}

/// A cantilever after some steps of optimality criteria, its move limit and solver tolerance being given.
fn path(structure: Structure, steps: usize, move_limit: f64, tolerance: f64) -> lgf::Result<Compliance> {
    let mut problem = Compliance::new(structure)?;
    problem.set_tolerance(tolerance)?;
    let start = problem.uniform_start();
    let flow = Flow::OptimalityCriteria(OptimalityCriteria { move_limit });
    let stopping = Stopping::default().evaluations(steps).tolerance(0.0);
    let lgf = Lgf::new(flow)?.stopping(stopping)?.on(CpuEngine::single());
    lgf.minimize(&mut problem, &start).map_err(|e| lgf::Error::Start(Box::new(e)))?;
    Ok(problem)
}

/// Iterations to 1e-5 along the path of optimality criteria, for volumes, radii, moduli of void and sizes.
fn solves() -> Outcome {
    println!("| elements | volume | radius | E_min | iterations at evaluation 1, 5, 10, 20 | most |");
    println!("|---|---|---|---|---|---|");
    let row = |elements: &[u32], volume_fraction: f64, radius: f64, void_modulus: f64| -> Outcome {
        let structure = Structure {
            volume_fraction,
            radius,
            material: Material { void_modulus, ..Material::default() },
            ..Structure::preset(Preset::Cantilever, elements)?
        };
        let problem = path(structure, 20, 0.2, 1e-5)?;
        let counts: Vec<usize> = problem.solves().iter().map(|solve| solve.iterations).collect();
        let shown: Vec<String> = [0, 4, 9, 19].iter().map(|k| counts[*k].to_string()).collect();
        let most = counts.iter().max().copied().unwrap_or_default();
        let size = problem.mesh();
        let shown = shown.join(" · ");
        println!("| {size} | {volume_fraction} | {radius} | {void_modulus:.0e} | {shown} | {most} |");
        Ok(())
    };
    for volume in [0.05, 0.12, 0.2, 0.5] {
        row(&[48, 24, 24], volume, 1.5, 1e-9)?;
    }
    for radius in [3.0, 6.0] {
        row(&[48, 24, 24], 0.12, radius, 1e-9)?;
    }
    for void_modulus in [1e-3, 1e-6] {
        row(&[48, 24, 24], 0.12, 1.5, void_modulus)?;
    }
    for elements in [[96, 48, 48], [97, 49, 51], [128, 64, 64], [256, 128, 128]] {
        row(&elements, 0.12, 3.0_f64.sqrt(), 1e-9)?;
    }
    Ok(())
}

/// Seconds of a design iteration at 1e-5, set-up, filter and the step of optimality criteria included.
fn iterations(elements: &[u32]) -> Outcome {
    let structure = Structure::preset(Preset::Cantilever, elements)?;
    let structure = Structure { volume_fraction: 0.2, radius: 1.5, ..structure };
    let mut problem = Compliance::new(structure)?;
    problem.set_tolerance(1e-5)?;
    let start = problem.uniform_start();
    let flow = Flow::OptimalityCriteria(OptimalityCriteria { move_limit: 0.1 });
    let stopping = Stopping::default().evaluations(16).tolerance(0.0);
    let mut session =
        Lgf::new(flow)?.stopping(stopping)?.on(CpuEngine::single()).session(&mut problem, &start)?;
    let mut seconds = Vec::new();
    loop {
        let began = Instant::now();
        let report = session.step()?;
        seconds.push(began.elapsed().as_secs_f64());
        if report.is_some() {
            break;
        }
    }
    drop(session);
    for (solve, seconds) in problem.solves().iter().zip(&seconds) {
        println!("{} its {} seconds {seconds:.2}", solve.evaluation, solve.iterations);
    }
    println!("mean {:.3}", seconds.iter().sum::<f64>() / problem.solves().len() as f64);
    Ok(())
}

fn main() -> Outcome {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["product", elements] => product(&size(elements)),
        ["solves"] => solves(),
        ["iterations", elements] => iterations(&size(elements)),
        // What a plain `cargo bench` or `cargo test --benches` shows is quick.
        _ => product(&[32, 16, 16]),
    }
}
