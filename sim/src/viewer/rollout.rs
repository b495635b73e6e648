//! The rollout that is shown, one servo tick at a time.
//!
//! Nothing here knows of pictures: a window, a recording and a text log all call [`Rollout::tick`].

use crate::viewer::arguments::{Arguments, TaskName};
use crate::viewer::cube;
use crate::viewer::error::ViewerError;
use crate::viewer::filmed::Frame;
use crate::viewer::play::Play;
use crate::viewer::pull::Pull;
use crate::viewer::reading::Reading;
use crate::viewer::replay::Replay;
use crate::viewer::scissors;
use crate::viewer::steering::Steering;
use crate::viewer::thought::Thought;
use sim::Part;
use std::path::Path;
use std::sync::Arc;

/// Something that goes on, episode after episode.
pub trait Rollout: Send + Sync {
    /// What is shown.
    fn task(&self) -> TaskName;

    /// Whether the hand is a mirror image: it is looked at from the other side.
    fn is_mirrored(&self) -> bool;

    /// Who does what where, in one line.
    fn title(&self) -> String;

    /// How long an episode lasts if nothing ends it, s.
    fn horizon_s(&self) -> f64;

    /// Shapes of everything that there is to see, in the order of [`Frame::part_poses`].
    fn parts(&self) -> Vec<Part>;

    /// Lets one servo period pass. A new episode follows on one that has ended.
    ///
    /// # Errors
    /// When the environment or the policy fails.
    fn tick(&mut self) -> Result<Moment, ViewerError>;

    /// Starts the present episode anew.
    ///
    /// # Errors
    /// When the hand cannot be brought into its start posture.
    fn restart(&mut self) -> Result<(), ViewerError>;

    /// Starts the episode that `seed` names; where nothing can be chosen, the present one. A recording goes on with it.
    ///
    /// # Errors
    /// When the hand cannot be brought into its start posture.
    fn begin(&mut self, seed: u64) -> Result<(), ViewerError>;

    /// The command line that shows the present episode; none where nothing can be chosen.
    fn arguments(&self) -> Option<&Arguments>;

    /// Whether episodes are recorded.
    fn is_recording(&self) -> bool;

    /// Begins to record episodes into a dataset in `folder`, from the start of the present one on, which is begun anew. Says
    /// what it did.
    ///
    /// # Errors
    /// When there is a dataset of something else, the file system fails, or the episode cannot be begun anew.
    fn record(&mut self, folder: &Path) -> Result<String, ViewerError>;

    /// Ends the recording, if one runs, with as much of the present episode as there is. Says what became of it.
    ///
    /// # Errors
    /// When the file system fails.
    fn end_recording(&mut self) -> Result<Option<String>, ViewerError>;

    /// Hears what the keys ask for.
    fn steer(&mut self, steering: Steering);

    /// Gives what is handled a push, N s, if it may be disturbed.
    fn push(&mut self, impulse_n_s: [f32; 3]);

    /// Pulls on an object from now on, or lets go of it, if it may be disturbed. The start of an episode lets go.
    fn pull(&mut self, pull: Option<Pull>);
}

/// What there is to see and to read after one servo tick.
#[derive(Clone, Debug)]
pub struct Moment {
    /// Poses and contacts.
    pub frame: Frame,
    /// The instruments.
    pub reading: Reading,
    /// What the policy weighed last, if it can tell.
    pub thought: Option<Arc<Thought>>,
}

/// The rollout that the command line asks for, at the start of its first episode.
///
/// # Errors
/// When a name is unknown, the policy or the dump cannot be loaded, or the hand cannot be brought into its start posture.
pub fn rollout(arguments: &Arguments) -> Result<Box<dyn Rollout>, ViewerError> {
    if let Some(path) = &arguments.replay {
        return Ok(Box::new(Replay::new(path)?));
    }
    let open = match arguments.task {
        TaskName::Cube => cube::open,
        TaskName::Scissors => scissors::open,
    };
    Ok(Box::new(Play::new(arguments, open)?))
}
