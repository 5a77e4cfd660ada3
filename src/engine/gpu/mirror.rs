//! The host's copies of the device's iterates, in f32 as on the device.
//!
//! x crosses the bus at each true evaluation and the gradient comes back. The host keeps what it has seen, so
//! that steps can be summed up without another read-back, and so that a device that is lost takes neither the
//! trusted nor the best iterate with it. 16 bytes per unknown, 24 once the best iterate is not the trusted
//! one.

use rayon::prelude::*;

use crate::engine::best::{Best, change, slope};
use crate::engine::cpu::copy;
use crate::engine::interface::StepComparison;
use crate::error::Result;

/// Unknowns per task of a conversion.
const CHUNK: usize = 1 << 14;

/// The iterate that was read last and the gradient that was set last, and the trusted ones.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    x: Vec<f32>,
    gradient: Vec<f32>,
    trusted_x: Vec<f32>,
    trusted_gradient: Vec<f32>,
    best: Best<f32>,
}

impl Mirror {
    /// The copies of a run that begins at `start`.
    pub(super) fn new(start: &[f64]) -> Self {
        let zeros = vec![0.0; start.len()];
        let mut narrow = zeros.clone();
        copy(start, &mut narrow);
        Self {
            trusted_x: narrow.clone(),
            x: narrow,
            trusted_gradient: zeros.clone(),
            gradient: zeros,
            ..Self::default()
        }
    }

    /// The state's gradient is `gradient` from here on; returns it as the device gets it.
    pub(super) fn set_gradient(&mut self, gradient: &[f64]) -> &[f32] {
        copy(gradient, &mut self.gradient);
        &self.gradient
    }

    /// The state's x is in `bytes`; puts it into `x` as well, and returns its largest change from the trusted
    /// iterate and whether it is finite.
    pub(super) fn read(&mut self, bytes: &[u8], x: &mut [f64]) -> (f64, bool) {
        self.x.par_chunks_mut(CHUNK).zip(x.par_chunks_mut(CHUNK)).zip(bytes.par_chunks(4 * CHUNK)).for_each(
            |((narrow, wide), bytes)| {
                for ((narrow, wide), bytes) in narrow.iter_mut().zip(wide).zip(bytes.chunks_exact(4)) {
                    *narrow = f32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
                    *wide = f64::from(*narrow);
                }
            },
        );
        change(&self.x, &self.trusted_x)
    }

    /// g·(x − x_trusted) with the trusted gradient.
    pub(super) fn slope(&self) -> f64 {
        slope(&self.trusted_gradient, &self.x, &self.trusted_x)
    }

    pub(super) fn compare(&self, learned: &[f64]) -> StepComparison {
        StepComparison::of(learned, &self.x, &self.trusted_x)
    }

    /// The state, whose x was read and whose gradient was set, is trusted.
    pub(super) fn trust(&mut self, is_best: bool) {
        self.best.before_trust(is_best, &mut self.trusted_x, &mut self.trusted_gradient);
        copy(&self.x, &mut self.trusted_x);
        copy(&self.gradient, &mut self.trusted_gradient);
    }

    pub(super) fn best(&self, x: &mut [f64], gradient: &mut [f64]) -> Result<()> {
        self.best.copy_to([&self.trusted_x, &self.trusted_gradient], x, gradient)
    }
}
