use super::case::{Case, File, Settings, Solved};
use super::problem::Scale;
use crate::error::Result;
use crate::flow::{Flow, GradientDescent};
use crate::io;
use crate::objective::Objective;
use crate::surrogate::{Rank, Regression, SpaceConfig, SurrogateConfig};
use crate::topology::{Compliance, FilterKind, SigmoidDesign, Structure};

pub(super) struct Beam {
    problem: SigmoidDesign<Compliance>,
    iterations: usize,
}

impl Beam {
    pub(super) fn new(scale: Scale) -> Result<Self> {
        let (nelx, nely, iterations) = if scale == Scale::Full { (60, 20, 900) } else { (30, 10, 280) };
        Ok(Self {
            problem: SigmoidDesign::new(Compliance::new(Structure::mbb(nelx, nely, FilterKind::Density))?)?,
            iterations,
        })
    }
}

impl Case for Beam {
    fn title(&self) -> String {
        format!("half-MBB beam {}, sigmoid parametrisation", self.problem.inner().mesh())
    }

    fn settings(&self) -> Settings {
        // Gradient descent rather than ADAM: without a landing check the fixed cadence throws ADAM's moments
        // off (7588 where plain ADAM reaches 236).
        Settings {
            flow: Flow::GradientDescent(GradientDescent { rate: 1e-3 * self.problem.dimension() as f64 }),
            surrogate: SurrogateConfig::paper(SpaceConfig::Reduced { rank: Rank::Count(2), centered: false }),
            paper_regression: Regression::paper(),
            history: 20,
            interval: 70,
            iterations: self.iterations,
            done: None,
        }
    }

    fn start(&self) -> Vec<f64> {
        vec![0.0; self.problem.dimension()]
    }

    fn objective(&mut self) -> &mut dyn Objective {
        &mut self.problem
    }

    fn value_name(&self) -> &'static str {
        "compliance"
    }

    fn measures(&mut self, x: &[f64], _plain: &[f64]) -> Result<Vec<(&'static str, f64)>> {
        let design = self.problem.design(x);
        Ok(vec![("volume fraction", self.problem.inner().volume(&design)?)])
    }

    fn pictures(&mut self, runs: &[Solved<'_>]) -> Result<Vec<File>> {
        let names = ["plain/density.png", "density.png"];
        let mut files = Vec::new();
        for (run, name) in runs.iter().zip(names) {
            let design = self.problem.design(run.x);
            files.push((name, io::design_png(self.problem.inner(), &design)?));
        }
        Ok(files)
    }
}
