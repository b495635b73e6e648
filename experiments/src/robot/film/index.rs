//! What is known about frames: a line each, and what became of their episode.

use serde::{Deserialize, Serialize};

/// A line of `index.jsonl`: a frame of one camera, in the order in which they were taken. The first one is the newest
/// that was taken before the first observation, where there is one: it is what was seen then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrameLine {
    /// Its file, beside the index.
    pub file: String,
    /// When it was taken, s on the loop's clock, as the times of `episode.json`.
    pub time_s: f64,
    /// Width and height, px.
    pub size_px: (u32, u32),
    /// Length of the file.
    pub bytes: usize,
    /// CRC-32 (IEEE) of the file.
    pub crc32: u32,
    /// Frames between the one before and this that were dropped, because the disk was too slow.
    pub n_dropped: u64,
}

/// `episode.json`. A folder without it belongs to an episode that nobody judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpisodeNote {
    /// What became of the episode.
    pub fate: Fate,
    /// What was stored of it.
    pub pieces: Vec<Piece>,
}

/// What became of an episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// It is in `replay/own` or was evaluated; its one piece has the seed by which it is found.
    Kept,
    /// A fault, a pause or an order cut it off; its pieces, if any, are in `robot/cut`.
    Cut,
    /// A human threw it away: its frames are gone as well.
    Discarded,
}

/// A record of an episode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Piece {
    /// A kept one's seed.
    pub seed: Option<u64>,
    /// A cut one's place in `robot/cut`, from 0.
    pub record: Option<usize>,
    /// When each observation was made, s on the loop's clock: one more than there are steps.
    pub observed_s: Vec<f64>,
}
