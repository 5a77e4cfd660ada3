//! What the CPU engine's passes cost, through the public API: one JSON object of seconds per round.
//!
//! `cargo bench --bench passes -- --d 1000000 --k 20 --rank 8 --order 1 --steps 5 --rounds 7`; with `--serve`
//! a round for every line of standard input, which is how `benches/peers/torch_lgf.py` takes turns with it;
//! with `--single` the engine in f32, with `--f16` its basis in halves. `copy` and `read` are the machine's
//! bandwidth on vectors of the history's size. With `--processor-time` the clock is the time all threads have
//! run (Linux only), which other work on the machine hardly touches.

use std::hint::black_box;
use std::io::BufRead;
use std::time::Instant;

use lgf::domain::Domain;
use lgf::engine::{CpuEngine, Engine, PhaseLimits, Samples, Setup, TableFormat};
use lgf::flow::{Adam, Flow, GradientDescent};
use lgf::surrogate::{Integrator, Lift, Rank, Regression, Ridge, SpaceConfig, SurrogateConfig};
use rayon::prelude::*;

const CHUNK: usize = 1 << 16;

struct Options {
    d: usize,
    k: usize,
    rank: usize,
    order: usize,
    steps: usize,
    rounds: usize,
    serve: bool,
    single: bool,
    tables: TableFormat,
    processor_time: bool,
}

fn options() -> Options {
    let mut out = Options {
        d: 1_000_000,
        k: 20,
        rank: 8,
        order: 1,
        steps: 5,
        rounds: 7,
        serve: false,
        single: false,
        tables: TableFormat::State,
        processor_time: false,
    };
    let words: Vec<String> =
        std::env::args().skip(1).flat_map(|a| a.split('=').map(str::to_string).collect::<Vec<_>>()).collect();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|w| w.parse().ok()).expect("a number after every option");
        match word.as_str() {
            "--d" => out.d = number(),
            "--k" => out.k = number(),
            "--rank" => out.rank = number(),
            "--order" => out.order = number(),
            "--steps" => out.steps = number(),
            "--rounds" => out.rounds = number(),
            "--serve" => out.serve = true,
            "--single" => out.single = true,
            "--f16" => out.tables = TableFormat::F16,
            "--processor-time" => out.processor_time = true,
            // Cargo adds this argument to a benchmark's own.
            "--bench" => {}
            other => panic!("unknown option {other}"),
        }
    }
    out
}

/// K true steps on a separable quadratic, recorded; the state after them is the trusted one.
fn warm(flow: Flow, options: &Options) -> Box<dyn Engine> {
    let mut engine: Box<dyn Engine> = if options.single {
        Box::new(CpuEngine::single().with_tables(options.tables))
    } else {
        Box::new(CpuEngine::new().with_tables(options.tables))
    };
    let mut x: Vec<f64> = (0..options.d).map(|i| (0.37 * i as f64).sin()).collect();
    engine
        .start(Setup {
            flow,
            domain: &Domain::Unbounded,
            start: &x,
            capacity: options.k,
            samples: Samples::Points,
            directions: None,
        })
        .expect("enough memory");
    for _ in 0..options.k {
        engine.set_gradient(&gradient(&x)).expect("as long as x");
        engine.record().expect("a started engine");
        engine.step().expect("a started engine");
        engine.read(&mut x).expect("a started engine");
    }
    engine.set_gradient(&gradient(&x)).expect("as long as x");
    engine.trust(true).expect("a gradient");
    engine
}

fn gradient(x: &[f64]) -> Vec<f64> {
    x.iter()
        .enumerate()
        .map(|(i, x)| (0.55 + 0.45 * (0.11 * i as f64).sin()) * (x - (0.23 * i as f64).cos()))
        .collect()
}

/// The processor time of all threads, in seconds.
fn processor_time() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    let nanoseconds = |task: std::io::Result<std::fs::DirEntry>| -> Option<f64> {
        std::fs::read_to_string(task.ok()?.path().join("schedstat"))
            .ok()?
            .split_whitespace()
            .next()?
            .parse()
            .ok()
    };
    tasks.filter_map(nanoseconds).sum::<f64>() * 1e-9
}

struct Bench {
    options: Options,
    adam: Box<dyn Engine>,
    descent: Box<dyn Engine>,
    from: Vec<f64>,
    to: Vec<f64>,
}

impl Bench {
    fn new(options: Options) -> Self {
        let adam = warm(Flow::Adam(Adam::new(0.01)), &options);
        let descent = warm(Flow::GradientDescent(GradientDescent { rate: 0.1 }), &options);
        let length = options.d * options.k;
        Self { adam, descent, from: vec![1.0; length], to: vec![2.0; length], options }
    }

    fn round(&mut self) -> serde_json::Value {
        let Options { rank, order, steps, processor_time: by_processor, .. } = self.options;
        let origin = Instant::now();
        let clock = || if by_processor { processor_time() } else { origin.elapsed().as_secs_f64() };
        let seconds = |pass: &mut dyn FnMut()| {
            let begin = clock();
            pass();
            clock() - begin
        };
        let trajectory = SurrogateConfig {
            order,
            space: SpaceConfig::Reduced { rank: Rank::Count(rank), centered: true },
            lift: Lift::Trajectory,
            regression: Regression::ridge(Ridge::Relative(1e-6)),
            ..SurrogateConfig::snapshots()
        };
        let snapshots = SurrogateConfig { order: 1, ..SurrogateConfig::snapshots() };
        let phase = |steps, integrator| PhaseLimits { steps, radius: f64::INFINITY, integrator };
        let cycle = |engine: &mut dyn Engine, config: &SurrogateConfig, limits: PhaseLimits| {
            engine.restore().expect("a started engine");
            let fit = seconds(&mut || {
                engine.fit(config).expect("a full history");
            });
            let steps = seconds(&mut || engine.integrate(limits).expect("a fit"));
            (fit, steps)
        };
        let (refit, own) = cycle(&mut *self.adam, &trajectory, phase(steps, Integrator::FlowStep));
        let (_, rk4) = cycle(&mut *self.adam, &trajectory, phase(steps, Integrator::Rk4));
        let (snapshots_refit, snapshots_own) =
            cycle(&mut *self.adam, &snapshots, phase(steps, Integrator::FlowStep));
        let (_, snapshots_rk4) = cycle(&mut *self.adam, &snapshots, phase(steps, Integrator::Rk4));
        let (_, descent) = cycle(&mut *self.descent, &trajectory, phase(20, Integrator::FlowStep));
        self.adam.restore().expect("a started engine");
        let true_step = seconds(&mut || self.adam.step().expect("a started engine"));
        self.adam.restore().expect("a started engine");
        let record = seconds(&mut || self.adam.record().expect("a started engine"));
        let copy = seconds(&mut || {
            self.to
                .par_chunks_mut(CHUNK)
                .zip(self.from.par_chunks(CHUNK))
                .for_each(|(to, from)| to.copy_from_slice(from))
        });
        let read =
            seconds(&mut || drop(black_box(self.from.par_chunks(CHUNK).map(lanes_sum).collect::<Vec<_>>())));
        serde_json::json!({
            "refit": refit,
            "adam_step": own / steps as f64,
            "adam_rk4_step": rk4 / steps as f64,
            "snapshots_refit": snapshots_refit,
            "snapshots_adam_step": snapshots_own / steps as f64,
            "snapshots_adam_rk4_step": snapshots_rk4 / steps as f64,
            "descent_phase": descent,
            "true_step": true_step,
            "record": record,
            "copy": copy,
            "read": read,
        })
    }
}

fn lanes_sum(values: &[f64]) -> f64 {
    let mut sums = [0.0; 16];
    values.chunks_exact(16).for_each(|v| sums.iter_mut().zip(v).for_each(|(s, v)| *s += v));
    sums.iter().sum()
}

fn main() {
    let options = options();
    let (serve, rounds) = (options.serve, options.rounds);
    let mut bench = Bench::new(options);
    if serve {
        let info = bench.adam.info();
        println!("{}", serde_json::json!({ "adapter": info.adapter, "precision": info.precision }));
        std::io::stdin().lock().lines().map_while(Result::ok).for_each(|_| println!("{}", bench.round()));
    } else {
        (0..rounds).for_each(|_| println!("{}", bench.round()));
    }
}
