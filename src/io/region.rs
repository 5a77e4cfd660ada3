//! Regions of structures from files: closed surfaces, and masks.

use std::path::Path;

use ndarray::{ArrayD, ArrayViewD};
use ndarray_npy::ViewNpyExt;

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

/// The cells of a NumPy array that are not 0, on a mesh of `elements`. The array has the axes that
/// [`field_array`](super::field_array) gives a design: in the plane rows from the top down, in space x, y and
/// z. Numbers and truth values are read.
///
/// # Errors
/// [`FileError`](crate::error::FileError) for a file that cannot be read, for a number that is not finite,
/// and for an array of another number of axes or of a shape that is the mesh's with its axes exchanged.
pub fn mask_cells(path: &Path, elements: &[u32]) -> Result<Cells> {
    let array = read_array(path)?;
    require_axes(path, array.shape(), elements)?;
    if array.shape().contains(&0) {
        return Err(Error::format(path, "it has an axis without entries"));
    }
    if let Some(value) = array.iter().find(|value| !value.is_finite()) {
        return Err(Error::format(
            path,
            format!("it has the value {value}; a mask has numbers or truth values"),
        ));
    }
    let size = size_along_axes(&array);
    let mut inside = Vec::with_capacity(array.len());
    for z in 0..size[2] {
        for y in 0..size[1] {
            inside.extend((0..size[0]).map(|x| entry(&array, [x, y, z]) != 0.0));
        }
    }
    Ok(Cells { size, inside })
}

/// The entries along x, y and z of an array with the axes of a design; 1 along z in the plane.
pub(super) fn size_along_axes(array: &ArrayD<f64>) -> [usize; 3] {
    match array.shape() {
        [rows, columns] => [*columns, *rows, 1],
        shape => std::array::from_fn(|axis| shape.get(axis).copied().unwrap_or(1)),
    }
}

/// The entry at a place of an array with the axes of a design: in the plane rows come from the top down.
pub(super) fn entry(array: &ArrayD<f64>, [x, y, z]: [usize; 3]) -> f64 {
    match array.shape() {
        [rows, _] => array[[rows - 1 - y, x].as_slice()],
        _ => array[[x, y, z].as_slice()],
    }
}

/// Refuses an array on elements that has another number of axes than the mesh, or that has its shape with the
/// axes exchanged.
pub(super) fn require_axes(path: &Path, shape: &[usize], elements: &[u32]) -> Result<()> {
    let (axes, dimension) = (shape.len(), elements.len());
    if axes != dimension {
        return Err(Error::format(path, format!("it has {axes} axes, and the structure has {dimension}")));
    }
    let along_axes: Vec<usize> = elements.iter().map(|n| *n as usize).collect();
    let reversed: Vec<usize> = along_axes.iter().rev().copied().collect();
    let (expected, exchanged, order) = match dimension {
        2 => (reversed, along_axes, "rows from the top down"),
        _ => (along_axes, reversed, "x, y and z"),
    };
    if shape == exchanged && exchanged != expected {
        let text = |shape: &[usize]| shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
        let (found, wanted) = (text(shape), text(&expected));
        return Err(Error::format(
            path,
            format!("its shape is {found}, the mesh's with its axes exchanged: it must be {wanted}, {order}"),
        ));
    }
    Ok(())
}

/// A NumPy array of truth values or numbers, as numbers. What the header promises is compared with the file's
/// length before anything is allocated.
pub(super) fn read_array(path: &Path) -> Result<ArrayD<f64>> {
    let bytes = read_bounded(path, LARGEST)?;
    // Views need aligned numbers.
    let mut words = vec![0_u64; bytes.len().div_ceil(8)];
    let aligned: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
    aligned[..bytes.len()].copy_from_slice(&bytes);
    let bytes = &aligned[..bytes.len()];
    macro_rules! attempt {
        ($kind:ty, $convert:expr) => {
            if let Ok(array) = ArrayViewD::<$kind>::view_npy(bytes) {
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
    match ArrayViewD::<f64>::view_npy(bytes) {
        Ok(array) => Ok(array.to_owned()),
        Err(reason) => {
            let reason = brief(&reason);
            Err(Error::format(path, format!("it is no NumPy array of this machine's numbers: {reason}")))
        }
    }
}

/// The beginning of a reader's reason, which may quote the whole of a spoiled file.
pub(crate) fn brief(reason: &impl std::fmt::Display) -> String {
    let text = reason.to_string();
    let line = text.lines().next().unwrap_or_default().trim_end();
    let whole = line.trim_end_matches(':');
    match whole.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &whole[..end]),
        None => whole.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{array_npy, solid};

    #[test]
    fn masks_of_any_kind_of_number_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mask.npy");
        let array = ndarray::arr2(&[[0.0, 1.0, 0.0], [2.0, 0.0, 0.0]]);
        std::fs::write(&path, array_npy(array.view().into_dyn()).unwrap()).unwrap();
        let cells = mask_cells(&path, &[30, 20]).unwrap();
        assert_eq!(cells.size, [3, 2, 1]);
        // x runs first, and y upwards.
        assert_eq!(cells.inside, [true, false, false, false, true, false]);
        let refused = |elements: &[u32]| mask_cells(&path, elements).unwrap_err().to_string();
        assert!(refused(&[3, 2, 2]).contains("2 axes, and the structure has 3"));
        assert!(
            refused(&[2, 3]).contains("it must be 3 x 2, rows from the top down"),
            "{}",
            refused(&[2, 3])
        );
        let solid = ndarray::Array3::<f64>::from_elem((2, 3, 4), 1.0);
        std::fs::write(&path, array_npy(solid.view().into_dyn()).unwrap()).unwrap();
        assert_eq!(mask_cells(&path, &[2, 3, 4]).unwrap().size, [2, 3, 4]);
        assert!(refused(&[4, 3, 2]).contains("it must be 4 x 3 x 2"));
        let array = ndarray::arr2(&[[0.0, f64::NAN]]);
        std::fs::write(&path, array_npy(array.view().into_dyn()).unwrap()).unwrap();
        assert!(refused(&[2, 1]).contains("NaN"));
        let truths = ndarray::arr1(&[true, false]).into_dyn();
        let mut bytes = Vec::new();
        ndarray_npy::WriteNpyExt::write_npy(&truths, &mut bytes).unwrap();
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(read_array(&path).unwrap().as_slice(), Some(&[1.0, 0.0][..]));
    }

    /// A header that promises more than the file holds is refused before anything of that size is allocated.
    #[test]
    fn files_that_are_no_arrays_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mask.npy");
        let header = |shape: &str| {
            let mut text = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}");
            while !(10 + text.len() + 1).is_multiple_of(64) {
                text.push(' ');
            }
            text.push('\n');
            let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
            bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
            bytes.extend_from_slice(&[0; 16]);
            bytes
        };
        for bytes in [
            Vec::new(),
            b"\x93NUMPY".to_vec(),
            header("(1000000000000,)"),
            header("(4294967296, 4294967296)"),
            header("(3,)"),
            header("'no shape'"),
            header(&"(".repeat(60_000)),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let refused = read_array(&path).unwrap_err().to_string();
            assert!(refused.len() < 600 && !refused.contains('\n'), "{refused}");
        }
        assert!(read_array(dir.path()).unwrap_err().to_string().contains("this is no file"));
        assert!(read_array(&dir.path().join("nothing.npy")).is_err());
    }

    #[test]
    fn closed_surfaces_hold_cells_and_open_ones_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("part.stl");
        let density: Vec<f64> = (0..60).map(|e| f64::from(u8::from(e % 5 > 0 && e % 5 < 4))).collect();
        let mut surface = solid::boundary([5, 4, 3], [1.0; 3], &density).surface;
        std::fs::write(&path, solid::write_stl(&surface)).unwrap();
        let cells = stl_cells(&path, &[5, 4, 3], [5.0, 4.0, 3.0]).unwrap();
        assert_eq!(cells.inside, density.iter().map(|d| *d > 0.5).collect::<Vec<_>>());
        surface.triangles.pop();
        std::fs::write(&path, solid::write_stl(&surface)).unwrap();
        let refused = stl_cells(&path, &[5, 4, 3], [5.0, 4.0, 3.0]).unwrap_err().to_string();
        assert!(refused.contains("not closed"), "{refused}");
    }
}
