//! Where true gradients are computed.

use serde::{Deserialize, Serialize};

use super::compliance::LEAST_ON_DEVICE;
use super::{Compliance, Structure};
use crate::engine::EngineChoice;
use crate::engine::gpu::{AdapterChoice, SolidDevice};
use crate::error::{Error, Result};

/// Where the true gradients of a structure are computed.
///
/// ```
/// use lgf::engine::EngineChoice;
/// use lgf::topology::{GradientChoice, Preset, Structure};
///
/// # fn main() -> lgf::Result<()> {
/// let structure = Structure::preset(Preset::Cantilever, &[8, 4, 4])?;
/// let problem = GradientChoice::Auto.open(structure, EngineChoice::Cpu, None)?;
/// assert_eq!(problem.gradient_by(), "CPU, f64");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum GradientChoice {
    /// The GPU where a hardware one may be the engine, and the structure is in space, has at least 10 000
    /// elements and fits there; else the CPU.
    #[default]
    Auto,
    /// The CPU, in f64.
    Cpu,
    /// The GPU, software adapters included; for structures in space.
    Gpu,
}

impl GradientChoice {
    /// The problem of `structure` with its gradients where they are to be, beside the engine that `engine`
    /// chooses; on `adapter` if one is given.
    ///
    /// # Errors
    /// Those of [`Compliance::new`], and for [`Gpu`](Self::Gpu) of [`Compliance::on_device`].
    pub fn open(
        self,
        structure: Structure,
        engine: EngineChoice,
        adapter: Option<&AdapterChoice>,
    ) -> Result<Compliance> {
        let has_gpu_engine = matches!(engine, EngineChoice::Auto | EngineChoice::Gpu);
        let usual = match self {
            Self::Cpu => return Compliance::new(structure),
            Self::Auto
                if structure.dimension() < 3
                    || !has_gpu_engine
                    || structure.elements() < LEAST_ON_DEVICE as u64 =>
            {
                return Compliance::new(structure);
            }
            Self::Auto => AdapterChoice::Hardware,
            Self::Gpu => AdapterChoice::Any,
        };
        let on_device = SolidDevice::open(adapter.unwrap_or(&usual))
            .and_then(|device| Compliance::on_device(structure.clone(), &device));
        match on_device {
            Err(Error::Engine(fault)) if self == Self::Auto => {
                log::info!("true gradients on the CPU: {fault}");
                Compliance::new(structure)
            }
            other => other,
        }
    }
}
