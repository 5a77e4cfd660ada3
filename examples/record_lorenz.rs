//! Writes `lorenz.npz`, a noisy trajectory of the Lorenz system for `lgf discover` (2500 samples to t = 25,
//! noise 0.05).
//!
//! `cargo run --release --example record_lorenz`

use lgf::surrogate::Integrator;
use ndarray::{Array1, Array2};
use ndarray_npy::NpzWriter;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (samples, dt) = (2500, 0.01);
    let (mut x, mut inner) = (vec![-8.0, 8.0, 27.0], dt);
    let mut lorenz = |_: f64, x: &[f64], dx: &mut [f64]| {
        dx[0] = 10.0 * (x[1] - x[0]);
        dx[1] = x[0] * (28.0 - x[2]) - x[1];
        dx[2] = x[0] * x[1] - 8.0 / 3.0 * x[2];
    };
    let mut states = Array2::zeros((samples, 3));
    for k in 0..samples {
        // A sum of sines of the sample's number stands in for noise: reproducible, and unrelated to the
        // motion.
        for i in 0..3 {
            let phase = (k * 3 + i) as f64;
            states[[k, i]] = x[i] + 0.05 * ((12.9898 * phase).sin() * 43_758.545_3 % 1.0) * 3.0_f64.sqrt();
        }
        Integrator::DormandPrince { rtol: 1e-10, atol: 1e-12 }.advance(
            &mut lorenz,
            k as f64 * dt,
            dt,
            &mut x,
            &mut inner,
        );
    }
    let mut npz = NpzWriter::new(std::fs::File::create("lorenz.npz")?);
    npz.add_array("x", &states)?;
    npz.add_array("t", &Array1::from_shape_fn(samples, |k| k as f64 * dt))?;
    npz.finish()?;
    println!(
        "lorenz.npz: {samples} samples; now: lgf discover lorenz.npz --targets weak --order 3 --half-width \
         20 --stride 10 --threshold 0.1 --refit"
    );
    Ok(())
}
