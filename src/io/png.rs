use std::io::Cursor;

use image::{GrayImage, ImageFormat, Luma, RgbImage};

use crate::error::{Error, Result};
use crate::topology::Grid;

/// The width that the picture is enlarged to, in pixels, by whole factors.
const WIDTH: usize = 1200;

/// A density field as PNG, solid black, void white, each element a square of pixels.
///
/// `density` is numbered as the [`Grid`] numbers its elements.
///
/// # Errors
/// [`SettingsError`](crate::error::SettingsError), or [`FileError`](crate::error::FileError) if the picture
/// cannot be encoded.
pub fn density_png(grid: &Grid, density: &[f64]) -> Result<Vec<u8>> {
    if density.len() != grid.elements() {
        return Err(Error::length("the density", density.len(), grid.elements()));
    }
    let scale = (WIDTH / grid.nelx().max(grid.nely())).max(1);
    let picture = GrayImage::from_fn((grid.nelx() * scale) as u32, (grid.nely() * scale) as u32, |px, py| {
        let (ix, iy) = (px as usize / scale, py as usize / scale);
        let shade = 1.0 - density[ix * grid.nely() + iy].clamp(0.0, 1.0);
        Luma([(255.0 * shade).round() as u8])
    });
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).map_err(|e| Error::encoding("design.png", e))?;
    Ok(bytes.into_inner())
}

/// A picture in colour as PNG.
pub(super) fn encode(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).map_err(|e| Error::encoding("design.png", e))?;
    Ok(bytes.into_inner())
}
