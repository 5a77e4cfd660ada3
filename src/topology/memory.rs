//! The memory that a run takes, against what the machine has left.

use super::{Compliance, Structure};
use crate::engine::NumberFormat;
#[cfg(feature = "cli")]
use crate::error::Error;
use crate::error::Result;
use crate::method::Potential;

/// The bytes of memory that programs can still have.
#[cfg(feature = "cli")]
pub(crate) fn available() -> u64 {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    system.available_memory()
}

/// The bytes that a run with a learned potential keeps at its peak on the CPU engine with numbers of `size`
/// bytes: design and gradient on the host, and a copy of the design; six vectors of state; the pairs and,
/// unless they are narrow already, their narrow copies; five vectors in double precision while the potential
/// is minimised; and the best layout so far, with its pairs, while another one competes with it.
fn of_potential(unknowns: u64, size: u64) -> u64 {
    let pairs = 2 * Potential::default().memory as u64;
    let copies = if size == 4 { 0 } else { 4 * pairs };
    let layout = 8 + size * pairs;
    unknowns * (24 + 6 * size + pairs * size + copies + 40 + layout)
}

impl Structure {
    /// The bytes that a run of this structure in space takes, known before it is set up: the true gradient on
    /// the CPU, and a learned potential on the CPU engine whose numbers are in `format`. None in the plane,
    /// where the factorisation's size depends on the structure.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) for a mesh that makes no sense.
    pub fn memory(&self, format: NumberFormat) -> Result<Option<u64>> {
        let gradient = Compliance::bytes(self)?;
        Ok(gradient.map(|bytes| bytes + of_potential(self.elements(), format.bytes())))
    }

    /// Refuses a structure in space whose run on an engine with numbers in `format` would not fit into the
    /// memory that this machine has left.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError), with the memory that is needed.
    #[cfg(feature = "cli")]
    pub fn require_memory(&self, format: NumberFormat) -> Result<()> {
        self.require(format, available())
    }

    #[cfg(feature = "cli")]
    fn require(&self, format: NumberFormat, available: u64) -> Result<()> {
        let Some(needed) = self.memory(format)? else { return Ok(()) };
        if needed <= available {
            return Ok(());
        }
        let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30));
        let single = self.memory(NumberFormat::F32)?.filter(|single| *single <= available);
        let way_out = single.map_or_else(
            || "take a smaller size".into(),
            |bytes| format!("the engine cpu-f32 needs {}, and a smaller size less", gib(bytes)),
        );
        let allowed = format!("at most the {} that are available; {way_out}", gib(available));
        Err(Error::invalid("the memory that the run needs", gib(needed), allowed))
    }
}

#[cfg(all(test, feature = "cli"))]
mod tests {
    use super::*;
    use crate::topology::Preset;

    #[test]
    fn what_does_not_fit_is_refused_with_a_way_out() {
        let structure = Structure::preset(Preset::Cantilever, &[160, 80, 80]).unwrap();
        let [double, single] =
            [NumberFormat::F64, NumberFormat::F32].map(|format| structure.memory(format).unwrap().unwrap());
        assert!(single < double);
        structure.require(NumberFormat::F64, double).unwrap();
        structure.require(NumberFormat::F32, single).unwrap();
        let words = |format, available| structure.require(format, available).unwrap_err().to_string();
        assert!(words(NumberFormat::F64, double - 1).contains("cpu-f32 needs"));
        for format in [NumberFormat::F64, NumberFormat::F32] {
            assert!(words(format, single - 1).ends_with("take a smaller size"));
        }
        let plane = Structure::preset(Preset::Mbb, &[600, 200]).unwrap();
        plane.require(NumberFormat::F64, 0).unwrap();
    }
}
