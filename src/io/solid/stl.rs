//! Surfaces as STL and PLY files.
//!
//! The crate `stl_io` 0.11 is not used: it takes a binary file whose header begins with "solid " for text,
//! and many programs write such headers; it refuses a text file without a name, and lets NaN pass in binary
//! files.

use std::collections::HashMap;

use super::surface::Surface;

/// The bytes of a binary file before its triangles: the header and their number.
const HEADER: usize = 84;
/// The bytes of a triangle in a binary file.
const RECORD: usize = 50;

/// A surface as binary STL, with the normals of its triangles.
///
/// # Panics
/// A vertex number beyond the vertices panics.
pub fn write_stl(surface: &Surface) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + RECORD * surface.triangles.len());
    // The word "solid" must not be the first, or readers may take the file for text.
    bytes.extend_from_slice(b"Binary STL of a design");
    bytes.resize(HEADER - 4, b' ');
    bytes.extend_from_slice(&(surface.triangles.len() as u32).to_le_bytes());
    for triangle in &surface.triangles {
        let corners = surface.corners(*triangle);
        for number in [normal(corners), corners[0], corners[1], corners[2]].as_flattened() {
            bytes.extend_from_slice(&(*number as f32).to_le_bytes());
        }
        bytes.extend_from_slice(&[0; 2]);
    }
    bytes
}

/// The unit normal of a triangle; zero for an empty one.
fn normal([a, b, c]: [[f64; 3]; 3]) -> [f64; 3] {
    let [u, v] = [b, c].map(|p| [0, 1, 2].map(|d| p[d] - a[d]));
    let normal = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
    let length = normal.iter().map(|n| n * n).sum::<f64>().sqrt();
    normal.map(|n| if length > 0.0 { n / length } else { 0.0 })
}

/// A surface as binary PLY, with common vertices and coordinates in single precision.
pub fn write_ply(surface: &Surface) -> Vec<u8> {
    let mut bytes = format!(
        "ply\nformat binary_little_endian 1.0\nelement vertex {}\nproperty float x\nproperty float y\n\
         property float z\nelement face {}\nproperty list uchar uint vertex_indices\nend_header\n",
        surface.vertices.len(),
        surface.triangles.len()
    )
    .into_bytes();
    bytes.reserve(12 * surface.vertices.len() + 13 * surface.triangles.len());
    for number in surface.vertices.as_flattened() {
        bytes.extend_from_slice(&(*number as f32).to_le_bytes());
    }
    for triangle in &surface.triangles {
        bytes.push(3);
        triangle.iter().for_each(|v| bytes.extend_from_slice(&v.to_le_bytes()));
    }
    bytes
}

/// Reads a binary or a text STL file. Corners at the same place become one vertex, triangles with two equal
/// corners are left out, and normals are not read.
///
/// A file is binary if its length fits the number of triangles that a binary one would state; the word
/// "solid" decides only what else is text. The surface need not be closed. The memory is in proportion to
/// the file, whatever its header says.
///
/// # Errors
/// A sentence says what is wrong with the file: it is neither binary nor text STL, it is cut off, or it has
/// a coordinate that is no finite number.
pub fn read_stl(bytes: &[u8]) -> Result<Surface, String> {
    let count =
        bytes.get(HEADER - 4..HEADER).and_then(|b| <[u8; 4]>::try_from(b).ok()).map(u32::from_le_bytes);
    let expected = count.map(|count| HEADER as u64 + RECORD as u64 * u64::from(count));
    let starts_as_text = bytes.trim_ascii_start().get(..5).is_some_and(|w| w.eq_ignore_ascii_case(b"solid"));
    match expected {
        Some(expected) if expected == bytes.len() as u64 => read_binary(&bytes[HEADER..]),
        _ if starts_as_text => read_text(bytes),
        // Some programs append data of their own.
        Some(expected) if expected < bytes.len() as u64 => read_binary(&bytes[HEADER..expected as usize]),
        Some(expected) => Err(format!(
            "The STL file is cut off: it promises {} triangles, that is {expected} bytes, and it has {}.",
            count.unwrap_or_default(),
            bytes.len()
        )),
        None => Err(format!("The file has {} bytes, which is too short for an STL file.", bytes.len())),
    }
}

/// Joins corners that are at the same place.
#[derive(Default)]
struct Joiner {
    surface: Surface,
    known: HashMap<[u32; 3], u32>,
}

impl Joiner {
    fn triangle(&mut self, corners: [[f32; 3]; 3]) -> Result<(), String> {
        if corners.as_flattened().iter().any(|c| !c.is_finite()) {
            let number = self.surface.triangles.len() + 1;
            return Err(format!(
                "Triangle {number} of the STL file has a coordinate that is no finite number."
            ));
        }
        let vertices = corners.map(|corner| {
            let surface = &mut self.surface;
            // The sum turns −0 into 0.
            *self.known.entry(corner.map(|c| (c + 0.0).to_bits())).or_insert_with(|| {
                surface.vertices.push(corner.map(f64::from));
                surface.vertices.len() as u32 - 1
            })
        });
        let [a, b, c] = vertices;
        if a != b && b != c && c != a {
            self.surface.triangles.push(vertices);
        }
        Ok(())
    }
}

fn read_binary(records: &[u8]) -> Result<Surface, String> {
    let mut joiner = Joiner::default();
    joiner.surface.triangles.reserve(records.len() / RECORD);
    for record in records.as_chunks::<RECORD>().0 {
        let number = |i: usize| f32::from_le_bytes(std::array::from_fn(|byte| record[4 * i + byte]));
        joiner.triangle([1, 2, 3].map(|corner| [0, 1, 2].map(|d| number(3 * corner + d))))?;
    }
    Ok(joiner.surface)
}

fn read_text(bytes: &[u8]) -> Result<Surface, String> {
    let mut joiner = Joiner::default();
    let (mut corners, mut count, mut inside, mut ended) = ([[0.0; 3]; 3], 0, false, false);
    for (line, text) in bytes.split(|b| *b == b'\n').enumerate() {
        let at = |what: &str| format!("Line {} of the STL file {what}.", line + 1);
        let mut words = text.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty());
        let keyword = words.next().unwrap_or_default().to_ascii_lowercase();
        match keyword.as_slice() {
            b"facet" if inside => return Err(at("begins a facet within another one")),
            b"facet" => (inside, count, ended) = (true, 0, false),
            b"vertex" if !inside || count == 3 => {
                return Err(at("has a vertex that belongs to no triangle"));
            }
            b"vertex" => {
                for coordinate in &mut corners[count] {
                    *coordinate = words
                        .next()
                        .and_then(|w| std::str::from_utf8(w).ok()?.parse().ok())
                        .ok_or_else(|| at("has a vertex without three numbers"))?;
                }
                count += 1;
            }
            b"endfacet" if !inside || count != 3 => return Err(at("ends a facet without three vertices")),
            b"endfacet" => {
                inside = false;
                joiner.triangle(corners)?;
            }
            b"endsolid" => ended = true,
            b"" | b"solid" | b"outer" | b"endloop" => {}
            _ => return Err(at("begins with a word that does not belong there")),
        }
    }
    if inside || !ended {
        return Err("The STL file is cut off: its text does not end with \"endsolid\".".to_string());
    }
    Ok(joiner.surface)
}

#[cfg(test)]
mod tests {
    use super::super::boundary::boundary;
    use super::*;

    fn sample() -> Surface {
        let density: Vec<f64> = (0..60).map(|e| f64::from(e * 7 % 10 < 6)).collect();
        boundary([3, 4, 5], [1.0, 0.5, 0.25], &density).surface
    }

    fn text(surface: &Surface) -> String {
        let mut text = "solid\n".to_string();
        for triangle in &surface.triangles {
            text += "  facet normal 0 0 0\n    outer loop\r\n";
            for [x, y, z] in surface.corners(*triangle).map(|p| p.map(|c| c as f32)) {
                text += &format!("\tvertex {x:e} {y} {z}\n");
            }
            text += "    endloop\n  endfacet\n";
        }
        text + "endsolid\n"
    }

    fn same(read: &Surface, written: &Surface) {
        assert_eq!(read.triangles.len(), written.triangles.len());
        assert_eq!(read.vertices.len(), written.vertices.len());
        for (a, b) in read.triangles.iter().zip(&written.triangles) {
            let [a, b] = [read.corners(*a), written.corners(*b)];
            let pairs = a.as_flattened().iter().zip(b.as_flattened());
            pairs.for_each(|(a, b)| assert!((a - b).abs() < 1e-6));
        }
    }

    #[test]
    fn binary_and_text_come_back() {
        let surface = sample();
        let mut bytes = write_stl(&surface);
        same(&read_stl(&bytes).unwrap(), &surface);
        assert!(read_stl(&bytes).unwrap().is_closed());
        // A header of this kind is common in binary files.
        bytes[..6].copy_from_slice(b"solid ");
        same(&read_stl(&bytes).unwrap(), &surface);
        same(&read_stl(text(&surface).as_bytes()).unwrap(), &surface);
        assert_eq!(read_stl(&write_stl(&Surface::default())), Ok(Surface::default()));
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = write_stl(&sample());
        let text = text(&sample()).into_bytes();
        for length in (0..bytes.len()).step_by(97) {
            assert!(read_stl(&bytes[..length]).is_err(), "{length}");
        }
        for length in (0..text.len() - 10).step_by(97) {
            assert!(read_stl(&text[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn hostile_files_are_refused() {
        let mut bytes = write_stl(&sample());
        bytes[80..84].copy_from_slice(&u32::MAX.to_le_bytes());
        let message = read_stl(&bytes).unwrap_err();
        assert!(message.contains("4294967295 triangles"), "{message}");
        let mut bytes = write_stl(&sample());
        bytes[84 + 12..84 + 16].copy_from_slice(&f32::NAN.to_le_bytes());
        assert!(read_stl(&bytes).unwrap_err().contains("no finite number"));
        let broken = [
            "solid a\nfacet\nvertex 1 2 inf\nvertex 1 2 3\nvertex 1 3 2\nendfacet\nendsolid",
            "solid a\nvertex 1 2 3\nendsolid a",
            "solid a\nfacet\nvertex 1 2\nendsolid a",
            "solid a\nfacet\nfacet\nendsolid a",
            "solid a\nfacet\nendfacet\nendsolid a",
            "solid \u{fffd} a\nhello\nendsolid",
            "solid",
            "",
        ];
        for file in broken {
            let message = read_stl(file.as_bytes()).unwrap_err();
            assert!(message.ends_with('.') && !message.contains('\n'), "{message}");
        }
        // Bytes at random never panic.
        let mut state = 1u32;
        for length in 0..400 {
            let mut file = b"solid\nfacet\nvertex ".to_vec();
            file.extend((0..length).map(|_| {
                state = state.wrapping_mul(1664525).wrapping_add(1013904223);
                (state >> 24) as u8
            }));
            let _ = read_stl(&file);
        }
    }

    #[test]
    fn ply_has_the_stated_length() {
        let surface = sample();
        let bytes = write_ply(&surface);
        let header = bytes.windows(11).position(|w| w == b"end_header\n").unwrap() + 11;
        assert_eq!(bytes.len(), header + 12 * surface.vertices.len() + 13 * surface.triangles.len());
    }
}
