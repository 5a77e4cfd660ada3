//! The measured passes of a cycle on synthetic data, called through the trait that runs use.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use indicatif::ProgressBar;
use rayon::prelude::*;

use crate::domain::Domain;
use crate::engine::gpu::{Clock, KernelTime};
use crate::engine::{Engine, GpuEngine, PhaseLimits, Samples, Setup, TableFormat, Traffic, TrustLimits};
use crate::error::Result;
use crate::flow::{Adam, Flow, GradientDescent, OptimalityCriteria, ProjectedGradient};
use crate::surrogate::potential::{Outside, PotentialConfig};
use crate::surrogate::{Integrator, Lift, Rank, SpaceConfig, SurrogateConfig};

/// The passes: the name, whether it is a part of another pass and has times on a GPU only, and what it does
/// and what its bound counts, per unknown.
pub(super) const PASSES: [(&str, bool, &str); 15] = [
    ("push", false, "a gradient from the host and (x, g) into the history; 2 numbers; by the host's clock"),
    ("gram", true, "all inner products of the history, part of a refit; 2K numbers, read once"),
    ("basis", true, "the directions and the mean, part of a refit; K numbers read, r written"),
    ("regression", true, "features and coefficients, part of a refit; nothing of size d"),
    ("refit", false, "inner products, eigenvectors on the host, basis, regression"),
    ("step adam", false, "a surrogate step, of 10 in a phase; basis r, mean 1, snapshots K, state 6 numbers"),
    (
        "step adam, own table",
        false,
        "the same with the trajectory lift, whose table is the basis; basis r, mean 1, state 6",
    ),
    ("step gradient-descent", false, "the same with snapshots; basis r, mean 1, snapshots K, state 2"),
    ("targets", true, "OC's transformed targets, part of its refit; 2K numbers read, K written"),
    (
        "step oc",
        false,
        "a surrogate step, of 10; basis r, mean 1, snapshots K, state 2, the multiplier 9: x, its growth and \
         weights three times",
    ),
    (
        "projected gradient",
        false,
        "a true step on bounds and a volume; state 2, g, the multiplier 9: x, g and weights three times",
    ),
    ("reduced", false, "100 Euler steps in the reduced space and one lift; basis r, state 2"),
    (
        "pair record",
        true,
        "a displacement and its change of the gradient, part of a potential's refit; 4 numbers read, 2 \
         written",
    ),
    (
        "potential refit",
        false,
        "a new pair, inner products (2K, where the CPU engine keeps the old ones), the potential's R \
         directions (2K, R written)",
    ),
    (
        "potential step",
        false,
        "a step of the minimisation, of 5; directions 2R, x and slope 4, the multiplier 12: x, slope, center \
         and weights three times",
    ),
];

/// The number of surrogate steps per phase, of steps in the reduced space, and of steps on the potential.
const STEPS: usize = 10;
const REDUCED_STEPS: usize = 100;
const POTENTIAL_STEPS: usize = 5;
/// The settings of the learned potential.
const QUADRATIC: PotentialConfig = PotentialConfig { order: 2, outside: Outside::Mean };

/// The sizes of the data that the passes are measured on, and the format of the engine's tables.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub dimension: usize,
    pub history: usize,
    pub rank: usize,
    pub repeats: usize,
    /// The number format of the measured engine's basis.
    pub tables: TableFormat,
}

/// An engine, with access to its own timers.
pub(super) enum Subject {
    Cpu(Box<dyn Engine>),
    Gpu(Box<GpuEngine>),
}

/// The measurement of a pass; all numbers are per step where the pass has several.
#[derive(Debug, Clone, serde::Serialize)]
pub(super) struct Measured {
    pub pass: &'static str,
    pub dimension: usize,
    pub clock: Clock,
    /// The median time of one pass over all repeats, in seconds.
    pub seconds: f64,
    /// The bytes that must be moved at least; none where nothing of size d is moved.
    pub bytes: Option<u64>,
    pub dispatches: f64,
    pub readbacks: f64,
    /// The wall time of the call and a wait; none for parts of a call.
    pub wall_seconds: Option<f64>,
    pub kernels: Vec<Kernel>,
}

/// A kernel's part in a pass; the numbers are medians.
#[derive(Debug, Clone, serde::Serialize)]
pub(super) struct Kernel {
    pub kernel: &'static str,
    pub dispatches: f64,
    pub seconds: f64,
}

/// The measurements of all repeats of a call.
struct Sample {
    wall: Vec<f64>,
    profiles: Vec<Vec<KernelTime>>,
    /// The dispatches that one call recorded; read-backs alike.
    dispatches: u64,
    readbacks: u64,
}

/// The source of the numbers of a row.
enum Part {
    Call,
    /// The wall time of a call that moves data without kernels.
    Bus,
    Kernels(fn(&str) -> bool),
}

pub(super) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n => 0.5 * (values[(n - 1) / 2] + values[n / 2]),
    }
}

impl Subject {
    pub(super) fn engine(&mut self) -> &mut dyn Engine {
        match self {
            Self::Cpu(engine) => &mut **engine,
            Self::Gpu(engine) => &mut **engine,
        }
    }

    /// The bytes that one number of the engine's state takes: 8 in f64, 4 in f32.
    pub(super) fn word(&self) -> u64 {
        match self {
            Self::Cpu(engine) if engine.info().precision.starts_with("f64") => 8,
            _ => 4,
        }
    }

    pub(super) fn clock(&self) -> Clock {
        match self {
            Self::Cpu(_) => Clock::Wall,
            Self::Gpu(engine) => engine.clock(),
        }
    }

    fn finish(&mut self) -> Result<()> {
        match self {
            Self::Cpu(_) => Ok(()),
            Self::Gpu(engine) => engine.finish(),
        }
    }

    /// The bytes moved and the median seconds of copying a table of the history's size.
    pub(super) fn copy(&mut self, shape: Shape) -> Result<(u64, f64)> {
        let bytes = self.word() * (shape.history * shape.dimension) as u64;
        let (copied, seconds) = match self {
            Self::Gpu(engine) => engine.copy_times(bytes, shape.repeats)?,
            Self::Cpu(_) => {
                let from = vec![1.0_f64; bytes.div_ceil(8) as usize];
                let mut to = vec![0.0_f64; from.len()];
                let mut once = || {
                    let start = Instant::now();
                    to.par_chunks_mut(1 << 16)
                        .zip(from.par_chunks(1 << 16))
                        .for_each(|(to, from)| to.copy_from_slice(from));
                    std::hint::black_box(&to);
                    start.elapsed().as_secs_f64()
                };
                once();
                (bytes, (0..shape.repeats).map(|_| once()).collect())
            }
        };
        Ok((2 * copied, median(seconds)))
    }
}

/// The bytes per unknown that the runs of a benchmark keep on the engine, in f32.
pub(super) fn resident(history: usize, tables: TableFormat) -> u64 {
    let start = [0.5];
    let volume = Domain::uniform_with_volume(0.0, 1.0, vec![1.0], 1.0);
    let bytes = |flow, domain, samples| {
        GpuEngine::memory(
            &Setup { flow, domain, start: &start, capacity: history, samples, directions: None },
            tables,
        )
    };
    [
        bytes(adam(), &Domain::Unbounded, Samples::Points),
        bytes(oc(), &volume, Samples::Points),
        bytes(projected_gradient(), &volume, Samples::Pairs),
        // The two buffers of the copy.
        8 * history as u64,
    ]
    .into_iter()
    .max()
    .unwrap_or(0)
}

fn adam() -> Flow {
    Flow::Adam(Adam::new(0.01))
}

fn gradient_descent() -> Flow {
    Flow::GradientDescent(GradientDescent { rate: 0.01 })
}

fn oc() -> Flow {
    Flow::OptimalityCriteria(OptimalityCriteria::default())
}

fn projected_gradient() -> Flow {
    Flow::ProjectedGradient(ProjectedGradient { rate: 0.05 })
}

/// Fills `out` with map(u), u in [0, 1), the same for the same seed whatever the number of threads.
fn fill(out: &mut [f64], seed: u64, map: impl Fn(f64) -> f64 + Sync) {
    out.par_iter_mut().enumerate().for_each(|(i, value)| {
        // SplitMix64.
        let mut z = (i as u64).wrapping_add(seed << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        *value = map(((z ^ (z >> 31)) >> 40) as f64 / (1_u64 << 24) as f64);
    });
}

fn vector(length: usize, seed: u64, map: impl Fn(f64) -> f64 + Sync) -> Vec<f64> {
    let mut out = vec![0.0; length];
    fill(&mut out, seed, map);
    out
}

/// Measures one engine at one size.
pub(super) struct Bench<'a> {
    pub subject: &'a mut Subject,
    pub shape: Shape,
    pub bar: &'a ProgressBar,
    pub interrupted: &'a AtomicBool,
    pub rows: Vec<Measured>,
}

impl Bench<'_> {
    /// Measures all passes, or as many as there is time for before an interruption.
    pub(super) fn run(mut self) -> Result<Vec<Measured>> {
        self.adam()?;
        self.gradient_descent()?;
        self.optimality_criteria()?;
        self.projected_gradient()?;
        self.potential()?;
        let order = |m: &Measured| PASSES.iter().position(|(name, ..)| *name == m.pass);
        self.rows.sort_by_key(order);
        Ok(self.rows)
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }

    /// Measures a call: once to warm up, then `repeats` times by wall time and, on a GPU, as often kernel by
    /// kernel. None once interrupted.
    fn sample(
        &mut self,
        name: &str,
        mut prepare: impl FnMut(&mut dyn Engine) -> Result<()>,
        work: impl Fn(&mut dyn Engine) -> Result<()>,
    ) -> Result<Option<Sample>> {
        self.bar.set_message(format!("{name}, {} unknowns", self.shape.dimension));
        log::info!(
            "{name}, {} unknowns, engine {}",
            self.shape.dimension,
            self.subject.engine().info().kind.name()
        );
        let mut sample = Sample { wall: Vec::new(), profiles: Vec::new(), dispatches: 0, readbacks: 0 };
        for repeat in 0..=self.shape.repeats {
            if self.is_interrupted() {
                return Ok(None);
            }
            prepare(self.subject.engine())?;
            self.subject.finish()?;
            let Traffic { dispatches, readbacks, .. } = self.subject.engine().traffic();
            let start = Instant::now();
            work(self.subject.engine())?;
            self.subject.finish()?;
            if repeat > 0 {
                sample.wall.push(start.elapsed().as_secs_f64());
            }
            let after = self.subject.engine().traffic();
            (sample.dispatches, sample.readbacks) =
                (after.dispatches - dispatches, after.readbacks - readbacks);
        }
        if let Subject::Gpu(engine) = &mut *self.subject {
            for _ in 0..self.shape.repeats {
                if self.interrupted.load(Ordering::SeqCst) {
                    return Ok(None);
                }
                prepare(&mut **engine)?;
                engine.finish()?;
                engine.profile(true)?;
                work(&mut **engine)?;
                sample.profiles.push(engine.take_profile()?);
                engine.profile(false)?;
            }
        }
        self.bar.inc(1);
        Ok(Some(sample))
    }

    /// Adds a row for a pass of `numbers` numbers per unknown; the call took `steps` steps.
    fn row(&mut self, pass: &'static str, sample: &Sample, part: Part, steps: usize, numbers: Option<f64>) {
        let steps = steps.max(1) as f64;
        let wall = median(sample.wall.iter().copied()) / steps;
        let bytes = numbers.map(|n| (n * (self.shape.dimension as u64 * self.subject.word()) as f64) as u64);
        let dimension = self.shape.dimension;
        let picked: fn(&str) -> bool = match part {
            Part::Kernels(picked) => picked,
            Part::Call | Part::Bus => |_| true,
        };
        let is_part = matches!(part, Part::Kernels(_));
        let by_host = matches!(part, Part::Bus) || matches!(*self.subject, Subject::Cpu(_));
        if is_part && by_host {
            return;
        }
        let names = sample.profiles.first().into_iter().flatten().map(|k| k.kernel).filter(|k| picked(k));
        let seconds_of = |kernel: &str| {
            median(
                sample
                    .profiles
                    .iter()
                    .map(|p| p.iter().filter(|k| k.kernel == kernel).map(|k| k.seconds).sum()),
            )
        };
        let launches = |kernel: &str| {
            sample
                .profiles
                .last()
                .into_iter()
                .flatten()
                .filter(|k| k.kernel == kernel)
                .map(|k| k.dispatches)
                .sum::<u64>()
        };
        let kernels: Vec<Kernel> = names
            .map(|kernel| Kernel {
                kernel,
                dispatches: launches(kernel) as f64 / steps,
                seconds: seconds_of(kernel) / steps,
            })
            .collect();
        let on_device = median(
            sample.profiles.iter().map(|p| p.iter().filter(|k| picked(k.kernel)).map(|k| k.seconds).sum()),
        ) / steps;
        self.rows.push(Measured {
            pass,
            dimension,
            clock: if by_host { Clock::Wall } else { self.subject.clock() },
            seconds: if by_host { wall } else { on_device },
            bytes,
            dispatches: if is_part {
                kernels.iter().map(|k| k.dispatches).sum()
            } else {
                sample.dispatches as f64 / steps
            },
            readbacks: if is_part { 0.0 } else { sample.readbacks as f64 / steps },
            wall_seconds: if is_part { None } else { Some(wall) },
            kernels,
        });
    }

    fn start(&mut self, flow: Flow, domain: &Domain, capacity: usize, samples: Samples) -> Result<()> {
        let start = vector(self.shape.dimension, 1, |u| 0.3 + 0.2 * u);
        self.subject.engine().start(Setup {
            flow,
            domain,
            start: &start,
            capacity,
            samples,
            directions: None,
        })
    }

    /// Takes and records K true steps with unrelated gradients, so that every direction counts; the gradients
    /// are never positive.
    fn record_history(&mut self) -> Result<()> {
        let mut gradient = vec![0.0; self.shape.dimension];
        for k in 0..self.shape.history as u64 {
            fill(&mut gradient, 10 + k, |u| -0.1 - u);
            let engine = self.subject.engine();
            engine.set_gradient(&gradient)?;
            engine.record()?;
            engine.step()?;
        }
        // What is trusted has to be seen before.
        let engine = self.subject.engine();
        engine.read(&mut vec![0.0; gradient.len()])?;
        engine.set_gradient(&gradient).map(drop)
    }

    /// Measures a phase from the trusted state; returns how many steps it takes.
    fn sample_phase(
        &mut self,
        name: &str,
        steps: usize,
        work: impl Fn(&mut dyn Engine) -> Result<()>,
    ) -> Result<Option<(Sample, usize)>> {
        let mut x = vec![0.0; self.shape.dimension];
        // The end of one phase must not end the next phase: a read clears it.
        let prepare = |engine: &mut dyn Engine| {
            engine.read(&mut x)?;
            engine.restore()
        };
        let Some(sample) = self.sample(name, prepare, work)? else { return Ok(None) };
        let taken = self.subject.engine().read(&mut x)?.steps;
        Ok(Some((sample, taken.min(steps))))
    }

    fn surrogate_step(&mut self, pass: &'static str, numbers: f64) -> Result<()> {
        let limits = PhaseLimits { steps: STEPS, radius: f64::INFINITY, integrator: Integrator::FlowStep };
        if let Some((sample, taken)) = self.sample_phase(pass, STEPS, |e| e.integrate(limits))? {
            self.row(pass, &sample, Part::Call, taken, Some(numbers));
        }
        Ok(())
    }

    /// Fits; returns the rows of the basis, counted in numbers of the state's precision with the same bytes.
    fn fit(&mut self, config: &SurrogateConfig) -> Result<f64> {
        let rank = self.subject.engine().fit(config)?.rank;
        Ok(self.basis(rank))
    }

    fn basis(&self, rank: usize) -> f64 {
        let word = self.subject.word();
        (rank as u64 * self.shape.tables.bytes(word)) as f64 / word as f64
    }

    fn config(&self, config: SurrogateConfig) -> SurrogateConfig {
        SurrogateConfig {
            space: SpaceConfig::Reduced { rank: Rank::Count(self.shape.rank), centered: true },
            ..config
        }
    }

    fn adam(&mut self) -> Result<()> {
        let (history, k) = (self.shape.history, self.shape.history as f64);
        self.start(adam(), &Domain::Unbounded, history, Samples::Points)?;
        let gradient = vector(self.shape.dimension, 2, |u| u - 0.5);
        let push = |engine: &mut dyn Engine| {
            engine.set_gradient(&gradient)?;
            engine.record()
        };
        let Some(sample) = self.sample("push", |_| Ok(()), push)? else { return Ok(()) };
        self.row("push", &sample, Part::Bus, 1, Some(2.0));
        drop(gradient);
        self.subject.engine().forget();
        self.record_history()?;
        let config = self.config(SurrogateConfig::snapshots());
        let r = self.fit(&config)?;
        self.subject.engine().trust(true)?;
        let Some(sample) = self.sample("refit", |_| Ok(()), |e| e.fit(&config).map(drop))? else {
            return Ok(());
        };
        self.row(
            "gram",
            &sample,
            Part::Kernels(|k| matches!(k, "gram_accumulate" | "partials_reduce")),
            1,
            Some(2.0 * k),
        );
        self.row("basis", &sample, Part::Kernels(|k| k == "rows_combine"), 1, Some(k + r));
        let rest = |k: &str| !matches!(k, "gram_accumulate" | "partials_reduce" | "rows_combine");
        self.row("regression", &sample, Part::Kernels(rest), 1, None);
        self.row("refit", &sample, Part::Call, 1, Some(3.0 * k + r));
        self.surrogate_step("step adam", r + 1.0 + k + 6.0)?;
        let r = self.fit(&SurrogateConfig { lift: Lift::Trajectory, ..config })?;
        self.surrogate_step("step adam, own table", r + 1.0 + 6.0)
    }

    fn gradient_descent(&mut self) -> Result<()> {
        if self.is_interrupted() {
            return Ok(());
        }
        let k = self.shape.history;
        self.start(gradient_descent(), &Domain::Unbounded, k, Samples::Points)?;
        self.record_history()?;
        let config = self.config(SurrogateConfig::snapshots());
        let r = self.fit(&config)?;
        self.subject.engine().trust(true)?;
        self.surrogate_step("step gradient-descent", r + 1.0 + k as f64 + 2.0)?;
        let config = SurrogateConfig { lift: Lift::Trajectory, ..config };
        self.subject.engine().fit(&config)?;
        let limits =
            PhaseLimits { steps: REDUCED_STEPS, radius: f64::INFINITY, integrator: Integrator::Euler };
        if let Some((sample, _)) = self.sample_phase("reduced", REDUCED_STEPS, |e| e.integrate(limits))? {
            self.row("reduced", &sample, Part::Call, 1, Some(r + 2.0));
        }
        Ok(())
    }

    fn volume(&self) -> Domain {
        let weights = vector(self.shape.dimension, 3, |u| 0.8 + 0.4 * u);
        let volume = 0.4 * weights.par_iter().sum::<f64>();
        Domain::uniform_with_volume(0.0, 1.0, weights, volume)
    }

    fn optimality_criteria(&mut self) -> Result<()> {
        if self.is_interrupted() {
            return Ok(());
        }
        let k = self.shape.history;
        let domain = self.volume();
        self.start(oc(), &domain, k, Samples::Points)?;
        drop(domain);
        self.record_history()?;
        let config = self.config(SurrogateConfig::topology());
        let r = self.fit(&config)?;
        self.subject.engine().trust(true)?;
        if matches!(*self.subject, Subject::Gpu(_)) {
            let Some(sample) = self.sample("targets", |_| Ok(()), |e| e.fit(&config).map(drop))? else {
                return Ok(());
            };
            self.row("targets", &sample, Part::Kernels(|k| k == "target_encode"), 1, Some(3.0 * k as f64));
        }
        self.surrogate_step("step oc", r + 1.0 + k as f64 + 2.0 + 9.0)
    }

    fn projected_gradient(&mut self) -> Result<()> {
        if self.is_interrupted() {
            return Ok(());
        }
        let domain = self.volume();
        self.start(projected_gradient(), &domain, 0, Samples::Points)?;
        drop(domain);
        self.subject.engine().read(&mut vec![0.0; self.shape.dimension])?;
        self.subject.engine().set_gradient(&vector(self.shape.dimension, 2, |u| -u))?;
        self.subject.engine().trust(true)?;
        if let Some((sample, _)) = self.sample_phase("projected gradient", 1, |e| e.step())? {
            self.row("projected gradient", &sample, Part::Call, 1, Some(2.0 + 1.0 + 9.0));
        }
        Ok(())
    }

    fn potential(&mut self) -> Result<()> {
        if self.is_interrupted() {
            return Ok(());
        }
        let (k, d) = (self.shape.history, self.shape.dimension);
        let domain = self.volume();
        self.start(projected_gradient(), &domain, k, Samples::Pairs)?;
        drop(domain);
        // The gradients of a quadratic with curvatures between 1 and 100, at unrelated iterates, so that the
        // minimisation does not end early.
        let (mut x, mut gradient, mut count) = (vec![0.0; d], vec![0.0; d], 0);
        let curvatures = vector(d, 4, |u| 100.0_f64.powf(u));
        let mut slope = move |engine: &mut dyn Engine| {
            engine.read(&mut x)?;
            x.par_iter().zip(&curvatures).zip(&mut gradient).for_each(|((x, c), g)| *g = c * (x - 0.5));
            engine.set_gradient(&gradient)
        };
        slope(self.subject.engine())?;
        self.subject.engine().trust(true)?;
        let mut noise = vec![0.0; d];
        let mut wander = move |engine: &mut dyn Engine| {
            count += 1;
            fill(&mut noise, 100 + count, |u| u - 0.5);
            engine.set_gradient(&noise)?;
            engine.step()?;
            slope(engine).map(drop)
        };
        for _ in 0..k {
            wander(self.subject.engine())?;
            self.subject.engine().record_pair(0.0, true)?;
        }
        let refit = |engine: &mut dyn Engine| {
            engine.record_pair(0.0, true)?;
            engine.fit_potential(8.0, QUADRATIC)
        };
        let Some(sample) = self.sample("potential refit", wander, |e| refit(e).map(drop))? else {
            return Ok(());
        };
        let rank = self.subject.engine().fit_potential(8.0, QUADRATIC)?.rank;
        let rank = self.basis(rank);
        self.row("pair record", &sample, Part::Kernels(|k| k == "pair_record"), 1, Some(6.0));
        self.row("potential refit", &sample, Part::Call, 1, Some(6.0 + 4.0 * k as f64 + rank));
        let limits = TrustLimits { steps: POTENTIAL_STEPS, radius: 0.2 };
        if let Some((sample, taken)) =
            self.sample_phase("potential step", POTENTIAL_STEPS, |e| e.minimize(limits))?
        {
            self.row("potential step", &sample, Part::Call, taken, Some(2.0 * rank + 4.0 + 12.0));
        }
        Ok(())
    }
}
