//! Regions of structures from files: closed surfaces, and masks.

use std::path::Path;

use ndarray::ArrayD;
use ndarray_npy::ReadNpyExt;

use super::solid::{read_stl, voxelise};
use crate::error::{Error, Result};
use crate::topology::Cells;

/// The largest file of a region that is read, in bytes.
const LARGEST: u64 = 1 << 31;

/// The content of a file, whose size is checked before anything is allocated.
pub(super) fn read_bounded(path: &Path, largest: u64) -> Result<Vec<u8>> {
    let found = std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
    if !found.is_file() {
        return Err(Error::format(path, "this is no file"));
    }
    if found.len() > largest {
        let size = found.len();
        return Err(Error::format(
            path,
            format!("it has {size} bytes, more than the {largest} that are read"),
        ));
    }
    std::fs::read(path).map_err(|e| Error::io(path, e))
}

/// The cells of a box of `lengths`, divided into `elements`, whose centres lie inside the surface of an STL
/// file.
///
/// # Errors
/// [`FileError`](crate::error::FileError) for a file that cannot be read, is no STL file, or holds no closed
/// surface.
pub fn stl_cells(path: &Path, elements: &[u32], lengths: [f64; 3]) -> Result<Cells> {
    let surface = read_stl(&read_bounded(path, LARGEST)?).map_err(|reason| Error::format(path, reason))?;
    if !surface.is_closed() {
        return Err(Error::format(path, "its surface is not closed, so it has no inside"));
    }
    let size: [usize; 3] = std::array::from_fn(|axis| elements.get(axis).map_or(1, |n| *n as usize));
    let sides = std::array::from_fn(|axis| lengths[axis] / size[axis] as f64);
    let inside = voxelise(&surface, size, sides).map_err(|reason| Error::format(path, reason))?;
    Ok(Cells { size, inside })
}

/// The cells of a NumPy array that are not 0: axes x, y and, in space, z. Numbers and truth values are read.
///
/// # Errors
/// [`FileError`](crate::error::FileError) for a file that cannot be read, and for an array of another number
/// of axes.
pub fn mask_cells(path: &Path, dimension: usize) -> Result<Cells> {
    let array = read_array(path)?;
    if array.ndim() != dimension {
        let axes = array.ndim();
        return Err(Error::format(path, format!("it has {axes} axes, and the structure has {dimension}")));
    }
    let size: [usize; 3] = std::array::from_fn(|axis| array.shape().get(axis).copied().unwrap_or(1));
    if size.contains(&0) {
        return Err(Error::format(path, "it has an axis without entries"));
    }
    let mut inside = vec![false; array.len()];
    for (index, value) in array.indexed_iter() {
        let at = |axis: usize| if axis < dimension { index[axis] } else { 0 };
        inside[at(0) + size[0] * (at(1) + size[1] * at(2))] = *value != 0.0;
    }
    Ok(Cells { size, inside })
}

/// A NumPy array of truth values or numbers, as numbers.
pub(super) fn read_array(path: &Path) -> Result<ArrayD<f64>> {
    let bytes = read_bounded(path, LARGEST)?;
    macro_rules! attempt {
        ($kind:ty, $convert:expr) => {
            if let Ok(array) = ArrayD::<$kind>::read_npy(&bytes[..]) {
                return Ok(array.mapv($convert));
            }
        };
    }
    attempt!(f32, f64::from);
    attempt!(bool, |v| f64::from(u8::from(v)));
    attempt!(u8, f64::from);
    attempt!(i8, f64::from);
    attempt!(i32, f64::from);
    attempt!(i64, |v| v as f64);
    let array = ArrayD::<f64>::read_npy(&bytes[..]);
    array.map_err(|reason| Error::format(path, format!("it is no NumPy array of numbers: {reason}")))
}
