//! An animated GIF, written as it grows.
//!
//! Most of a picture stays as it was: a frame holds only the rectangle in which something changed, and of it only the
//! pixels that differ from what is already on the screen. That keeps files small, and each frame has all of its 256
//! colours (NeuQuant) for what moves.

use crate::viewer::error::ViewerError;
use crate::viewer::picture::Picture;
use gif::{DisposalMethod, Encoder, Frame, Repeat};

/// Largest difference of a colour channel (0..255) that may stay as it is: below what the palette can show anyway.
const TOLERANCE: u8 = 5;
/// NeuQuant's effort, 1 (slow) to 30.
const QUANTISATION_SPEED: i32 = 10;

/// Writes an animation into memory.
pub struct Animation {
    encoder: Encoder<Vec<u8>>,
    delay_cs: u16,
    width: u16,
    /// What is on the screen: red, green, blue of each pixel.
    screen: Option<Vec<[u8; 3]>>,
}

/// A rectangle of pixels: first column and row, columns, rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Region {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

impl Animation {
    /// An endless animation whose pictures stay for `delay_cs` hundredths of a second.
    ///
    /// # Errors
    /// Never in memory.
    pub fn new(width: u16, height: u16, delay_cs: u16) -> Result<Self, ViewerError> {
        let mut encoder = Encoder::new(Vec::new(), width, height, &[])?;
        encoder.set_repeat(Repeat::Infinite)?;
        Ok(Self { encoder, delay_cs, width, screen: None })
    }

    /// Appends a picture, which must have the animation's size.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn add(&mut self, picture: &Picture) -> Result<(), ViewerError> {
        let width = usize::from(self.width);
        let pixels = picture.rgba.as_chunks::<4>().0;
        let screen = self.screen.get_or_insert_default();
        let stays = |index: usize| screen.get(index).is_some_and(|shown| is_close(*shown, pixels[index]));
        // A picture without any change still takes its time: it is one pixel that stays.
        let region = changed_region(pixels.len(), width, stays)
            .unwrap_or(Region { left: 0, top: 0, width: 1, height: 1 });

        let mut cut: Vec<u8> = Vec::with_capacity(4 * region.width * region.height);
        for index in region.indices(width) {
            let [r, g, b, _] = pixels[index];
            cut.extend(if stays(index) { [0, 0, 0, 0] } else { [r, g, b, 255] });
        }
        let mut frame = quantise(region, &mut cut);
        frame.delay = self.delay_cs;
        frame.dispose = DisposalMethod::Keep;

        screen.resize(pixels.len(), [0; 3]);
        if let Some(palette) = &frame.palette {
            let colors = palette.as_chunks::<3>().0;
            for (index, &color) in region.indices(width).zip(frame.buffer.iter()) {
                if Some(color) != frame.transparent {
                    screen[index] = colors[usize::from(color)];
                }
            }
        }
        Ok(self.encoder.write_frame(&frame)?)
    }

    /// The bytes of the whole file.
    ///
    /// # Errors
    /// Never in memory.
    pub fn finish(self) -> Result<Vec<u8>, ViewerError> {
        self.encoder.into_inner().map_err(|error| ViewerError::Gif(error))
    }
}

impl Region {
    /// Indices of its pixels in a picture with rows of `row_len` pixels.
    fn indices(self, row_len: usize) -> impl Iterator<Item = usize> {
        (self.top..self.top + self.height)
            .flat_map(move |row| (self.left..self.left + self.width).map(move |column| row * row_len + column))
    }
}

fn is_close(shown: [u8; 3], [r, g, b, _]: [u8; 4]) -> bool {
    shown.into_iter().zip([r, g, b]).all(|(shown, wanted)| shown.abs_diff(wanted) <= TOLERANCE)
}

/// The smallest rectangle with all pixels that do not stay.
fn changed_region(n_pixels: usize, width: usize, stays: impl Fn(usize) -> bool) -> Option<Region> {
    let mut changed = (0..n_pixels).filter(|&index| !stays(index)).map(|index| (index % width, index / width));
    let (column, row) = changed.next()?;
    let (mut left, mut right, top, mut bottom) = (column, column, row, row);
    for (column, row) in changed {
        (left, right, bottom) = (left.min(column), right.max(column), bottom.max(row));
    }
    Some(Region { left, top, width: right - left + 1, height: bottom - top + 1 })
}

/// A frame of at most 256 colours from pixels of which those with alpha 0 are see-through.
fn quantise(region: Region, rgba: &mut [u8]) -> Frame<'static> {
    let mut frame = Frame::from_rgba_speed(region.width as u16, region.height as u16, rgba, QUANTISATION_SPEED);
    (frame.left, frame.top) = (region.left as u16, region.top as u16);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture whose colours depend on the place and on `shift`.
    fn gradient(width: u16, height: u16, shift: usize) -> Picture {
        let rgba = (0..usize::from(width) * usize::from(height)).flat_map(|index| {
            let (x, y) = (index % usize::from(width), index / usize::from(width));
            let moving = if (20..40).contains(&x) && (10..30).contains(&y) { 40 * shift } else { 0 };
            [(2 * x + moving) as u8, (3 * y) as u8, (x + y) as u8, 255]
        });
        Picture { width, height, rgba: rgba.collect() }
    }

    fn decode(bytes: &[u8]) -> Vec<Picture> {
        let mut options = gif::DecodeOptions::new();
        options.set_color_output(gif::ColorOutput::RGBA);
        let mut decoder = options.read_info(bytes).unwrap();
        let (width, height) = (decoder.width(), decoder.height());
        let mut screen = vec![0; 4 * usize::from(width) * usize::from(height)];
        let mut pictures = Vec::new();
        while let Some(frame) = decoder.read_next_frame().unwrap() {
            for (index, pixel) in frame.buffer.as_chunks::<4>().0.iter().enumerate().filter(|(_, pixel)| pixel[3] != 0) {
                let (column, row) = (index % usize::from(frame.width), index / usize::from(frame.width));
                let place = (row + usize::from(frame.top)) * usize::from(width) + column + usize::from(frame.left);
                screen[4 * place..][..4].copy_from_slice(pixel);
            }
            pictures.push(Picture { width, height, rgba: screen.clone() });
        }
        pictures
    }

    /// Contract: what a viewer of the file sees is close to what was drawn, in every picture, also where only a part
    /// changed or nothing did.
    #[test]
    fn what_is_shown_is_what_was_drawn() {
        let pictures: Vec<_> = [0, 1, 1, 2, 5].map(|shift| gradient(96, 64, shift)).into();
        let mut animation = Animation::new(96, 64, 5).unwrap();
        for picture in &pictures {
            animation.add(picture).unwrap();
        }
        let shown = decode(&animation.finish().unwrap());
        assert_eq!(shown.len(), pictures.len());
        for (index, (shown, drawn)) in shown.iter().zip(&pictures).enumerate() {
            let differences: Vec<u8> = shown.rgba.iter().zip(&drawn.rgba).map(|(a, b)| a.abs_diff(*b)).collect();
            let mean = differences.iter().map(|&x| f64::from(x)).sum::<f64>() / differences.len() as f64;
            let worst = differences.iter().max().unwrap();
            assert!(mean < 3.0 && *worst < 40, "picture {index}: mean difference {mean:.2}, worst {worst}");
        }
    }

    /// Contract: a picture in which little changed takes little space.
    #[test]
    fn what_stays_costs_nothing() {
        let size = |shifts: &[usize]| {
            let mut animation = Animation::new(96, 64, 5).unwrap();
            shifts.iter().for_each(|&shift| animation.add(&gradient(96, 64, shift)).unwrap());
            animation.finish().unwrap().len()
        };
        let first = size(&[0]);
        assert!(size(&[0, 0]) - first < 100);
        assert!(size(&[0, 1]) - first < first / 2);
    }
}
