//! The 255 colours of an animation, and the one that is see-through.
//!
//! One palette for all pictures: a colour that comes back looks as it did before, so that what did not move is told by
//! its index and leaves no traces.

use crate::viewer::picture::Picture;
use gif::Frame;

/// Colours are looked up by their upper bits, a channel: a table of 2^18 entries.
const LOOKUP_BITS: u32 = 6;
/// Effort of the quantisation, 1 (much) to 30.
const QUANTISATION_SPEED: i32 = 10;
/// Samples are handed to the quantisation as a picture with rows of this length.
const SAMPLE_ROW: usize = 256;

/// The colours of an animation.
#[derive(Clone, Debug)]
pub struct Palette {
    /// Red, green, blue of each colour.
    rgb: Vec<u8>,
    transparent: u8,
    /// Nearest colour by the upper bits of red, green and blue.
    nearest: Vec<u8>,
}

impl Palette {
    /// Colours for an animation that looks like `pictures`, by NeuQuant: all of the first, and what changes in the others.
    pub fn of(pictures: &[Picture]) -> Self {
        let mut pixels = pictures.first().map_or(Vec::new(), |first| first.rgba.clone());
        for pair in pictures.windows(2) {
            let (before, after) = (pair[0].rgba.as_chunks::<4>().0, pair[1].rgba.as_chunks::<4>().0);
            pixels.extend(
                after.iter().zip(before).filter(|(after, before)| after != before).flat_map(|(after, _)| after),
            );
        }
        let n_rows = (pixels.len() / 4 / SAMPLE_ROW).min(usize::from(u16::MAX));
        pixels.truncate(4 * SAMPLE_ROW * n_rows);
        let sample = Frame::from_rgba_speed(SAMPLE_ROW as u16, n_rows as u16, &mut pixels, QUANTISATION_SPEED);
        let mut rgb = sample.palette.unwrap_or_default();
        let mut n_used = vec![0usize; rgb.len() / 3];
        sample.buffer.iter().for_each(|&index| n_used[usize::from(index)] += 1);

        // The colour that is missed least becomes the one that is see-through.
        let transparent = if n_used.len() < 256 {
            rgb.extend([0; 3]);
            n_used.len()
        } else {
            (0..n_used.len()).min_by_key(|&index| n_used[index]).unwrap_or_default()
        };
        let nearest = (0..1 << (3 * LOOKUP_BITS)).map(|key| nearest_color(&rgb, transparent, key)).collect();
        Self { rgb, transparent: transparent as u8, nearest }
    }

    /// Red, green, blue of all colours, one after the other.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// Index of the see-through colour.
    pub const fn transparent(&self) -> u8 {
        self.transparent
    }

    /// Index of the colour that is nearest to a pixel.
    pub fn index_of(&self, [r, g, b, _]: [u8; 4]) -> u8 {
        let upper_bits = |channel: u8| usize::from(channel >> (8 - LOOKUP_BITS));
        self.nearest[(upper_bits(r) << (2 * LOOKUP_BITS)) | (upper_bits(g) << LOOKUP_BITS) | upper_bits(b)]
    }
}

/// Index of the colour nearest to the middle of what the lookup `key` stands for.
fn nearest_color(rgb: &[u8], transparent: usize, key: usize) -> u8 {
    let wanted = [2, 1, 0].map(|channel| {
        let upper_bits = (key >> (channel * LOOKUP_BITS)) as i32 & ((1 << LOOKUP_BITS) - 1);
        (upper_bits << (8 - LOOKUP_BITS)) + (1 << (7 - LOOKUP_BITS))
    });
    let distance =
        |color: &[u8; 3]| color.iter().zip(wanted).map(|(&x, wanted)| (i32::from(x) - wanted).pow(2)).sum::<i32>();
    let colors = rgb.as_chunks::<3>().0.iter().enumerate().filter(|(index, _)| *index != transparent);
    colors.min_by_key(|(_, color)| distance(color)).map_or(0, |(index, _)| index as u8)
}
