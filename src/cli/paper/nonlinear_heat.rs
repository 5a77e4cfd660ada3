use super::case::{CENTRAL, Case, File, Settings, Solved, relative_difference};
use super::problem::Scale;
use crate::error::Result;
use crate::flow::{Flow, Newton};
use crate::io;
use crate::objective::Objective;
use crate::problems::NonlinearHeat;
use crate::surrogate::{Regression, SpaceConfig, SurrogateConfig};

pub(super) struct Heat {
    problem: NonlinearHeat,
    iterations: usize,
}

impl Heat {
    pub(super) fn new(scale: Scale) -> Result<Self> {
        let (modes, iterations) = if scale == Scale::Full { (NonlinearHeat::MODES, 300) } else { (6, 100) };
        Ok(Self { problem: NonlinearHeat::new(modes)?, iterations })
    }
}

impl Case for Heat {
    fn title(&self) -> String {
        format!("nonlinear heat equation, {} modes", self.problem.dimension())
    }

    fn settings(&self) -> Settings {
        Settings {
            flow: Flow::Newton(Newton { rate: 0.15 }),
            surrogate: SurrogateConfig {
                order: 2,
                targets: CENTRAL,
                ..SurrogateConfig::paper(SpaceConfig::Full)
            },
            paper_regression: Regression::paper(),
            history: 15,
            interval: 20,
            iterations: self.iterations,
            done: None,
        }
    }

    fn start(&self) -> Vec<f64> {
        self.problem.start()
    }

    fn objective(&mut self) -> &mut dyn Objective {
        &mut self.problem
    }

    fn value_name(&self) -> &'static str {
        "energy"
    }

    fn measures(&mut self, x: &[f64], plain: &[f64]) -> Result<Vec<(&'static str, f64)>> {
        let start = self.problem.start();
        let mut residual = |x: &[f64]| {
            let mut r = vec![0.0; x.len()];
            self.problem.evaluate(x, &mut r).map_or(f64::NAN, |_| r.iter().map(|r| r * r).sum::<f64>().sqrt())
        };
        let relative = residual(x) / residual(&start);
        let (u, v) = (self.problem.temperature(x), self.problem.temperature(plain));
        Ok(vec![("residual / initial", relative), ("field off plain's", relative_difference(&u, &v))])
    }

    fn pictures(&mut self, runs: &[Solved<'_>]) -> Result<Vec<File>> {
        let fields: Vec<_> = runs.iter().map(|run| self.problem.temperature(run.x)).collect();
        let (Some(plain), Some(lgf)) = (fields.first(), fields.last()) else { return Ok(Vec::new()) };
        // x to the right, y upwards.
        let upright = |field: &ndarray::Array2<f64>| {
            let mut field = field.t().to_owned();
            field.invert_axis(ndarray::Axis(0));
            field
        };
        let colors = io::range(plain);
        let error = (lgf - plain).mapv(|e| (e.abs().max(1e-16)).log10());
        let [plain, lgf, error] = [upright(plain), upright(lgf), upright(&error)];
        let panels = [(plain.view(), colors), (lgf.view(), colors), (error.view(), io::range(&error))];
        Ok(vec![("temperature.png", io::fields_png(&panels)?)])
    }
}
