//! Fields on a mesh as a VTK file for image data, as ParaView and PyVista read it.

/// Values at the cells or at the nodes of a mesh.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    /// The name that a viewer shows.
    pub name: &'a str,
    /// How many numbers belong to one cell or node: 1 for a scalar, 3 for a vector.
    pub components: usize,
    /// The numbers, those of one cell or node together, x fastest.
    pub values: &'a [f64],
}

/// Fields as a VTK XML file for image data (.vti), in single precision.
///
/// The values follow the XML as appended raw bytes, little-endian, each field behind its length in bytes as a
/// 64-bit number. A mesh in two dimensions has `size[2] == 0`: one plane of cells and nodes at z = 0.
///
/// # Panics
/// A field panics whose number of values is not that of the cells or nodes times its components.
pub fn image_data(
    size: [usize; 3],
    sides: [f64; 3],
    cell_fields: &[Field<'_>],
    point_fields: &[Field<'_>],
) -> Vec<u8> {
    // Where a mesh has no extent, VTK counts its cells as if it had one cell there.
    let cells: usize = size.iter().map(|n| (*n).max(1)).product();
    let nodes: usize = size.iter().map(|n| n + 1).product();
    let extent = size.map(|n| format!("0 {n}")).join(" ");
    let spacing = sides.map(|s| s.to_string()).join(" ");
    let mut offset = 0;
    let mut arrays = |fields: &[Field<'_>], count: usize| {
        let mut xml = String::new();
        for Field { name, components, values } in fields {
            assert_eq!(values.len(), count * components, "the field {name} does not fit the mesh");
            xml += &format!(
                "        <DataArray type=\"Float32\" Name=\"{}\" NumberOfComponents=\"{components}\" \
                 format=\"appended\" offset=\"{offset}\"/>\n",
                escape(name)
            );
            offset += 8 + 4 * values.len();
        }
        xml
    };
    let (cell_arrays, point_arrays) = (arrays(cell_fields, cells), arrays(point_fields, nodes));
    let mut bytes = format!(
        "<?xml version=\"1.0\"?>\n\
         <VTKFile type=\"ImageData\" version=\"1.0\" byte_order=\"LittleEndian\" header_type=\"UInt64\">\n  \
         <ImageData WholeExtent=\"{extent}\" Origin=\"0 0 0\" Spacing=\"{spacing}\">\n    \
         <Piece Extent=\"{extent}\">\n      \
         <PointData>\n{point_arrays}      </PointData>\n      \
         <CellData>\n{cell_arrays}      </CellData>\n    \
         </Piece>\n  </ImageData>\n  <AppendedData encoding=\"raw\">\n_"
    )
    .into_bytes();
    bytes.reserve(offset + 40);
    for Field { values, .. } in cell_fields.iter().chain(point_fields) {
        bytes.extend_from_slice(&(4 * values.len() as u64).to_le_bytes());
        values.iter().for_each(|v| bytes.extend_from_slice(&(*v as f32).to_le_bytes()));
    }
    bytes.extend_from_slice(b"\n  </AppendedData>\n</VTKFile>\n");
    bytes
}

fn escape(name: &str) -> String {
    name.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    #[test]
    fn values_are_where_the_header_says() {
        let density: Vec<f64> = (0..6).map(f64::from).collect();
        let motion: Vec<f64> = (0..72).map(|i| -f64::from(i)).collect();
        let bytes = image_data(
            [3, 2, 1],
            [0.5, 1.0, 2.0],
            &[Field { name: "density", components: 1, values: &density }],
            &[Field { name: "u \"&<", components: 3, values: &motion }],
        );
        let header = text(&bytes);
        assert!(header.contains("WholeExtent=\"0 3 0 2 0 1\" Origin=\"0 0 0\" Spacing=\"0.5 1 2\""));
        assert!(header.contains("Name=\"u &quot;&amp;&lt;\" NumberOfComponents=\"3\""));
        assert!(header.contains(&format!("offset=\"{}\"", 8 + 24)));
        let start = bytes.windows(2).position(|w| w == b"\n_").unwrap() + 2;
        assert_eq!(bytes[start..start + 8], 24u64.to_le_bytes());
        assert_eq!(bytes[start + 8 + 20..start + 32], 5f32.to_le_bytes());
        assert_eq!(bytes[start + 32..start + 40], 288u64.to_le_bytes());
        assert_eq!(bytes[start + 40 + 284..start + 328], (-71f32).to_le_bytes());
        assert!(bytes[start + 328..].starts_with(b"\n  </AppendedData>"));
    }

    #[test]
    fn plane_has_one_layer_of_cells_and_nodes() {
        let field = |values| Field { name: "f", components: 1, values };
        let bytes = image_data([2, 2, 0], [1.0; 3], &[field(&[0.0; 4])], &[field(&[0.0; 9])]);
        assert!(text(&bytes).contains("Extent=\"0 2 0 2 0 0\""));
    }
}
