use ndarray::Array2;
use rayon::prelude::*;

use super::case::{CENTRAL, Case, File, Settings, Solved};
use super::problem::Scale;
use crate::error::Result;
use crate::flow::{Flow, GradientDescent};
use crate::io;
use crate::objective::Objective;
use crate::problems::HeatInverse;
use crate::surrogate::{Regression, SpaceConfig, SurrogateConfig};

/// Cells of the landscape per direction, and the conductivities it spans.
const CELLS: usize = 60;
const FIRST: (f64, f64) = (0.25, 3.0);
const SECOND: (f64, f64) = (0.25, 4.5);

pub(super) struct Heat {
    problem: HeatInverse,
    iterations: usize,
}

impl Heat {
    pub(super) fn new(scale: Scale) -> Result<Self> {
        Ok(Self { problem: HeatInverse::new()?, iterations: if scale == Scale::Full { 750 } else { 150 } })
    }
}

impl Case for Heat {
    fn title(&self) -> String {
        "heat inverse problem, 2 conductivities".into()
    }

    fn settings(&self) -> Settings {
        Settings {
            flow: Flow::GradientDescent(GradientDescent { rate: 0.01 }),
            surrogate: SurrogateConfig {
                bias: false,
                targets: CENTRAL,
                ..SurrogateConfig::paper(SpaceConfig::Full)
            },
            paper_regression: Regression { refit: true, ..Regression::paper() },
            history: 25,
            interval: 50,
            iterations: self.iterations,
            done: Some(5e-5_f64.ln()),
        }
    }

    fn start(&self) -> Vec<f64> {
        HeatInverse::START.to_vec()
    }

    fn objective(&mut self) -> &mut dyn Objective {
        &mut self.problem
    }

    fn value_name(&self) -> &'static str {
        "log misfit"
    }

    fn measures(&mut self, x: &[f64], _plain: &[f64]) -> Result<Vec<(&'static str, f64)>> {
        let value = self.problem.evaluate(x, &mut [0.0; 2]).unwrap_or(f64::NAN);
        Ok(vec![("misfit", value.exp()), ("a1 (truth 2)", x[0]), ("a2 (truth 1)", x[1])])
    }

    fn pictures(&mut self, runs: &[Solved<'_>]) -> Result<Vec<File>> {
        let at =
            |(low, high): (f64, f64), cell: usize| low + (high - low) * (cell as f64 + 0.5) / CELLS as f64;
        let rows: Vec<Vec<f64>> = (0..CELLS)
            .into_par_iter()
            .map_init(
                || self.problem.clone(),
                |problem, i| {
                    (0..CELLS)
                        .map(|j| {
                            problem
                                .evaluate(&[at(FIRST, j), at(SECOND, i)], &mut [0.0; 2])
                                .unwrap_or(f64::NAN)
                        })
                        .collect()
                },
            )
            .collect();
        let landscape = Array2::from_shape_fn((CELLS, CELLS), |(i, j)| rows[i][j]);
        let tracks: Vec<io::Track<'_>> = runs.iter().map(|run| (run.name, run.path)).collect();
        let title = "log misfit and the paths of the runs (bright is high; the cross is the truth)";
        let axes = ["conductivity of the left half", "conductivity of the right half"];
        let truth = (HeatInverse::TRUTH[0], HeatInverse::TRUTH[1]);
        Ok(vec![(
            "paths.svg",
            io::paths_svg(title, axes, (FIRST, SECOND, landscape.view()), &tracks, truth)?.into_bytes(),
        )])
    }
}
