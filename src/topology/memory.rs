//! The memory that a run takes, against what the machine has left.

use super::{Compliance, Structure};
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
/// bytes: design and gradient on the host, five vectors of state, the pairs and, unless they are narrow
/// already, their narrow copies, five vectors in double precision while the potential is minimised, and the
/// start and two layouts that compete, with their pairs.
pub(crate) fn of_potential(unknowns: u64, size: u64) -> u64 {
    let pairs = 2 * Potential::default().memory as u64;
    let copies = if size == 4 { 0 } else { 4 * pairs };
    let layouts = 3 * 8 * (pairs + 2);
    unknowns * (16 + 5 * size + pairs * size + copies + 40 + layouts)
}

impl Structure {
    /// The bytes that a run of this structure in space takes at least, known before it is set up: the true
    /// gradient on the CPU, and a learned potential on the engine whose numbers are in f32. None in the
    /// plane, where the factorisation's size depends on the structure.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError) for a mesh that makes no sense.
    pub fn least_memory(&self) -> Result<Option<u64>> {
        let gradient = Compliance::bytes(self)?;
        Ok(gradient.map(|bytes| bytes + of_potential(self.elements(), 4)))
    }

    /// Refuses a structure in space whose run would not fit into the memory that this machine has left.
    ///
    /// # Errors
    /// [`SettingsError`](crate::error::SettingsError), with the memory that is needed.
    #[cfg(feature = "cli")]
    pub fn require_memory(&self) -> Result<()> {
        let Some(least) = self.least_memory()? else { return Ok(()) };
        let available = available();
        if least <= available {
            return Ok(());
        }
        let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
        Err(Error::invalid(
            "the memory that the run needs",
            format!("{:.1} GiB", gib(least)),
            format!("at most the {:.1} GiB that are available; take a smaller size", gib(available)),
        ))
    }
}
