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
    /// The same with half of the pixels in each direction: means of four. A last odd row or column is lost.
    pub fn halved(&self) -> Self {
        let (width, height) = (self.width / 2, self.height / 2);
        let at =
            |x: usize, y: usize, channel: usize| u16::from(self.rgba[4 * (y * usize::from(self.width) + x) + channel]);
        let mut rgba = Vec::with_capacity(4 * usize::from(width) * usize::from(height));
        for (y, x) in (0..usize::from(height)).flat_map(|y| (0..usize::from(width)).map(move |x| (2 * y, 2 * x))) {
            rgba.extend((0..4).map(|channel| {
                let sum = at(x, y, channel) + at(x + 1, y, channel) + at(x, y + 1, channel) + at(x + 1, y + 1, channel);
                (sum / 4) as u8
            }));
        }
        Self { width, height, rgba }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: a pixel of half the size is the mean of four; what is left over at the edge is lost.
    #[test]
    fn halves_are_means() {
        let shades = [[0, 100, 7], [200, 100, 7], [7, 7, 7]];
        let rgba = shades.as_flattened().iter().flat_map(|&shade| [shade, 0, 255 - shade, 255]).collect();
        let halved = Picture { width: 3, height: 3, rgba }.halved();
        assert_eq!(halved, Picture { width: 1, height: 1, rgba: vec![100, 0, 155, 255] });
    }
}
