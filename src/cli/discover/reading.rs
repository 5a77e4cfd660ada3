//! Recordings from NumPy files: arrays of every number type, of one or several runs, and their names.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use ndarray::{Array1, Array2, ArrayD, Axis, Ix1, Ix2, OwnedRepr};
use ndarray_npy::{NpzReader, ReadDataError, ReadableElement};
use py_literal::Value;

use crate::discover::Trajectory;
use crate::error::{Error, Result};
use crate::io::brief;

/// What a file holds.
pub(super) struct Recording {
    pub(super) trajectories: Vec<Trajectory>,
    /// The names of the coordinates; empty if the file has none.
    pub(super) names: Vec<String>,
    /// The names of the inputs; empty if the file has none.
    pub(super) input_names: Vec<String>,
}

/// The most names without a letter that are read.
const MOST_EMPTY: usize = 1 << 16;

/// A number of any type that NumPy writes.
struct Number(f64);

/// A text of either type that NumPy writes.
struct Text(String);

/// Byte order, kind and size in bytes (of texts: in characters) of a type descriptor such as `<f8`.
fn parse(descriptor: &Value) -> Option<(bool, char, usize)> {
    let Value::String(text) = descriptor else { return None };
    let mut characters = text.chars();
    let big = characters.next()? == '>';
    let kind = characters.next()?;
    Some((big, kind, characters.as_str().parse().ok()?))
}

/// All bytes of `len` elements of `size` bytes each. No more is unpacked than that and one byte.
fn bytes<R: Read>(reader: R, len: usize, size: usize) -> std::result::Result<Vec<u8>, ReadDataError> {
    let announced = len.saturating_mul(size);
    let mut bytes = Vec::new();
    reader.take((announced as u64).saturating_add(1)).read_to_end(&mut bytes).map_err(ReadDataError::Io)?;
    match bytes.len().checked_sub(announced) {
        None => Err(ReadDataError::MissingData),
        Some(0) => Ok(bytes),
        Some(extra) => Err(ReadDataError::ExtraBytes(extra)),
    }
}

/// A number from its bytes, the most significant one last.
fn number(kind: char, bytes: &[u8]) -> Option<f64> {
    let mut eight = [0; 8];
    eight.get_mut(..bytes.len())?.copy_from_slice(bytes);
    let unsigned = u64::from_le_bytes(eight);
    let bits = 8 * bytes.len() as u32;
    Some(match (kind, bytes.len()) {
        ('f', 8) => f64::from_bits(unsigned),
        ('f', 4) => f64::from(f32::from_bits(unsigned as u32)),
        ('f', 2) => half(unsigned as u16),
        ('i', 1 | 2 | 4 | 8) => ((unsigned << (64 - bits)) as i64 >> (64 - bits)) as f64,
        ('u', 1 | 2 | 4 | 8) => unsigned as f64,
        ('b', 1) => f64::from(u8::from(unsigned != 0)),
        _ => return None,
    })
}

/// An IEEE half as f64.
fn half(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * (-24.0_f64).exp2(),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * f64::from(exponent - 15).exp2(),
    }
}

impl ReadableElement for Number {
    fn read_to_end_exact_vec<R: Read>(
        reader: R,
        descriptor: &Value,
        len: usize,
    ) -> std::result::Result<Vec<Self>, ReadDataError> {
        let wrong = || ReadDataError::WrongDescriptor(descriptor.clone());
        let (big, kind, size) = parse(descriptor).ok_or_else(wrong)?;
        if size == 0 || size > 8 || number(kind, &vec![0; size]).is_none() {
            return Err(wrong());
        }
        let mut bytes = bytes(reader, len, size)?;
        bytes
            .chunks_exact_mut(size)
            .map(|element| {
                if big {
                    element.reverse();
                }
                number(kind, element).map(Self).ok_or_else(wrong)
            })
            .collect()
    }
}

impl ReadableElement for Text {
    fn read_to_end_exact_vec<R: Read>(
        reader: R,
        descriptor: &Value,
        len: usize,
    ) -> std::result::Result<Vec<Self>, ReadDataError> {
        let wrong = || ReadDataError::WrongDescriptor(descriptor.clone());
        let (big, kind, length) = parse(descriptor).ok_or_else(wrong)?;
        let size = match kind {
            'U' => length.saturating_mul(4),
            'S' => length,
            _ => return Err(wrong()),
        };
        if size == 0 {
            // Empty texts take no bytes, so that nothing in the file bounds their number.
            if len > MOST_EMPTY {
                return Err(ReadDataError::MissingData);
            }
            return Ok((0..len).map(|_| Self(String::new())).collect());
        }
        let text = |element: &[u8]| match kind {
            'U' => element
                .chunks_exact(4)
                .map(|c| [c[0], c[1], c[2], c[3]])
                .map(|c| if big { u32::from_be_bytes(c) } else { u32::from_le_bytes(c) })
                .take_while(|c| *c != 0)
                .map(|c| char::from_u32(c).unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect(),
            _ => String::from_utf8_lossy(element).trim_end_matches('\0').to_string(),
        };
        Ok(bytes(reader, len, size)?.chunks_exact(size).map(|element| Self(text(element))).collect())
    }
}

/// An open file and the names of its arrays.
struct Arrays<'a> {
    path: &'a Path,
    npz: NpzReader<File>,
    names: Vec<String>,
}

impl<'a> Arrays<'a> {
    fn open(path: &'a Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        let not_npz = |e: String| Error::format(path, format!("this is no NumPy .npz file ({})", brief(&e)));
        let mut npz = NpzReader::new(file).map_err(|e| not_npz(e.to_string()))?;
        let names = npz.names().map_err(|e| not_npz(e.to_string()))?;
        let names = names.iter().map(|n| n.trim_end_matches(".npy").to_string()).collect();
        Ok(Self { path, npz, names })
    }

    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|n| n == name)
    }

    fn read<T: ReadableElement>(&mut self, name: &str, what: &str) -> Result<Option<ArrayD<T>>> {
        if !self.has(name) {
            return Ok(None);
        }
        let read = self.npz.by_name::<OwnedRepr<T>, ndarray::IxDyn>(name);
        read.map(Some).map_err(|e| {
            Error::format(self.path, format!("array `{name}` is no array of {what} ({})", brief(&e)))
        })
    }

    fn numbers(&mut self, name: &str) -> Result<Option<ArrayD<f64>>> {
        Ok(self.read::<Number>(name, "real numbers")?.map(|array| array.map(|v| v.0)))
    }

    fn texts(&mut self, name: &str) -> Result<Vec<String>> {
        Ok(self
            .read::<Text>(name, "texts")?
            .map(|array| array.into_iter().map(|text| text.0).collect())
            .unwrap_or_default())
    }

    /// The arrays of each run that go by `name`: one array, or a list `name_0`, `name_1`, …
    fn runs(&mut self, name: &str) -> Result<Vec<ArrayD<f64>>> {
        let mut runs = Vec::new();
        while let Some(run) = self.numbers(&format!("{name}_{}", runs.len()))? {
            runs.push(run);
        }
        Ok(runs)
    }
}

/// Reads `x`, `t`, `g`, `u` and `names`, of one or several runs. `dt` takes the place of `t`, which is then
/// not read; where `counted`, samples are a time unit apart if there is neither.
pub(super) fn load(path: &Path, dt: Option<f64>, counted: bool) -> Result<Recording> {
    if let Some(dt) = dt {
        Error::require_positive("dt", dt)?;
    }
    let mut file = Arrays::open(path)?;
    let names = file.texts("names")?;
    let input_names = file.texts("input_names")?;
    let no_times = || {
        Error::only_with(format!("{}, which has no array `t`,", path.display()), "the samples' spacing, --dt")
    };
    let listed = file.runs("x")?;
    let mut trajectories = Vec::new();
    if !listed.is_empty() && !file.has("x") {
        for (number, x) in listed.into_iter().enumerate() {
            let x = matrix("x", x)?;
            let t = match dt {
                Some(dt) => Some(spaced(x.nrows(), dt)),
                None => match file.numbers(&format!("t_{number}"))? {
                    Some(t) => Some(vector(t)?),
                    None => file.numbers("t")?.map(vector).transpose()?,
                },
            };
            let t = t.or_else(|| counted.then(|| spaced(x.nrows(), 1.0))).ok_or_else(no_times)?;
            let g = file.numbers(&format!("g_{number}"))?.map(|g| matrix("g", g)).transpose()?;
            let u = file.numbers(&format!("u_{number}"))?.map(|u| matrix("u", u)).transpose()?;
            trajectories.extend(Trajectory::runs(x, t, g, u)?);
        }
        return Ok(Recording { trajectories, names, input_names });
    }
    let x = file.numbers("x")?.ok_or_else(|| {
        Error::format(path, format!("there is no array `x`, only: {}", file.names.join(", ")))
    })?;
    let t = match dt {
        Some(_) => None,
        None => file.numbers("t")?,
    };
    if t.is_none() && dt.is_none() && !counted {
        return Err(no_times());
    }
    let step = dt.unwrap_or(1.0);
    let (g, u) = (file.numbers("g")?, file.numbers("u")?);
    if x.ndim() == 3 {
        let runs = x.shape()[0];
        let part =
            |name: &'static str, array: &Option<ArrayD<f64>>, run: usize| -> Result<Option<Array2<f64>>> {
                match array {
                    None => Ok(None),
                    Some(a) if a.ndim() >= 2 && a.shape()[0] == runs => {
                        matrix(name, a.index_axis(Axis(0), run).to_owned()).map(Some)
                    }
                    Some(a) => Err(Error::invalid(
                        "an array's shape",
                        format!("{:?} for `{name}`", a.shape()),
                        format!("of {runs} runs, as `x` is"),
                    )),
                }
            };
        for run in 0..runs {
            let x = matrix("x", x.index_axis(Axis(0), run).to_owned())?;
            let t = match &t {
                None => spaced(x.nrows(), step),
                Some(t) if t.ndim() == 2 && t.shape()[0] == runs => {
                    vector(t.index_axis(Axis(0), run).to_owned())?
                }
                Some(t) => vector(t.clone())?,
            };
            trajectories.extend(Trajectory::runs(x, t, part("g", &g, run)?, part("u", &u, run)?)?);
        }
    } else {
        let x = matrix("x", x)?;
        let t = t.map_or_else(|| Ok(spaced(x.nrows(), step)), vector)?;
        let g = g.map(|g| matrix("g", g)).transpose()?;
        let u = u.map(|u| matrix("u", u)).transpose()?;
        // The shapes are judged as a whole before they are cut into runs.
        if t.len() == x.nrows() && g.as_ref().is_none_or(|g| g.dim() == x.dim()) {
            trajectories = Trajectory::runs(x, t, g, u)?;
        } else {
            trajectories.push(Trajectory::new(x, t, g)?);
        }
    }
    if trajectories.is_empty() {
        return Err(Error::invalid("the number of runs in `x`", 0, "at least 1"));
    }
    Ok(Recording { trajectories, names, input_names })
}

fn spaced(samples: usize, dt: f64) -> Array1<f64> {
    Array1::from_shape_fn(samples, |k| k as f64 * dt)
}

fn vector(array: ArrayD<f64>) -> Result<Array1<f64>> {
    let shape = format!("{:?}", array.shape());
    array
        .into_dimensionality::<Ix1>()
        .map_err(|_| Error::invalid("the shape of t", shape, "one-dimensional, or one row for each run of x"))
}

/// The array has two dimensions; a vector counts as one coordinate.
fn matrix(name: &'static str, array: ArrayD<f64>) -> Result<Array2<f64>> {
    let shape = array.shape().to_vec();
    let array = if shape.len() == 1 { array.insert_axis(Axis(1)) } else { array };
    array.into_dimensionality::<Ix2>().map_err(|_| {
        Error::invalid(
            "an array's shape",
            format!("{shape:?} for `{name}`"),
            "samples x coordinates, or runs x samples x coordinates",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_recordings() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("good.npz");
        let mut npz = ndarray_npy::NpzWriter::new(File::create(&path).unwrap());
        npz.add_array("x", &Array2::from_elem((6, 2), 1.5)).unwrap();
        npz.add_array("t", &Array1::from_iter((0..6).map(f64::from))).unwrap();
        npz.finish().unwrap();
        let good = std::fs::read(&path).unwrap();
        assert!(load(&path, None, false).is_ok());
        crate::hostile::each_file(&good, |path| drop(load(path, None, false)));
    }

    #[test]
    fn what_takes_no_bytes_is_not_read_without_end() {
        let empty = Value::String("<U0".into());
        assert_eq!(Text::read_to_end_exact_vec(&[][..], &empty, 3).unwrap().len(), 3);
        assert!(Text::read_to_end_exact_vec(&[][..], &empty, usize::MAX).is_err());
        let number = Value::String("<f8".into());
        assert!(Number::read_to_end_exact_vec(std::io::repeat(0), &number, 4).is_err());
    }

    #[test]
    fn every_number_type_is_read() {
        let read = |descriptor: &str, bytes: &[u8], len: usize| -> Vec<f64> {
            let descriptor = Value::String(descriptor.into());
            Number::read_to_end_exact_vec(bytes, &descriptor, len).unwrap().iter().map(|v| v.0).collect()
        };
        assert_eq!(read("<f8", &1.5_f64.to_le_bytes(), 1), [1.5]);
        assert_eq!(read(">f4", &(-2.5_f32).to_be_bytes(), 1), [-2.5]);
        assert_eq!(read("<f2", &[0x00, 0x3c, 0x01, 0x00, 0x00, 0xc5], 3), [1.0, (-24.0_f64).exp2(), -5.0]);
        assert_eq!(read("|i1", &[0xff, 0x7f], 2), [-1.0, 127.0]);
        assert_eq!(read(">i2", &(-300_i16).to_be_bytes(), 1), [-300.0]);
        assert_eq!(read("<i4", &(-70_000_i32).to_le_bytes(), 1), [-70_000.0]);
        assert_eq!(read("<i8", &i64::MIN.to_le_bytes(), 1), [i64::MIN as f64]);
        assert_eq!(read("<u8", &u64::MAX.to_le_bytes(), 1), [u64::MAX as f64]);
        assert_eq!(read("|b1", &[0, 1], 2), [0.0, 1.0]);
        let complex = Value::String("<c16".into());
        assert!(Number::read_to_end_exact_vec(&[0_u8; 16][..], &complex, 1).is_err());
    }
}
