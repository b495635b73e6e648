//! The command line.

use crate::viewer::clock::MAX_SPEED;
use crate::viewer::error::ViewerError;
use crate::viewer::replay::Replay;
use clap::{Parser, ValueEnum};
use sim::{CubeScene, Domain, Hand, ScissorsDomain};
use std::path::{Path, PathBuf};
use std::str::FromStr;

const EXAMPLES: &str = "\
Examples:
  sim                                      the scripted demonstrator on the ORCA hand
  sim --task scissors                      takes scissors from their case and cuts a tape
  sim --policy runs/cube --domain shifted  a trained policy on another hand than its own
  sim --record out/cube.gif --seconds 12   a recording, with or without a display
  sim --record out/frames/ --speed 0.5     numbered pictures in slow motion
  sim --shot 6 --size 1280x720             a picture of the window, which then closes
  sim --replay out/faults/cube_orca_v2_0_61.ron   an episode whose physics failed

Exit codes: 0 done, 1 failure, 2 usage, 3 printed, although --record asks for pictures.";

/// Shows a simulated hand that turns a cube or cuts a tape: in a window, else as a recording, else as text.
///
/// Without a display the hand is drawn into a recording; without a graphics driver the rollout is printed. Each of these
/// says why.
#[derive(Clone, Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
pub struct Arguments {
    /// Task that is shown.
    #[arg(long, value_enum, default_value_t = TaskName::Cube)]
    pub task: TaskName,

    /// Hand that does it: one that `softflow tasks` lists, e.g. orca_v2 or orca_v2_left, or the path of a .ron file.
    #[arg(long, default_value = "orca_v2", value_parser = hand)]
    pub hand: String,

    /// Who acts: demo (scripted), zero (holds the start posture), random (seeded smooth noise around it), teleop (the keys
    /// of the window), or the folder of a training run.
    #[arg(long, default_value = "demo", value_name = "demo|zero|random|teleop|RUN")]
    pub policy: PolicyName,

    /// Physics around the hand: nominal is where policies are trained, shifted is a twin that differs from it, tendons is
    /// nominal behind loose tendons, exact is nominal without any scatter between episodes.
    #[arg(long, value_enum, default_value_t = DomainName::Nominal)]
    pub domain: DomainName,

    /// Names the episode: the same seed shows the same rollout.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub seed: u64,

    /// Shows the dump of a fault of the physics instead: the episode, up to the fault.
    #[arg(long, value_name = "DUMP", conflicts_with_all = ["task", "hand", "policy", "domain", "seed"])]
    pub replay: Option<PathBuf>,

    /// Simulated time to record or print, s, up to 3600; unless given, 8 for the cube, 12 for the scissors, and all of a
    /// replay. A window stays open until it is closed.
    #[arg(long, value_name = "S", value_parser = number::<0, 3600>)]
    pub seconds: Option<f64>,

    /// Draws into a file instead of a window: a picture of the last moment (.png), an animation (.gif), or a folder of
    /// numbered pictures (ending in /).
    #[arg(long, value_name = "out.png|out.gif|dir/")]
    pub record: Option<RecordTarget>,

    /// Opens no window, even where there is a display; records to out/TASK.gif, a replay to out/replay.gif, unless --record says
    /// otherwise.
    #[arg(long)]
    pub headless: bool,

    /// Takes a picture of the window, as the key S does, when so much simulated time has passed since it opened, s, up to 3600,
    /// however many episodes that is, and closes the window.
    #[arg(long, value_name = "S", value_parser = number::<0, 3600>, conflicts_with_all = ["record", "headless", "seconds"])]
    pub shot: Option<f64>,

    /// Simulated seconds per second of watching, up to 10; below 1 is slow motion.
    #[arg(long, default_value_t = 1.0, value_name = "X", value_parser = number::<0, MAX_SPEED>)]
    pub speed: f64,

    /// Size of recorded pictures, pixels; 480x270 for an animation and 640x360 for pictures unless given. Of a window, which has 960x540.
    #[arg(long, value_name = "WxH")]
    pub size: Option<PictureSize>,
}

/// A task that can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TaskName {
    /// Turn a cube in the palm-down hand.
    Cube,
    /// Take scissors from their case and cut a tape.
    Scissors,
}

/// Physics around the hand, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DomainName {
    /// Where policies are trained.
    Nominal,
    /// A twin of the hand that differs from the one that policies are trained on.
    Shifted,
    /// Everything that is not known well, over its whole range.
    Randomised,
    /// Nominal, behind tendons that are not taut.
    Tendons,
    /// Nominal, every episode alike.
    Exact,
}

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyName {
    /// The scripted demonstrator.
    Demo,
    /// Holds the start posture.
    Zero,
    /// Smooth noise around the start posture.
    Random,
    /// A human at the keys of the window; without one it holds the start posture.
    Teleop,
    /// The folder of a training run.
    Run(PathBuf),
}

/// Where a recording goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordTarget {
    /// One picture: the last moment.
    Still(PathBuf),
    /// An animated GIF.
    Gif(PathBuf),
    /// A folder of numbered PNG files.
    Series(PathBuf),
}

/// Size of a picture, pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureSize {
    /// Pixels in a row.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

impl Arguments {
    /// Where a recording goes, also when no place was given.
    pub fn record_target(&self) -> RecordTarget {
        let usual = || {
            RecordTarget::Gif(match (self.task, &self.replay) {
                (_, Some(_)) => "out/replay.gif".into(),
                (TaskName::Cube, None) => "out/cube.gif".into(),
                (TaskName::Scissors, None) => "out/scissors.gif".into(),
            })
        };
        self.record.clone().unwrap_or_else(usual)
    }

    /// Simulated time to record or print, also when none was given, s.
    ///
    /// # Errors
    /// When the dump whose length it would be cannot be read.
    pub fn seconds(&self) -> Result<f64, ViewerError> {
        match (self.seconds, &self.replay, self.task) {
            (Some(seconds), ..) => Ok(seconds),
            (None, Some(path), _) => Replay::seconds(path),
            (None, None, TaskName::Cube) => Ok(8.0),
            (None, None, TaskName::Scissors) => Ok(12.0),
        }
    }

    /// Name of the domain: a twin of the cube task belongs to one hand and its variants.
    pub fn domain_name(&self) -> String {
        let family = || Hand::load(&self.hand).map_or_else(|_| self.hand.clone(), |hand| hand.family);
        match (self.task, self.domain) {
            (TaskName::Cube, DomainName::Nominal) => "nominal".into(),
            (TaskName::Cube, DomainName::Shifted) => format!("shifted_{}", family()),
            (TaskName::Cube, DomainName::Randomised) => "randomised".into(),
            (TaskName::Cube, DomainName::Tendons) => format!("tendons_{}", family()),
            (TaskName::Cube, DomainName::Exact) => "exact".into(),
            (TaskName::Scissors, DomainName::Nominal) => "scissors_nominal".into(),
            (TaskName::Scissors, DomainName::Shifted) => "scissors_shifted".into(),
            (TaskName::Scissors, DomainName::Randomised) => "scissors_randomised".into(),
            (TaskName::Scissors, DomainName::Tendons) => "scissors_tendons".into(),
            (TaskName::Scissors, DomainName::Exact) => "scissors_exact".into(),
        }
    }

    /// Whether there is such a domain: not every hand has a twin, nor loose tendons.
    pub fn has_domain(&self) -> bool {
        let name = self.domain_name();
        match self.task {
            TaskName::Cube => Domain::names().any(|known| known == name),
            TaskName::Scissors => ScissorsDomain::names().any(|known| known == name),
        }
    }

    /// The hand's name, also when it is in a file.
    pub fn hand_name(&self) -> &str {
        Path::new(&self.hand).file_stem().and_then(|stem| stem.to_str()).unwrap_or(&self.hand)
    }

    /// Size of recorded pictures, also when none was given.
    pub fn picture_size(&self) -> PictureSize {
        let usual = match self.record_target() {
            // Eight seconds take 2 to 3 MB.
            RecordTarget::Gif(_) => PictureSize { width: 480, height: 270 },
            RecordTarget::Still(_) | RecordTarget::Series(_) => PictureSize { width: 640, height: 360 },
        };
        self.size.unwrap_or(usual)
    }
}

impl RecordTarget {
    /// The file or folder.
    pub fn path(&self) -> &Path {
        match self {
            Self::Still(path) | Self::Gif(path) | Self::Series(path) => path,
        }
    }
}

impl FromStr for PolicyName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "demo" => Ok(Self::Demo),
            "zero" => Ok(Self::Zero),
            "random" => Ok(Self::Random),
            "teleop" => Ok(Self::Teleop),
            folder if PathBuf::from(folder).is_dir() => Ok(Self::Run(folder.into())),
            _ => Err("neither `demo`, `zero`, `random` or `teleop`, nor a folder that exists".into()),
        }
    }
}

impl FromStr for RecordTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = PathBuf::from(text);
        match path.extension().and_then(|extension| extension.to_str()) {
            _ if text.ends_with('/') || path.is_dir() => Ok(Self::Series(path)),
            Some("png") => Ok(Self::Still(path)),
            Some("gif") => Ok(Self::Gif(path)),
            _ => Err("expected a file that ends in .png or .gif, or a folder that ends in /".into()),
        }
    }
}

impl FromStr for PictureSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let side = |text: &str| text.parse().ok().filter(|side| (16..=4096).contains(side));
        text.split_once('x')
            .and_then(|(width, height)| Some(Self { width: side(width)?, height: side(height)? }))
            .ok_or_else(|| "expected two numbers between 16 and 4096, e.g. 640x360".into())
    }
}

/// A known hand, or a file.
fn hand(text: &str) -> Result<String, String> {
    if text.ends_with(".ron") || CubeScene::hands().any(|name| name == text) {
        return Ok(text.to_owned());
    }
    let known: Vec<&str> = CubeScene::hands().collect();
    Err(format!("expected {}, or a path that ends in .ron", known.join(", ")))
}

/// A number above `LOWER` and not above `UPPER`.
fn number<const LOWER: u32, const UPPER: u32>(text: &str) -> Result<f64, String> {
    let (lower, upper) = (f64::from(LOWER), f64::from(UPPER));
    text.parse()
        .ok()
        .filter(|&number| number > lower && number <= upper)
        .ok_or_else(|| format!("expected a number above {lower} and up to {upper}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: what a recording is follows from its name, and any other name is refused.
    #[test]
    fn record_targets_are_told_apart_by_name() {
        let target = |text: &str| text.parse::<RecordTarget>();
        assert_eq!(target("a/cube.png"), Ok(RecordTarget::Still("a/cube.png".into())));
        assert_eq!(target("cube.gif"), Ok(RecordTarget::Gif("cube.gif".into())));
        assert_eq!(target("cube.gif/"), Ok(RecordTarget::Series("cube.gif/".into())));
        assert!(target("cube.mp4").is_err() && target("cube").is_err());
    }

    /// Contract: numbers that make no sense are refused, NaN included.
    #[test]
    fn numbers_are_checked() {
        assert_eq!(number::<0, 10>("0.5"), Ok(0.5));
        for bad in ["0", "-1", "NaN", "inf", "10.1", "fast"] {
            assert!(number::<0, 10>(bad).is_err(), "{bad}");
        }
        for bad in ["640", "640x", "0x0", "8x8", "5000x100"] {
            assert!(bad.parse::<PictureSize>().is_err(), "{bad}");
        }
    }

    /// Contract: the command line is consistent, and without flags it is the demonstrator on the ORCA hand.
    #[test]
    fn no_flags_is_the_demonstrator() {
        let arguments = Arguments::try_parse_from(["sim"]).unwrap();
        assert_eq!((arguments.hand.as_str(), arguments.policy), ("orca_v2", PolicyName::Demo));
        assert_eq!(Arguments::try_parse_from(["sim", "--hand", "hook"]).unwrap_err().exit_code(), 2);
        assert_eq!(Arguments::try_parse_from(["sim", "--hand", "hands/hook.ron"]).unwrap().hand, "hands/hook.ron");
        assert_eq!(Arguments::try_parse_from(["sim", "--replay", "a", "--seed", "1"]).unwrap_err().exit_code(), 2);
    }
}
