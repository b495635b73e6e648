//! Pictures into files: a still, an animation, or a numbered series.

use crate::viewer::animation::Animation;
use crate::viewer::arguments::{PictureSize, RecordTarget};
use crate::viewer::error::ViewerError;
use crate::viewer::palette::Palette;
use crate::viewer::picture::Picture;
use bridge::storage::write_atomic;
use std::path::{Path, PathBuf};

/// Pictures per second: one a control step of the cube task, and a whole number of a GIF's hundredths of a second.
pub const PICTURES_PER_S: u32 = 20;
/// How long each of them is shown, s.
pub const PICTURE_S: f64 = 1.0 / PICTURES_PER_S as f64;

/// Writes a recording.
pub struct Recorder {
    path: PathBuf,
    medium: Medium,
    n_pictures: usize,
    n_bytes: usize,
}

enum Medium {
    /// Keeps the latest picture.
    Still(Option<Picture>),
    Animation(Animation),
    Series,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// File, or folder.
    pub path: PathBuf,
    /// Pictures in it.
    pub n_pictures: usize,
    /// Its size.
    pub n_bytes: usize,
}

impl Recorder {
    /// Begins a recording at `target`, whose folder is created. Only an animation asks for its colours.
    ///
    /// # Errors
    /// When that is impossible.
    pub fn new(
        target: &RecordTarget,
        size: PictureSize,
        palette: impl FnOnce() -> Result<Palette, ViewerError>,
    ) -> Result<Self, ViewerError> {
        let path = target.path();
        let folder = match target {
            RecordTarget::Still(_) | RecordTarget::Gif(_) => path.parent(),
            RecordTarget::Series(_) => Some(path),
        };
        if let Some(folder) = folder {
            std::fs::create_dir_all(folder).map_err(|source| ViewerError::File { path: folder.into(), source })?;
        }
        let medium = match target {
            RecordTarget::Still(_) => Medium::Still(None),
            RecordTarget::Gif(_) => Medium::Animation(Animation::new(size.width, size.height, palette()?)?),
            RecordTarget::Series(_) => Medium::Series,
        };
        Ok(Self { path: path.to_owned(), medium, n_pictures: 0, n_bytes: 0 })
    }

    /// Appends a picture, which an animation shows for `shown_s`.
    ///
    /// # Errors
    /// When it cannot be encoded or written.
    pub fn add(&mut self, picture: Picture, shown_s: f64) -> Result<(), ViewerError> {
        match &mut self.medium {
            Medium::Still(latest) => *latest = Some(picture),
            Medium::Animation(animation) => animation.add(&picture, shown_s)?,
            Medium::Series => {
                let path = self.path.join(format!("frame_{:04}.png", self.n_pictures));
                self.n_bytes += write(&path, &png(&picture)?)?;
            }
        }
        self.n_pictures += 1;
        Ok(())
    }

    /// Completes the recording.
    ///
    /// # Errors
    /// When it cannot be encoded or written.
    pub fn finish(mut self) -> Result<Recorded, ViewerError> {
        match self.medium {
            Medium::Still(Some(picture)) => self.n_bytes = write(&self.path, &png(&picture)?)?,
            Medium::Animation(animation) => self.n_bytes = write(&self.path, &animation.finish()?)?,
            Medium::Still(None) | Medium::Series => {}
        }
        Ok(Recorded { path: self.path, n_pictures: self.n_pictures, n_bytes: self.n_bytes })
    }
}

/// Writes one picture as PNG to `path`, whose folder is created. Returns the size of the file.
///
/// # Errors
/// When it cannot be encoded or written.
pub fn save(path: &Path, picture: &Picture) -> Result<usize, ViewerError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|source| ViewerError::File { path: folder.into(), source })?;
    }
    write(path, &png(picture)?)
}

fn png(picture: &Picture) -> Result<Vec<u8>, ViewerError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, picture.width.into(), picture.height.into());
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&picture.rgba)?;
    writer.finish()?;
    Ok(bytes)
}

fn write(path: &Path, bytes: &[u8]) -> Result<usize, ViewerError> {
    write_atomic(path, bytes).map_err(|source| ViewerError::File { path: path.into(), source })?;
    Ok(bytes.len())
}
