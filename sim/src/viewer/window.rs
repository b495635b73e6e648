//! The rollout in a window, with a hand on the clock, the camera and what is handled.

use crate::viewer::arguments::Arguments;
use crate::viewer::attempt::{attempt, gist};
use crate::viewer::chronicle::Chronicle;
use crate::viewer::clock::Clock;
use crate::viewer::error::ViewerError;
use crate::viewer::orbit::Orbit;
use crate::viewer::overlay::{self, Overlay};
use crate::viewer::rollout::{Moment, Rollout, rollout};
use crate::viewer::studio::{self, DrawSubject, Subject};
use bevy::input::mouse::{AccumulatedMouseScroll, MouseScrollUnit};
use bevy::log::{Level, LogPlugin};
use bevy::prelude::*;
use bevy::winit::WinitSettings;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

const HELP: &str = "\
drag, wheel   turn and zoom
space         pause
.             one servo tick
[  ]          slower, faster
arrows        push what is handled
C             forces on it
X             axes of the objects
T             candidates of the policy
P             curves of the policy
D             nominal or shifted domain
R             restart the episode
H             hide this help
Esc           close";
const HELP_HINT: &str = "H: help";
const FONT_PX: f32 = 15.0;

/// Impulse of one push, N s: gives a cube of 80 g about 0.2 m/s, half of a pair of scissors 0.6 m/s.
const PUSH_N_S: f32 = 0.015;
/// Pixels of a touch pad that are one click of a wheel.
const PIXELS_PER_CLICK: f32 = 40.0;

/// The rollout and what the window adds to it.
#[derive(Resource)]
struct Show {
    rollout: Box<dyn Rollout>,
    moment: Moment,
    chronicle: Chronicle,
    clock: Clock,
    help: bool,
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
    let clock = Clock::new(arguments.speed);
    let show = Show { rollout, moment, chronicle, clock, help: false, outcome: Arc::clone(&outcome) };
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
    let window = Window { title: "softflow sim".into(), resolution: (960, 540).into(), ..default() };
    let plugins = DefaultPlugins
        .set(WindowPlugin { primary_window: Some(window), ..default() })
        .set(LogPlugin { level: Level::ERROR, ..default() });
    let subject = Subject { parts: show.rollout.parts(), frame: show.moment.frame.clone() };
    let orbit = Orbit::framing(show.rollout.task(), subject.points());

    let mut app = App::new();
    app.add_plugins(plugins).insert_resource(WinitSettings::continuous()).insert_resource(show).insert_resource(orbit);
    studio::furnish(&mut app, subject);
    overlay::lay_over(&mut app, Overlay { has_forces: true, has_traces: true, has_curves: true, ..default() }, FONT_PX);
    app.add_systems(Startup, spawn_camera)
        .add_systems(Update, (turn_camera, obey_keys, advance, present).chain().before(DrawSubject));
    app
}

fn spawn_camera(mut commands: Commands, orbit: Res<Orbit>) {
    commands.spawn(studio::camera(&orbit));
}

fn turn_camera(
    mut orbit: ResMut<Orbit>,
    mut camera: Single<&mut Transform, With<Camera3d>>,
    buttons: Res<ButtonInput<MouseButton>>,
    mut moves: MessageReader<CursorMoved>,
    scroll: Res<AccumulatedMouseScroll>,
) {
    let moved: Vec2 = moves.read().filter_map(|cursor| cursor.delta).sum();
    if buttons.any_pressed([MouseButton::Left, MouseButton::Right]) {
        orbit.drag(moved);
    }
    let clicks = match scroll.unit {
        MouseScrollUnit::Line => scroll.delta.y,
        MouseScrollUnit::Pixel => scroll.delta.y / PIXELS_PER_CLICK,
    };
    orbit.zoom(clicks);
    **camera = orbit.transform();
}

fn obey_keys(
    keys: Res<ButtonInput<KeyCode>>,
    orbit: Res<Orbit>,
    mut show: ResMut<Show>,
    mut overlay: ResMut<Overlay>,
    mut exit: MessageWriter<AppExit>,
) {
    let (right, away) = orbit.right_and_away();
    for key in keys.get_just_pressed() {
        match key {
            KeyCode::Space => show.clock.toggle_pause(),
            KeyCode::Period => show.clock.single_step(),
            KeyCode::BracketLeft => show.clock.scale_speed(0.5),
            KeyCode::BracketRight => show.clock.scale_speed(2.0),
            KeyCode::ArrowLeft => show.push(-right),
            KeyCode::ArrowRight => show.push(right),
            KeyCode::ArrowUp => show.push(away),
            KeyCode::ArrowDown => show.push(-away),
            KeyCode::KeyC => overlay.has_forces ^= true,
            KeyCode::KeyX => overlay.has_axes ^= true,
            KeyCode::KeyT => overlay.has_traces ^= true,
            KeyCode::KeyP => overlay.has_curves ^= true,
            KeyCode::KeyH => show.help ^= true,
            KeyCode::KeyD => show.begin_anew(|rollout| rollout.switch_domain(), &mut exit),
            KeyCode::KeyR => show.begin_anew(|rollout| rollout.restart(), &mut exit),
            KeyCode::Escape => {
                exit.write(AppExit::Success);
            }
            _ => {}
        }
    }
}

/// Lets as much simulated time pass as the clock says.
fn advance(time: Res<Time<Real>>, mut show: ResMut<Show>, mut exit: MessageWriter<AppExit>) {
    show.outcome.drew.store(true, Ordering::Relaxed);
    for _ in 0..show.clock.ticks(time.delta_secs_f64()) {
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
    overlay.help = if show.help { HELP } else { HELP_HINT };
    let pace = if show.clock.is_paused() { "paused".into() } else { format!("{}x", show.clock.speed()) };
    let contacts = show.moment.reading.n_contacts;
    overlay.status = format!("{}   {contacts} contacts   {pace}", show.moment.reading.status());
}

impl Show {
    fn take_tick(&mut self) -> Result<(), ViewerError> {
        self.moment = self.rollout.tick()?;
        self.chronicle.follow(&self.moment);
        Ok(())
    }

    /// Begins an episode by `begin` and shows its start, also while the clock stands still.
    fn begin_anew(
        &mut self,
        begin: impl FnOnce(&mut dyn Rollout) -> Result<(), ViewerError>,
        exit: &mut MessageWriter<AppExit>,
    ) {
        if let Err(error) = begin(self.rollout.as_mut()).and_then(|()| self.take_tick()) {
            self.fail(error, exit);
        }
    }

    fn push(&mut self, direction: Vec3) {
        self.rollout.push((PUSH_N_S * direction).into());
    }

    fn fail(&self, error: ViewerError, exit: &mut MessageWriter<AppExit>) {
        self.outcome.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        exit.write(AppExit::error());
    }
}
