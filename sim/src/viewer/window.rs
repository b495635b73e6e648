//! The rollout in a window, with a hand on the clock, the camera and what is handled.

use crate::viewer::arguments::{Arguments, PolicyName, TaskName};
use crate::viewer::attempt::{attempt, gist};
use crate::viewer::chronicle::Chronicle;
use crate::viewer::clock::Clock;
use crate::viewer::error::ViewerError;
use crate::viewer::footage::{FOLDER, Footage, TITLE, end_with_the_window, take_pictures, tell_film};
use crate::viewer::keys::{HELP, HELP_HINT, STEERING_HELP, obey_keys};
use crate::viewer::mouse::{obey_mouse, place_camera};
use crate::viewer::orbit::{Orbit, View};
use crate::viewer::overlay::{self, Overlay};
use crate::viewer::pad::{PAD_HELP, Pad, obey_pad};
use crate::viewer::pickers::{Pick, picked};
use crate::viewer::pull::Pull;
use crate::viewer::rollout::{Moment, Rollout, rollout};
use crate::viewer::steering::Steering;
use crate::viewer::studio::{self, DrawSubject, Subject};
use bevy::log::{Level, LogPlugin};
use bevy::prelude::*;
use bevy::winit::WinitSettings;
use sim::SERVO_HZ;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

const FONT_PX: f32 = 15.0;

/// The rollout and what the window adds to it.
#[derive(Resource)]
pub struct Show {
    /// What is shown.
    pub rollout: Box<dyn Rollout>,
    /// How fast.
    pub clock: Clock,
    /// Whether the keys are told.
    pub has_help: bool,
    /// What there is to say, until the next key.
    pub notice: String,
    /// What the mouse pulls on.
    pub pull: Option<Pull>,
    /// What the keys ask for.
    pub steering: Steering,
    given: Arguments,
    moment: Moment,
    chronicle: Chronicle,
    outcome: Arc<Outcome>,
}

/// What is left when the window is gone.
#[derive(Default)]
struct Outcome {
    /// A frame was begun: there is a window and something to draw it with.
    drew: AtomicBool,
    failure: Mutex<Option<ViewerError>>,
}

/// Shows the rollout until the window is closed.
///
/// # Errors
/// [`ViewerError::NoRenderer`] when no window can be opened or there is no graphics driver; else when the rollout or the
/// renderer fails.
pub fn open(arguments: &Arguments) -> Result<(), ViewerError> {
    let mut rollout = rollout(arguments)?;
    let moment = rollout.tick()?;
    let outcome = Arc::new(Outcome::default());
    let mut chronicle = Chronicle::new(rollout.horizon_s());
    chronicle.follow(&moment);
    let show = Show {
        rollout,
        clock: Clock::new(arguments.speed),
        has_help: false,
        notice: String::new(),
        pull: None,
        steering: Steering::default(),
        given: arguments.clone(),
        moment,
        chronicle,
        outcome: Arc::clone(&outcome),
    };
    match attempt(|| build(show).run()) {
        Err(reason) if outcome.drew.load(Ordering::Relaxed) => Err(ViewerError::Renderer { reason }),
        Err(said) => Err(ViewerError::NoRenderer { reason: format!("none can be opened ({})", gist(&said)) }),
        Ok(AppExit::Success) => Ok(()),
        Ok(AppExit::Error(_)) => {
            let failure = outcome.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
            Err(failure.unwrap_or_else(|| ViewerError::Renderer { reason: "it gave up".into() }))
        }
    }
}

fn build(show: Show) -> App {
    let (width, height) = show.given.size.map_or((960, 540), |size| (size.width.into(), size.height.into()));
    let window = Window { title: TITLE.into(), resolution: (width, height).into(), ..default() };
    let last = show.given.shot.map(|shot_s| (shot_s * f64::from(SERVO_HZ)).round() as u32);
    let footage = last.map_or_else(Footage::default, Footage::closing_after);
    let plugins = DefaultPlugins
        .set(WindowPlugin { primary_window: Some(window), ..default() })
        .set(LogPlugin { level: Level::ERROR, ..default() });
    let (subject, orbit) = (show.subject(), show.view(View::First));

    let mut app = App::new();
    app.add_plugins(plugins).insert_resource(WinitSettings::continuous()).insert_resource(show).insert_resource(orbit);
    app.insert_resource(footage).init_resource::<Pad>();
    studio::furnish(&mut app, subject);
    overlay::lay_over(&mut app, Overlay { has_forces: true, has_traces: true, has_curves: true, ..default() }, FONT_PX);
    app.add_systems(Startup, spawn_camera)
        .add_systems(
            Update,
            (obey_mouse, obey_keys, obey_pad, place_camera, advance, take_pictures, tell_film, present)
                .chain()
                .before(DrawSubject),
        )
        .add_systems(Last, end_with_the_window);
    app
}

fn spawn_camera(mut commands: Commands, orbit: Res<Orbit>) {
    commands.spawn(studio::camera(&orbit));
}

/// Lets as much simulated time pass as the clock says.
fn advance(
    time: Res<Time<Real>>,
    mut show: ResMut<Show>,
    mut footage: ResMut<Footage>,
    mut exit: MessageWriter<AppExit>,
) {
    show.outcome.drew.store(true, Ordering::Relaxed);
    let ticks = footage.allowed(show.clock.ticks(time.delta_secs_f64()));
    footage.pass(ticks);
    for _ in 0..ticks {
        if let Err(error) = show.take_tick() {
            show.fail(error, &mut exit);
            return;
        }
    }
}

/// Hands the moment over to the studio and its overlay.
fn present(show: Res<Show>, mut subject: ResMut<Subject>, mut overlay: ResMut<Overlay>) {
    subject.parts = show.rollout.parts();
    subject.frame.clone_from(&show.moment.frame);
    overlay.title = show.rollout.title();
    overlay.chronicle.clone_from(&show.chronicle);
    overlay.thought.clone_from(&show.moment.thought);
    let is_steered = show.rollout.arguments().is_some_and(|arguments| arguments.policy == PolicyName::Teleop);
    overlay.help = match (show.has_help, is_steered) {
        (false, _) => HELP_HINT.into(),
        (true, false) => HELP.into(),
        (true, true) => format!("{HELP}\n\n{STEERING_HELP}\n{PAD_HELP}"),
    };
    let pulled = |pull: Pull| {
        let object = subject.frame.truth.objects.get(pull.object_idx)?;
        Some([pull.point_m(object).into(), pull.target_m.into()])
    };
    overlay.pull_m = show.pull.and_then(pulled);
    let pace = if show.clock.is_paused() { "paused".into() } else { format!("{}x", show.clock.speed()) };
    let reading = &show.moment.reading;
    let notice = if show.notice.is_empty() { String::new() } else { format!("{}\n", show.notice) };
    overlay.status = format!("{notice}{}   {} contacts   {pace}", reading.status(), reading.n_contacts);
}

impl Show {
    /// Starts the episode anew.
    pub fn restart(&mut self, exit: &mut MessageWriter<AppExit>) {
        if let Err(error) = self.rollout.restart().and_then(|()| self.take_tick()) {
            self.fail(error, exit);
        }
    }

    /// Goes on with what is picked. What cannot be shown is told, and everything stays as it is.
    pub fn pick(&mut self, pick: Pick, exit: &mut MessageWriter<AppExit>) {
        let Some(now) = self.rollout.arguments() else {
            self.notice = "a replay is what it is".into();
            return;
        };
        match rollout(&picked(now, pick, &self.given)) {
            Err(error) => self.notice = error.to_string(),
            Ok(rollout) => {
                self.chronicle = Chronicle::new(rollout.horizon_s());
                self.rollout = rollout;
                if let Err(error) = self.take_tick() {
                    self.fail(error, exit);
                }
            }
        }
    }

    /// Begins or ends recording episodes, beside the pictures.
    pub fn toggle_recording(&mut self, exit: &mut MessageWriter<AppExit>) {
        let folder = match self.rollout.arguments() {
            Some(arguments) => format!("{FOLDER}/episodes_{}_{}", arguments.hand_name(), arguments.domain_name()),
            None => FOLDER.into(),
        };
        match self.rollout.toggle_recording(Path::new(&folder)) {
            Err(error) => self.notice = error.to_string(),
            Ok(said) => self.notice = said,
        }
        if let Err(error) = self.take_tick() {
            self.fail(error, exit);
        }
    }

    /// Gives what is handled a push, N s.
    pub fn push(&mut self, impulse_n_s: Vec3) {
        self.rollout.push(impulse_n_s.into());
    }

    /// A view of what is shown.
    pub fn view(&self, view: View) -> Orbit {
        Orbit::framing(self.rollout.task(), self.rollout.is_mirrored(), view, self.subject().points())
    }

    /// What a picture of this moment is called.
    pub fn name(&self) -> String {
        let time_s = self.moment.reading.time_s;
        match self.rollout.arguments() {
            Some(arguments) => {
                let task = if arguments.task == TaskName::Cube { "cube" } else { "scissors" };
                format!("{task}_{}_seed{}_{time_s:.2}s", arguments.hand_name(), arguments.seed)
            }
            None => format!("replay_{time_s:.2}s"),
        }
    }

    fn subject(&self) -> Subject {
        Subject { parts: self.rollout.parts(), frame: self.moment.frame.clone() }
    }

    fn take_tick(&mut self) -> Result<(), ViewerError> {
        self.moment = self.rollout.tick()?;
        self.chronicle.follow(&self.moment);
        Ok(())
    }

    fn fail(&self, error: ViewerError, exit: &mut MessageWriter<AppExit>) {
        self.outcome.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        exit.write(AppExit::error());
    }
}
