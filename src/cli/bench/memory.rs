//! Whether a size fits into the memory.

use crate::error::{Error, Result};

const GIB: f64 = (1_u64 << 30) as f64;
/// The share of the free memory that a size may take. Other programs need some, and the estimates are not
/// exact.
const SHARE_OF_FREE_MEMORY: f64 = 0.8;

/// The limit on the memory that a size may take.
pub(super) struct Memory {
    /// The limit that the user has set, bytes.
    pub allowed: Option<f64>,
}

impl Memory {
    pub(super) fn new(gib: Option<f64>) -> Result<Self> {
        match gib {
            Some(gib) => Ok(Self { allowed: Some(GIB * Error::require_positive("the memory, GiB,", gib)?) }),
            None => Ok(Self { allowed: None }),
        }
    }

    /// Says why `device` + `host` bytes are too much, if they are. A hardware adapter does not tell how much
    /// memory it has left, so it is tried and may refuse.
    pub(super) fn refusal(&self, device: u64, host: u64, is_main_memory: bool) -> Option<String> {
        let both = (device + host) as f64;
        match self.allowed {
            Some(allowed) => (both > allowed)
                .then(|| format!("it takes {:.3} GiB, and --memory allows {:.3}", both / GIB, allowed / GIB)),
            None => {
                let needed = if is_main_memory { both } else { host as f64 };
                let free = free_memory()? * SHARE_OF_FREE_MEMORY;
                (needed > free).then(|| {
                    format!(
                        "it takes {:.1} GiB of main memory, and {:.1} are to be had",
                        needed / GIB,
                        free / GIB
                    )
                })
            }
        }
    }
}

/// The memory that Linux says is available, bytes; none elsewhere.
pub(super) fn free_memory() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse::<f64>().ok().map(|kib| 1024.0 * kib)
}
