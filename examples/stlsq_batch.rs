//! Many sparse regressions at once, from NumPy and back: `features` (B x K x P) and `targets` (B x K x m) in,
//! `coefficients` and `support` (B x P x m) and the `seconds` of every repetition out; one support per column
//! of the targets.
//!
//! `cargo run --release --example stlsq_batch -- IN.npz OUT.npz ENGINE THRESHOLD RIDGE ITERATIONS
//! REPETITIONS`, ENGINE being `auto`, `cpu` or `gpu`. `benches/peers/stlsq.py` compares it with PySINDy.

use std::error::Error;
use std::fs::File;
use std::time::Instant;

use lgf::engine::{Engine, EngineChoice};
use lgf::surrogate::{Regression, RegressionProblem, Ridge};
use ndarray::{Array1, Array3, Axis};
use ndarray_npy::{NpzReader, NpzWriter};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output, engine, threshold, ridge, iterations, repetitions] = &arguments[..] else {
        return Err("seven arguments: IN.npz OUT.npz ENGINE THRESHOLD RIDGE ITERATIONS REPETITIONS".into());
    };
    let mut npz = NpzReader::new(File::open(input)?)?;
    let features: Array3<f64> = npz.by_name("features.npy")?;
    let targets: Array3<f64> = npz.by_name("targets.npy")?;
    let regression = Regression {
        ridge: Ridge::Absolute(ridge.parse()?),
        threshold: threshold.parse()?,
        max_iterations: iterations.parse()?,
        normalize: false,
        refit: false,
    };
    let choice = match engine.as_str() {
        "auto" => EngineChoice::Auto,
        "cpu" => EngineChoice::Cpu,
        "gpu" => EngineChoice::Gpu,
        other => return Err(format!("no engine is called {other}: auto, cpu or gpu").into()),
    };
    let mut engine = choice.open()?;
    let batch: Vec<_> = features
        .outer_iter()
        .zip(targets.outer_iter())
        .map(|(features, targets)| RegressionProblem { features, targets, regression })
        .collect();

    // The first call builds the kernels, so it is not timed.
    let mut solutions = engine.regress(&batch[..1])?;
    let mut seconds = Vec::new();
    for _ in 0..repetitions.parse()? {
        let start = Instant::now();
        solutions = engine.regress(&batch)?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    let shape = (batch.len(), features.len_of(Axis(2)), targets.len_of(Axis(2)));
    let mut coefficients = Array3::zeros(shape);
    let mut support = Array3::<u8>::zeros(shape);
    for ((solution, mut xi), mut kept) in
        solutions.iter().zip(coefficients.outer_iter_mut()).zip(support.outer_iter_mut())
    {
        xi.assign(&solution.coefficients);
        kept.assign(&solution.support.mapv(u8::from));
    }
    let mut npz = NpzWriter::new(File::create(output)?);
    npz.add_array("coefficients", &coefficients)?;
    npz.add_array("support", &support)?;
    npz.add_array("seconds", &Array1::from(seconds))?;
    npz.finish()?;
    let info = engine.info();
    println!("{}: {}{}", info.kind.name(), info.adapter, if info.software { " (software)" } else { "" });
    Ok(())
}
