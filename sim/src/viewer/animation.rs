//! An animated GIF, written as it grows.
//!
//! Most of a picture stays as it was: a frame holds only the rectangle in which something changed, and of it only the
//! pixels that did.

use crate::viewer::error::ViewerError;
use crate::viewer::palette::Palette;
use crate::viewer::picture::Picture;
use gif::{DisposalMethod, Encoder, Frame, Repeat};

/// Writes an animation into memory.
pub struct Animation {
    encoder: Encoder<Vec<u8>>,
    palette: Palette,
    width: u16,
    /// Indices of the colours that are on the screen; see-through before the first picture.
    screen: Vec<u8>,
    /// For how much longer pictures should have been shown than their delays say, which are whole, 1/100 s.
    owed_cs: f64,
}

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Region {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

impl Animation {
    /// An endless animation in the colours of `palette`.
    ///
    /// # Errors
    /// Never in memory.
    pub fn new(width: u16, height: u16, palette: Palette) -> Result<Self, ViewerError> {
        let mut encoder = Encoder::new(Vec::new(), width, height, palette.rgb())?;
        encoder.set_repeat(Repeat::Infinite)?;
        let screen = vec![palette.transparent(); usize::from(width) * usize::from(height)];
        Ok(Self { encoder, palette, width, screen, owed_cs: 0.0 })
    }

    /// Appends a picture, which must have the animation's size, to be shown for `shown_s`: what the format rounds away, the
    /// pictures after it make up for.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn add(&mut self, picture: &Picture, shown_s: f64) -> Result<(), ViewerError> {
        self.owed_cs += 100.0 * shown_s;
        let delay_cs = self.owed_cs.round() as u16;
        self.owed_cs -= f64::from(delay_cs);
        let width = usize::from(self.width);
        let wanted: Vec<u8> =
            picture.rgba.as_chunks::<4>().0.iter().map(|&pixel| self.palette.index_of(pixel)).collect();
        let changed = wanted.iter().zip(&self.screen).enumerate().filter(|(_, (wanted, shown))| wanted != shown);
        // A picture without any change still takes its time: it is one pixel that stays.
        let region = Region::around(changed.map(|(index, _)| (index % width, index / width))).unwrap_or(Region {
            left: 0,
            top: 0,
            width: 1,
            height: 1,
        });
        let transparent = self.palette.transparent();
        let visible = |index| if wanted[index] == self.screen[index] { transparent } else { wanted[index] };
        let frame = Frame {
            delay: delay_cs,
            dispose: DisposalMethod::Keep,
            transparent: Some(transparent),
            left: region.left as u16,
            top: region.top as u16,
            width: region.width as u16,
            height: region.height as u16,
            buffer: region.indices(width).map(visible).collect(),
            ..Frame::default()
        };
        self.encoder.write_frame(&frame)?;
        self.screen = wanted;
        Ok(())
    }

    /// The bytes of the whole file.
    ///
    /// # Errors
    /// Never in memory.
    pub fn finish(self) -> Result<Vec<u8>, ViewerError> {
        Ok(self.encoder.into_inner()?)
    }
}

impl Region {
    /// The smallest rectangle around `places` (column, row), which come row by row.
    fn around(mut places: impl Iterator<Item = (usize, usize)>) -> Option<Self> {
        let (column, top) = places.next()?;
        let (mut left, mut right, mut bottom) = (column, column, top);
        for (column, row) in places {
            (left, right, bottom) = (left.min(column), right.max(column), row);
        }
        Some(Self { left, top, width: right - left + 1, height: bottom - top + 1 })
    }

    /// Indices of its pixels in a picture with rows of `row_len` pixels.
    fn indices(self, row_len: usize) -> impl Iterator<Item = usize> {
        (self.top..self.top + self.height)
            .flat_map(move |row| (self.left..self.left + self.width).map(move |column| row * row_len + column))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture whose colours depend on the place and, in the middle, on `shift`.
    fn gradient(shift: usize) -> Picture {
        let (width, height) = (96, 64);
        let rgba = (0..usize::from(width) * usize::from(height)).flat_map(|index| {
            let (x, y) = (index % usize::from(width), index / usize::from(width));
            let moving = if (20..40).contains(&x) && (10..30).contains(&y) { 40 * shift } else { 0 };
            [(2 * x + moving) as u8, (3 * y) as u8, (x + y) as u8, 255]
        });
        Picture { width, height, rgba: rgba.collect() }
    }

    fn encode(pictures: &[Picture]) -> Vec<u8> {
        let palette = Palette::of(&[gradient(0), gradient(1), gradient(2), gradient(4)]);
        let mut animation = Animation::new(96, 64, palette).unwrap();
        pictures.iter().for_each(|picture| animation.add(picture, 0.05).unwrap());
        animation.finish().unwrap()
    }

    /// What a viewer of the file sees, picture by picture.
    fn decode(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut options = gif::DecodeOptions::new();
        options.set_color_output(gif::ColorOutput::RGBA);
        let mut decoder = options.read_info(bytes).unwrap();
        let width = usize::from(decoder.width());
        let mut screen = vec![0; 4 * width * usize::from(decoder.height())];
        let mut seen = Vec::new();
        while let Some(frame) = decoder.read_next_frame().unwrap() {
            let pixels = frame.buffer.as_chunks::<4>().0.iter().enumerate();
            for (index, pixel) in pixels.filter(|(_, pixel)| pixel[3] != 0) {
                let (column, row) = (index % usize::from(frame.width), index / usize::from(frame.width));
                let place = (row + usize::from(frame.top)) * width + column + usize::from(frame.left);
                screen[4 * place..][..4].copy_from_slice(pixel);
            }
            seen.push(screen.clone());
        }
        seen
    }

    /// Contract: what a viewer of the file sees is close to what was drawn, in every picture, also where only a part
    /// changed or nothing did; and what was the same is seen the same.
    #[test]
    fn what_is_seen_is_what_was_drawn() {
        let drawn: Vec<_> = [0, 1, 1, 2, 4, 0].map(gradient).into();
        let seen = decode(&encode(&drawn));
        assert_eq!(seen.len(), drawn.len());
        for (index, (seen, drawn)) in seen.iter().zip(&drawn).enumerate() {
            let differences = || seen.iter().zip(&drawn.rgba).map(|(a, b)| a.abs_diff(*b));
            let mean = differences().map(f64::from).sum::<f64>() / seen.len() as f64;
            let worst = differences().max().unwrap();
            assert!(mean < 5.0 && worst < 48, "picture {index}: mean difference {mean:.2}, worst {worst}");
        }
        assert!(seen[0] == seen[5] && seen[1] == seen[2]);
    }

    /// Contract: a picture in which little changed takes little space.
    #[test]
    fn what_stays_costs_nothing() {
        let first = encode(&[gradient(0)]).len();
        assert!(encode(&[gradient(0), gradient(0)]).len() - first < 50);
        assert!(encode(&[gradient(0), gradient(1)]).len() - first < first / 2);
    }
}
