//! The rollout in a window, with a hand on the clock, the camera and what is handled.

use crate::viewer::arguments::{Arguments, PolicyName, TaskName};
use crate::viewer::attempt::{attempt, gist};
use crate::viewer::chronicle::Chronicle;
use crate::viewer::clock::Clock;
use crate::viewer::error::ViewerError;
use crate::viewer::footage::{FOLDER, Footage, TITLE, end_with_the_window, take_pictures, tell_in_title};
use crate::viewer::keys::{HELP, HELP_HINT, STEERING_HELP, obey_keys};
use crate::viewer::mouse::{Grip, obey_mouse, place_camera};
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
use std::path::PathBuf;
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
    /// What the mouse holds.
    pub grip: Grip,
    /// What the keys ask for.
    pub steering: Steering,
    given: Arguments,
    /// Where recordings go.
    folder: PathBuf,
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

impl Outcome {
    /// The first failure is the one that tells why.
    fn keep(&self, failure: ViewerError) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
    }
}

/// Shows the rollout until the window is closed.
///
/// # Errors
/// [`ViewerError::NoRenderer`] when no window can be opened or there is no graphics driver; else when the rollout or the
/// renderer fails.
pub fn open(arguments: &Arguments) -> Result<(), ViewerError> {
    let show = Show::new(arguments)?;
    let outcome = Arc::clone(&show.outcome);
    match attempt(|| build(show).run()) {
        Err(reason) if outcome.drew.load(Ordering::Relaxed) => Err(ViewerError::Renderer { reason }),
        Err(said) => Err(ViewerError::NoRenderer { reason: format!("none can be opened ({})", gist(&said)) }),
        Ok(exit) => {
            let failure = outcome.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
            match (failure, exit) {
                (Some(failure), _) => Err(failure),
                (None, AppExit::Success) => Ok(()),
                (None, AppExit::Error(_)) => Err(ViewerError::Renderer { reason: "it gave up".into() }),
            }
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
            (obey_mouse, obey_keys, obey_pad, place_camera, advance, take_pictures, tell_in_title, present)
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
    overlay.pull_m = show.grip.pull().and_then(pulled);
    let pace = if show.clock.is_paused() { "paused".into() } else { format!("{}x", show.clock.speed()) };
    let reading = &show.moment.reading;
    let notice = if show.notice.is_empty() { String::new() } else { format!("{}\n", show.notice) };
    overlay.status = format!("{notice}{}   {} contacts   {pace}", reading.status(), reading.n_contacts);
}

impl Show {
    fn new(arguments: &Arguments) -> Result<Self, ViewerError> {
        let mut rollout = rollout(arguments)?;
        let moment = rollout.tick()?;
        let mut chronicle = Chronicle::new(rollout.horizon_s());
        chronicle.follow(&moment);
        Ok(Self {
            rollout,
            clock: Clock::new(arguments.speed),
            has_help: false,
            notice: String::new(),
            grip: Grip::default(),
            steering: Steering::default(),
            given: arguments.clone(),
            folder: FOLDER.into(),
            moment,
            chronicle,
            outcome: Arc::default(),
        })
    }

    /// Starts the episode anew.
    pub fn restart(&mut self, exit: &mut MessageWriter<AppExit>) {
        if let Err(error) = self.rollout.restart().and_then(|()| self.take_tick()) {
            self.fail(error, exit);
        }
    }

    /// Goes on with what is picked: a recording too where it is another episode of the same, else it ends. What cannot be shown
    /// is told, and what is shown stays.
    pub fn pick(&mut self, pick: Pick, exit: &mut MessageWriter<AppExit>) {
        let Some(now) = self.rollout.arguments() else {
            self.notice = "a replay is what it is".into();
            return;
        };
        let (next, before) = (picked(now, pick, &self.given), now.seed);
        let picked = match pick {
            Pick::NextSeed | Pick::PreviousSeed => self.rollout.begin(next.seed).or_else(|error| {
                self.notice = error.to_string();
                self.rollout.begin(before)
            }),
            Pick::Task | Pick::Policy | Pick::Domain => match self.show(&next) {
                Ok(()) => Ok(()),
                Err(error) => {
                    self.notice = error.to_string();
                    return;
                }
            },
        };
        if let Err(error) = picked.and_then(|()| self.take_tick()) {
            self.fail(error, exit);
        }
    }

    /// Shows what `arguments` say. What becomes of a recording of what was shown before is told.
    fn show(&mut self, arguments: &Arguments) -> Result<(), ViewerError> {
        let rollout = rollout(arguments)?;
        if let Some(said) = self.rollout.end_recording()? {
            self.notice = said;
        }
        self.chronicle = Chronicle::new(rollout.horizon_s());
        self.rollout = rollout;
        Ok(())
    }

    /// Begins or ends recording episodes, beside the pictures.
    pub fn toggle_recording(&mut self, exit: &mut MessageWriter<AppExit>) {
        let said = if self.rollout.is_recording() {
            self.rollout.end_recording().map(Option::unwrap_or_default)
        } else {
            let folder = self.rollout.arguments().map_or_else(String::new, |arguments| {
                format!("episodes_{}_{}", arguments.hand_name(), arguments.domain_name())
            });
            self.rollout.record(&self.folder.join(folder))
        };
        self.notice = said.unwrap_or_else(|error| error.to_string());
        // What is recorded begins anew, and its start is shown. Otherwise nothing has happened that takes time.
        if self.rollout.is_recording()
            && let Err(error) = self.take_tick()
        {
            self.fail(error, exit);
        }
    }

    /// Ends the recording, if one runs, when the window goes.
    pub fn end_recording(&mut self) {
        match self.rollout.end_recording() {
            Ok(said) => said.into_iter().for_each(|said| println!("{said}")),
            Err(error) => self.outcome.keep(error),
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
        let before_s = self.moment.reading.time_s;
        self.moment = self.rollout.tick()?;
        // The start of an episode lets go until the button is pressed anew; so does physics that has failed.
        if self.moment.reading.time_s <= before_s && self.grip.pull().is_some() {
            self.grip = Grip::Nothing;
        }
        self.chronicle.follow(&self.moment);
        Ok(())
    }

    fn fail(&self, error: ViewerError, exit: &mut MessageWriter<AppExit>) {
        self.outcome.keep(error);
        exit.write(AppExit::error());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::viewer::keys::obey_keys;
    use bevy::ecs::system::RunSystemOnce;
    use bridge::{Body, BodyError, dataset};
    use clap::Parser as _;
    use sim::{CubeScene, Domain, Simulated as _};
    use std::path::Path;

    /// A show with keys, without its window; recordings go into `folder`.
    fn show(line: &[&str], folder: &Path) -> World {
        let mut show = Show::new(&Arguments::try_parse_from([&["sim"], line].concat()).unwrap()).unwrap();
        show.folder = folder.into();
        let mut world = World::new();
        world.init_resource::<Messages<AppExit>>();
        world.insert_resource(show.view(View::First));
        world.insert_resource(show);
        world.init_resource::<Overlay>();
        world.init_resource::<Footage>();
        world
    }

    fn press(world: &mut World, key: KeyCode) {
        let mut keys = ButtonInput::default();
        keys.press(key);
        world.insert_resource::<ButtonInput<KeyCode>>(keys);
        world.run_system_once(obey_keys).unwrap();
    }

    fn watch(world: &mut World, ticks: usize) {
        (0..ticks).for_each(|_| world.resource_mut::<Show>().take_tick().unwrap());
    }

    /// Whether it records, and what there is to say.
    fn told(world: &World) -> (bool, &str) {
        let show = world.resource::<Show>();
        (show.rollout.is_recording(), &show.notice)
    }

    fn time_s(world: &World) -> f64 {
        world.resource::<Show>().moment.reading.time_s
    }

    /// Contract: a recording goes on with the episode that is chosen instead; whatever else is chosen ends it as its own key does,
    /// with the episode that runs, and says so.
    #[test]
    fn a_choice_loses_no_episode() {
        let folder = tempfile::tempdir().unwrap();
        let mut world = show(&["--policy", "zero", "--domain", "exact"], folder.path());
        press(&mut world, KeyCode::KeyV);
        assert!(told(&world).0);
        for (key, seed) in [(KeyCode::KeyN, 1), (KeyCode::KeyN, 2), (KeyCode::KeyB, 1)] {
            watch(&mut world, 20);
            press(&mut world, key);
            let show = world.resource::<Show>();
            assert_eq!((show.rollout.arguments().unwrap().seed, time_s(&world)), (seed, 0.0));
            assert_eq!(told(&world), (true, ""));
        }
        // Three ticks a step.
        watch(&mut world, 3 * 8);
        press(&mut world, KeyCode::KeyD);
        let (is_recording, notice) = told(&world);
        assert!(!is_recording && notice.contains("1 recorded"), "{notice}");
        assert_eq!(world.resource::<Show>().rollout.arguments().unwrap().domain_name(), "nominal");
        let episodes = dataset::read(&folder.path().join("episodes_orca_v2_exact")).unwrap().episodes;
        assert_eq!((episodes.len(), episodes[0].label.seed, episodes[0].n_steps()), (1, 1, 8));

        for (key, n_recorded) in [(KeyCode::KeyQ, "1 recorded"), (KeyCode::Tab, "2 recorded")] {
            press(&mut world, KeyCode::KeyV);
            watch(&mut world, 10);
            press(&mut world, key);
            let (is_recording, notice) = told(&world);
            assert!(!is_recording && notice.contains(n_recorded), "{key:?}: {notice}");
        }
    }

    /// Contract: when the window goes, a recording ends with the episode that runs.
    #[test]
    fn a_closed_window_loses_no_episode() {
        let folder = tempfile::tempdir().unwrap();
        let mut world = show(&["--policy", "zero", "--domain", "exact"], folder.path());
        press(&mut world, KeyCode::KeyV);
        watch(&mut world, 10);
        press(&mut world, KeyCode::Escape);
        world.run_system_once(end_with_the_window).unwrap();
        assert_eq!(dataset::read(&folder.path().join("episodes_orca_v2_exact")).unwrap().episodes.len(), 1);
    }

    /// Contract: a recording begins with the start of the episode and ends where it is, paused or not; a replay is not recorded,
    /// which is said, and takes no tick for it.
    #[test]
    fn recording_takes_no_time() {
        let folder = tempfile::tempdir().unwrap();
        let mut world = show(&["--policy", "zero", "--domain", "exact"], folder.path());
        watch(&mut world, 5);
        press(&mut world, KeyCode::Space);
        for is_recording in [true, false] {
            press(&mut world, KeyCode::KeyV);
            assert_eq!((told(&world).0, time_s(&world)), (is_recording, 0.0));
        }

        let scene = CubeScene::load("orca_v2").unwrap().with_fault_folder(folder.path());
        let mut body = scene.body(Domain::load("exact").unwrap());
        body.reset(0).unwrap();
        (0..30).for_each(|_| body.command(&scene.start().holding_rad).unwrap());
        body.push(0, [0.0, 0.0, f32::NAN]);
        let Err(BodyError::SimFault { dump: Some(dump), .. }) = body.command(&scene.start().holding_rad) else {
            panic!("the physics did not fail")
        };
        let mut world = show(&["--replay", &dump.to_string_lossy()], folder.path());
        watch(&mut world, 5);
        let before_s = time_s(&world);
        press(&mut world, KeyCode::KeyV);
        let (is_recording, notice) = told(&world);
        assert!(!is_recording && notice.contains("not recorded"), "{notice}");
        assert!(before_s > 0.0 && time_s(&world) == before_s);
    }

    /// Contract: what the mouse holds it holds as time goes by; the start of an episode lets go, though the button stays down.
    #[test]
    fn the_start_of_an_episode_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let mut world = show(&["--policy", "zero", "--domain", "exact"], folder.path());
        let pull = Grip::Object(Pull { object_idx: 0, local_m: [0.0; 3], target_m: [0.1, 0.0, -0.05] });
        for key in [KeyCode::KeyR, KeyCode::KeyN, KeyCode::KeyV] {
            watch(&mut world, 5);
            world.resource_mut::<Show>().grip = pull;
            watch(&mut world, 5);
            assert_eq!(world.resource::<Show>().grip, pull);
            press(&mut world, key);
            assert_eq!(world.resource::<Show>().grip, Grip::Nothing, "{key:?}");
        }
    }
}
