use super::case::{Case, File, Settings, Solved};
use super::problem::Scale;
use crate::error::Result;
use crate::flow::{Adam, Flow};
use crate::io;
use crate::objective::Objective;
use crate::problems::Scattering;
use crate::surrogate::{Regression, Ridge, SpaceConfig, SurrogateConfig};

pub(super) struct Waves {
    problem: Scattering,
    iterations: usize,
}

impl Waves {
    pub(super) fn new(scale: Scale) -> Result<Self> {
        Ok(Self { problem: Scattering::new()?, iterations: if scale == Scale::Full { 2200 } else { 240 } })
    }
}

impl Case for Waves {
    fn title(&self) -> String {
        "wave scattering, slowness of 346 triangles".into()
    }

    fn settings(&self) -> Settings {
        Settings {
            flow: Flow::Adam(Adam::new(0.02)),
            surrogate: SurrogateConfig::paper(SpaceConfig::Full),
            paper_regression: Regression { ridge: Ridge::Absolute(0.0), refit: true, ..Regression::paper() },
            history: 20,
            interval: 40,
            iterations: self.iterations,
            done: None,
        }
    }

    fn start(&self) -> Vec<f64> {
        vec![1.0; self.problem.dimension()]
    }

    fn objective(&mut self) -> &mut dyn Objective {
        &mut self.problem
    }

    fn value_name(&self) -> &'static str {
        "misfit"
    }

    fn measures(&mut self, x: &[f64], _plain: &[f64]) -> Result<Vec<(&'static str, f64)>> {
        Ok(vec![("field error", self.problem.relative_error(x))])
    }

    fn pictures(&mut self, runs: &[Solved<'_>]) -> Result<Vec<File>> {
        let mesh = self.problem.mesh();
        let polygons = |values: Vec<f64>| -> Vec<io::Polygon> {
            mesh.triangles
                .iter()
                .zip(values)
                .map(|(corners, value)| (corners.iter().map(|n| mesh.nodes[*n]).collect(), value))
                .collect()
        };
        let truth = self.problem.truth();
        let colors = io::range(&truth);
        let mut panels = vec![("truth", polygons(truth.clone()), colors)];
        for run in runs {
            panels.push((run.name, polygons(Scattering::slowness(run.x).collect()), colors));
        }
        if let Some(run) = runs.last() {
            let error: Vec<f64> =
                Scattering::slowness(run.x).zip(&truth).map(|(m, t)| (m - t).abs()).collect();
            let colors = io::range(&error);
            panels.push(("the last one's error", polygons(error), colors));
        }
        Ok(vec![("slowness.svg", io::polygons_svg(&panels).into_bytes())])
    }
}
