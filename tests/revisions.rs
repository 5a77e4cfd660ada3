//! Tests of objectives that change during a run.

use std::ops::ControlFlow;

use lgf::domain::Domain;
use lgf::engine::CpuEngine;
use lgf::error::ObjectiveError;
use lgf::flow::{Flow, OptimalityCriteria};
use lgf::method::{Cosine, Field, Method, Potential};
use lgf::objective::{FnObjective, Objective};
use lgf::observe::{self, Event};
use lgf::problems::Quadratic;
use lgf::report::{HistoryEntry, StopReason};
use lgf::surrogate::SurrogateConfig;
use lgf::topology::{Compliance, FilterKind, SigmoidDesign, Structure};
use lgf::{Lgf, Stopping};

mod common;
use common::{adaptive, budget, descent, fixed, lgf, run, unchecked, value};

/// A quadratic until `until` evaluations are done, then another quadratic, shifted upwards by `offset`.
struct Changing {
    until: usize,
    offset: f64,
    evaluations: usize,
    /// Which evaluations return an error.
    failing: std::ops::Range<usize>,
}

impl Changing {
    fn new(until: usize, offset: f64) -> Self {
        Self { until, offset, evaluations: 0, failing: 0..0 }
    }
    fn second(offset: f64) -> impl Objective {
        let mut bowl =
            Quadratic { minimizer: vec![-0.5, 0.25, 0.75, 1.0, -0.25], ..Quadratic::geometric(5, 4.0) };
        FnObjective::new(5, move |x: &[f64], g: &mut [f64]| Ok(offset + bowl.evaluate(x, g)?))
    }
}

impl Objective for Changing {
    fn dimension(&self) -> usize {
        5
    }
    fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64, ObjectiveError> {
        self.evaluations += 1;
        if self.failing.contains(&self.evaluations) {
            return Err("no mesh".into());
        }
        if self.revision() == 7 {
            Quadratic::geometric(5, 10.0).evaluate(x, gradient)
        } else {
            Self::second(self.offset).evaluate(x, gradient)
        }
    }
    fn revision(&self) -> u64 {
        if self.evaluations > self.until { 3 } else { 7 }
    }
}

/// From the evaluation that shows a new function on, a run is what a run on that function from that iterate
/// is: to the bit, whatever the value there, and whether a true step or a landing has led there. So nothing
/// is learned from, or compared with, the old one.
#[test]
fn a_changed_objective_is_begun_afresh() {
    let (flow, snapshots) = (descent(0.15), SurrogateConfig::snapshots());
    let methods: [Method; 6] = [
        flow.into(),
        fixed(flow, 3, 8),
        unchecked(flow, snapshots, 3, 8),
        adaptive(flow),
        Cosine::new(flow, snapshots).into(),
        Potential::default().into(),
    ];
    let mut landings = 0;
    for (until, offset) in (1..=12).flat_map(|n| [(n, 100.0), (n, -100.0)]) {
        for method in methods {
            let (mut shown, mut told) = (Vec::new(), Vec::new());
            let observer = observe::from_fn(|event: Event<'_>| {
                match event {
                    Event::Changed { evaluation } => told.push(evaluation),
                    Event::TrueStep { entry, x, .. } if entry.evaluation == until + 1 => shown = x.to_vec(),
                    Event::Landed { entry: Some(entry), x, phase } if entry.evaluation == until + 1 => {
                        assert!(phase.accepted && phase.true_change.is_none());
                        landings += 1;
                        shown = x.to_vec();
                    }
                    _ => {}
                }
                ControlFlow::Continue(())
            });
            let report = lgf(method, 40)
                .on(CpuEngine::new())
                .observe(observer)
                .minimize(Changing::new(until, offset), &[0.0; 5])
                .unwrap();
            let context = format!("{method:?} after {until}, {offset}: {}", report.stop);
            assert_eq!((&told, &report.changes), (&vec![until + 1], &told), "{context}");

            let afresh = run(lgf(method, 40 - until), Changing::second(offset), &shown);
            let values = |history: &[HistoryEntry]| {
                history.iter().map(|e| (e.objective.to_bits(), e.accepted)).collect::<Vec<_>>()
            };
            assert_eq!(values(&report.history[until..]), values(&afresh.history), "{context}");
            assert_eq!(
                (&report.x, report.objective, report.kkt_residual),
                (&afresh.x, afresh.objective, afresh.kkt_residual),
                "{context}"
            );
            assert_eq!(report.evaluations_to_reach(f64::MAX), Some(until + 1), "{context}");
            for phase in report.phases.iter().filter(|p| p.evaluation > until) {
                assert!(phase.fit.samples <= phase.evaluation - until, "{context}: {phase:?}");
            }

            assert_eq!(value(Changing::second(offset), &report.x), report.objective);
            if let Method::Potential(_) = method {
                let error = report
                    .x
                    .iter()
                    .zip([-0.5, 0.25, 0.75, 1.0, -0.25])
                    .map(|(x, e)| (x - e).abs())
                    .fold(0.0, f64::max);
                assert!(error < 1e-6, "{context}: {error}");
            } else {
                assert!(report.objective < offset + 1e-2, "{context}: {}", report.objective);
            }
        }
    }
    assert!(landings >= 10, "{landings} changes shown by landings: the test needs some");
}

/// A landing that fails on a new function is undone, and the trusted iterate gets the value it has now.
#[test]
fn a_change_shown_by_a_landing_that_fails_is_taken_note_of() {
    for (method, until) in [(adaptive(descent(0.15)), 6), (Potential::default().into(), 4)] {
        let mut objective = Changing { failing: until + 1..until + 2, ..Changing::new(until, 100.0) };
        let report = run(lgf(method, 40), &mut objective, &[0.0; 5]);
        assert_eq!((report.changes, report.rejected >= 1), (vec![until + 2], true), "{}", report.stop);
        assert!(
            report.history[until..].iter().all(|e| e.objective >= 100.0) && report.objective < 100.01,
            "{}",
            report.objective
        );
    }
}

#[test]
fn the_settled_window_begins_again_with_a_new_function() {
    for method in [descent(0.15).into(), Method::from(Potential::default())] {
        let lgf = lgf(method, 60).stopping(budget(60).settled(4, 1e-6)).unwrap();
        let report = run(lgf, Changing::new(8, 100.0), &[0.0; 5]);
        assert!(matches!(report.stop, StopReason::Settled { .. }), "{}", report.stop);
        assert!(
            report.true_evaluations >= 9 + 4 && report.objective < 100.1,
            "{} after {}",
            report.objective,
            report.true_evaluations
        );
    }
}

/// An objective that raises its penalty during the run.
struct Raised(Compliance);

impl Objective for Raised {
    fn dimension(&self) -> usize {
        self.0.dimension()
    }
    fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64, ObjectiveError> {
        let penalty = [1.0, 2.0, 3.0][(self.0.evaluations() / 6).min(2)];
        if penalty != self.0.structure().penalty {
            self.0.set_penalty(penalty)?;
        }
        self.0.evaluate(x, gradient)
    }
    fn domain(&self) -> Domain {
        self.0.domain()
    }
    fn revision(&self) -> u64 {
        self.0.revision()
    }
}

/// Compliance grows with the penalty: whoever compared would undo every landing after the first raise.
#[test]
fn a_penalty_is_raised_within_one_run() {
    let oc = Flow::OptimalityCriteria(OptimalityCriteria::default());
    let oc = Lgf::new(Field::adaptive(oc, SurrogateConfig::topology())).unwrap();
    for lgf in [oc.stopping(Stopping::default().evaluations(60)).unwrap(), lgf(Potential::default(), 60)] {
        let soft = Structure { penalty: 1.0, ..Structure::mbb(30, 10, FilterKind::Density) };
        let mut problem = Raised(Compliance::new(soft).unwrap());
        let start = problem.0.uniform_start();
        let report = run(lgf, &mut problem, &start);
        assert_eq!(
            (report.changes.as_slice(), problem.0.structure().penalty),
            (&[7, 13][..], 3.0),
            "{}",
            report.stop
        );
        assert_eq!(problem.0.compliance(&report.x).unwrap(), report.objective);
        assert!(
            report.objective < report.history[12].objective
                && report.history[6].objective > report.history[5].objective
        );
    }
}

/// Compliance counts its changes, and its wrappers pass the count on.
#[test]
fn compliance_announces_continuation() {
    let mut problem = Compliance::new(Structure::mbb(12, 4, FilterKind::Density)).unwrap();
    problem.set_penalty(2.0).unwrap();
    problem.set_penalty(0.0).unwrap_err();
    problem.set_projection(None).unwrap();
    let wrapped = SigmoidDesign::new(&mut problem).unwrap();
    assert_eq!(wrapped.revision(), 2);
}
