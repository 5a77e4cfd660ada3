//! The directions that a fit makes, in the precision of the state or in half precision.

use std::ops::Range;

use super::lanes;
use super::sweep::{CHUNK, chunks, stream};
use crate::engine::interface::TableFormat;
use crate::scalar::{Half, Scalar};

/// The table of directions, kept from fit to fit.
#[derive(Debug, Clone)]
pub(super) enum Basis<T> {
    State(Vec<Vec<T>>),
    F16(Vec<Vec<Half>>),
}

/// The rows of the table that a fit writes, or their parts in a chunk.
pub(super) enum DirectionsMut<'a, T> {
    State(Vec<&'a mut [T]>),
    F16(Vec<&'a mut [Half]>),
}

/// The rows of the table, to read.
pub(super) enum Directions<'a, T> {
    State(Vec<&'a [T]>),
    F16(Vec<&'a [Half]>),
}

impl<T: Scalar> Basis<T> {
    pub(super) fn new(format: TableFormat) -> Self {
        match format {
            TableFormat::State => Self::State(Vec::new()),
            TableFormat::F16 => Self::F16(Vec::new()),
        }
    }

    /// The first `count` rows.
    pub(super) fn leading(&self, count: usize) -> Directions<'_, T> {
        match self {
            Self::State(table) => Directions::State(leading(table, count)),
            Self::F16(table) => Directions::F16(leading(table, count)),
        }
    }

    /// The first `rows` rows, of length `d`; rows that are missing are added.
    pub(super) fn grown(&mut self, rows: usize, d: usize) -> DirectionsMut<'_, T> {
        match self {
            Self::State(table) => DirectionsMut::State(grown(table, rows, d)),
            Self::F16(table) => DirectionsMut::F16(grown(table, rows, d)),
        }
    }
}

impl<'a, T: Scalar> Directions<'a, T> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::State(rows) => rows.len(),
            Self::F16(rows) => rows.len(),
        }
    }

    /// x ← x + Σₖ weightsₖ rowsₖ.
    pub(super) fn add_combination(&self, weights: &[f64], x: &mut [T]) {
        stream(x.len(), x, |here, x| match self {
            Self::State(rows) => lanes::add_combination::<T, T>(&chunks(rows, &here), weights, x),
            Self::F16(rows) => lanes::add_combination::<Half, T>(&chunks(rows, &here), weights, x),
        });
    }

    /// The length of the scratch memory that [`at`](Self::at) needs per chunk.
    pub(super) fn scratch(&self) -> usize {
        match self {
            Self::State(_) => 0,
            Self::F16(rows) => rows.len() * CHUNK,
        }
    }

    /// The rows on the chunk `here`. Rows in half precision are converted into `scratch` first, because every
    /// reader reads them several times.
    pub(super) fn at<'b>(&self, here: &Range<usize>, scratch: &'b mut [T]) -> Vec<&'b [T]>
    where
        'a: 'b,
    {
        match self {
            Self::State(rows) => chunks(rows, here),
            Self::F16(rows) => {
                let scratch = scratch.chunks_exact_mut(CHUNK).map(|row| &mut row[..here.len()]);
                let widened = rows.iter().zip(scratch).map(|(row, scratch)| {
                    lanes::from_f16(&row[here.clone()], scratch);
                    &*scratch
                });
                widened.collect()
            }
        }
    }
}

/// The first `count` rows of a table.
pub(super) fn leading<E>(table: &[Vec<E>], count: usize) -> Vec<&[E]> {
    table.iter().take(count).map(|row| &row[..]).collect()
}

/// The first `rows` rows of a table, of length `d`; rows that are missing are added.
pub(super) fn grown<E: Copy + Default>(table: &mut Vec<Vec<E>>, rows: usize, d: usize) -> Vec<&mut [E]> {
    if table.len() < rows {
        table.resize_with(rows, || vec![E::default(); d]);
    }
    table.iter_mut().take(rows).map(|row| &mut row[..]).collect()
}
