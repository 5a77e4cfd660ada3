//! The memory that a run takes, against what the machine has left.

use crate::error::{Error, Result};
use crate::method::Potential;
use crate::topology::{Compliance, Structure};

/// The bytes of memory that programs can still have.
pub(super) fn available() -> u64 {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    system.available_memory()
}

/// The bytes that a run with a learned potential keeps at its peak on the CPU engine with numbers of `size`
/// bytes: design and gradient on the host, five vectors of state, the pairs and, unless they are narrow
/// already, their narrow copies, five vectors in double precision while the potential is minimised, and the
/// start and two layouts that compete, with their pairs.
pub(super) fn of_potential(unknowns: u64, size: u64) -> u64 {
    let pairs = 2 * Potential::default().memory as u64;
    let copies = if size == 4 { 0 } else { 4 * pairs };
    let layouts = 3 * 8 * (pairs + 2);
    unknowns * (16 + 5 * size + pairs * size + copies + 40 + layouts)
}

/// Refuses a structure in space whose run would not fit into memory.
pub(super) fn check(structure: &Structure) -> Result<()> {
    let Some(bytes) = Compliance::bytes(structure)? else { return Ok(()) };
    let least = bytes + of_potential(structure.elements(), 4);
    let available = available();
    if least <= available {
        return Ok(());
    }
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    Err(Error::invalid(
        "the memory that the run needs",
        format!("{:.1} GiB", gib(least)),
        format!("at most the {:.1} GiB that are available; take a smaller --size", gib(available)),
    ))
}
