use super::case::{Case, File, Settings, Solved};
use super::problem::Scale;
use crate::error::Result;
use crate::flow::{Adam, Flow};
use crate::io;
use crate::objective::Objective;
use crate::problems::ElasticNetwork;
use crate::surrogate::{Regression, SpaceConfig, SurrogateConfig};

/// Cells per edge of the cube in its picture, and the largest displacement drawn, in edges.
const CELLS: usize = 16;
const DRAWN: f64 = 0.4;

pub(super) struct Cube {
    problem: ElasticNetwork,
    iterations: usize,
}

impl Cube {
    pub(super) fn new(scale: Scale) -> Result<Self> {
        let (points, iterations) =
            if scale == Scale::Full { (ElasticNetwork::POINTS, 2000) } else { (9, 100) };
        Ok(Self { problem: ElasticNetwork::new(points)?, iterations })
    }
}

impl Case for Cube {
    fn title(&self) -> String {
        format!("elastic cube by a network, 560 parameters, {} points", self.problem.points().pow(3))
    }

    fn settings(&self) -> Settings {
        Settings {
            flow: Flow::Adam(Adam::new(0.0025)),
            surrogate: SurrogateConfig::paper(SpaceConfig::Full),
            paper_regression: Regression { refit: true, ..Regression::paper() },
            history: 35,
            interval: 50,
            iterations: self.iterations,
            done: None,
        }
    }

    fn start(&self) -> Vec<f64> {
        ElasticNetwork::start()
    }

    fn objective(&mut self) -> &mut dyn Objective {
        &mut self.problem
    }

    fn value_name(&self) -> &'static str {
        "energy"
    }

    fn measures(&mut self, x: &[f64], plain: &[f64]) -> Result<Vec<(&'static str, f64)>> {
        Ok(vec![("displacement off plain's", self.problem.relative_difference(x, plain))])
    }

    fn pictures(&mut self, runs: &[Solved<'_>]) -> Result<Vec<File>> {
        let colors = io::range(
            runs.iter()
                .flat_map(|run| surface(run.x, 0.0))
                .map(|(_, value)| value)
                .collect::<Vec<_>>()
                .iter(),
        );
        let scale = DRAWN / colors.1;
        let names: Vec<String> =
            runs.iter().map(|run| format!("{}: |u|, drawn {scale:.2} times", run.name)).collect();
        let panels: Vec<_> =
            names.iter().zip(runs).map(|(name, run)| (&**name, surface(run.x, scale), colors)).collect();
        Ok(vec![("displaced_cube.svg", io::polygons_svg(&panels).into_bytes())])
    }
}

/// The three visible faces of the cube displaced by `scale` u, seen along (−1, −1, −1), coloured by |u|, the
/// far ones first.
fn surface(parameters: &[f64], scale: f64) -> Vec<io::Polygon> {
    let mut cells: Vec<(f64, io::Polygon)> = Vec::new();
    for face in 0..3 {
        for (i, j) in (0..CELLS).flat_map(|i| (0..CELLS).map(move |j| (i, j))) {
            let corner = |di: usize, dj: usize| {
                let (s, t) = ((i + di) as f64 / CELLS as f64, (j + dj) as f64 / CELLS as f64);
                let x = [[1.0, s, t], [s, 1.0, t], [s, t, 1.0]][face];
                let u = ElasticNetwork::displacement(parameters, x);
                let moved: [f64; 3] = std::array::from_fn(|k| x[k] + scale * u[k]);
                let size = u.iter().map(|u| u * u).sum::<f64>().sqrt();
                // Isometric projection, z upwards.
                let flat = [(moved[1] - moved[0]) * 0.75_f64.sqrt(), moved[2] - 0.5 * (moved[0] + moved[1])];
                (flat, moved.iter().sum::<f64>(), size)
            };
            let corners = [corner(0, 0), corner(1, 0), corner(1, 1), corner(0, 1)];
            let mean = |pick: fn(&([f64; 2], f64, f64)) -> f64| corners.iter().map(pick).sum::<f64>() / 4.0;
            cells.push((mean(|c| c.1), (corners.iter().map(|c| c.0).collect(), mean(|c| c.2))));
        }
    }
    cells.sort_by(|a, b| a.0.total_cmp(&b.0));
    cells.into_iter().map(|(_, polygon)| polygon).collect()
}
