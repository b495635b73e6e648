//! A picture as the renderer leaves it.

/// Pixels of a picture: rows from the top, four bytes (red, green, blue, alpha; sRGB) a pixel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Pixels in a row.
    pub width: u16,
    /// Rows.
    pub height: u16,
    /// `4 * width * height` bytes.
    pub rgba: Vec<u8>,
}

impl Picture {
    /// Whether all pixels are alike: nothing was drawn.
    pub fn is_blank(&self) -> bool {
        let mut pixels = self.rgba.as_chunks::<4>().0.iter();
        let first = pixels.next();
        pixels.all(|pixel| Some(pixel) == first)
    }
}
