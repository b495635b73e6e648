//! What the keys of the window do.

use crate::viewer::footage::Footage;
use crate::viewer::orbit::{Orbit, View};
use crate::viewer::overlay::Overlay;
use crate::viewer::pickers::Pick;
use crate::viewer::steering::{Choice, Steering};
use crate::viewer::window::Show;
use bevy::prelude::*;

/// All of them, for the overlay.
pub const HELP: &str = "\
drag, wheel   turn and zoom, pull an object
1 2 3 4       views
space  .      pause, one servo tick
[  ]          slower, faster
R  N  B       restart, next episode, the one before
Tab           the other task
Q             who acts
D             nominal, shifted or randomised domain
arrows        push what is handled
C  X          forces on it, axes of it
T  P          candidates, curves of a policy
S  G          picture, film: start and end
V             record episodes: start and end
H  Esc        hide this help, close";

/// Those that steer a teleoperated hand.
pub const STEERING_HELP: &str = "\
F1 .. F5      finger, from the index on
F6 F7 F8      all fingers, the arm, the wrist
I K  J L  U O along x, y, z
shift         turn the arm instead";

/// What is there as long as the help is not.
pub const HELP_HINT: &str = "H: help";

/// Impulse of one push, N s: gives a cube of 80 g about 0.2 m/s, half of a pair of scissors 0.6 m/s.
const PUSH_N_S: f32 = 0.015;

/// Those of [`Choice::ALL`].
const CHOICE_KEYS: [KeyCode; Choice::ALL.len()] =
    [KeyCode::F1, KeyCode::F2, KeyCode::F3, KeyCode::F4, KeyCode::F5, KeyCode::F6, KeyCode::F7, KeyCode::F8];

/// Does what the keys say.
pub fn obey_keys(
    keys: Res<ButtonInput<KeyCode>>,
    mut orbit: ResMut<Orbit>,
    mut show: ResMut<Show>,
    mut overlay: ResMut<Overlay>,
    mut footage: ResMut<Footage>,
    mut exit: MessageWriter<AppExit>,
) {
    let choice = keys.get_just_pressed().copied().find_map(choice_of).unwrap_or(show.steering.choice);
    let is_turning = keys.any_pressed([KeyCode::ShiftLeft, KeyCode::ShiftRight]);
    show.steering = Steering { choice, direction: direction(&keys), is_turning };
    let (right, away) = orbit.right_and_away();
    for &key in keys.get_just_pressed() {
        show.notice.clear();
        match key {
            KeyCode::Space => show.clock.toggle_pause(),
            KeyCode::Period => show.clock.single_step(),
            KeyCode::BracketLeft => show.clock.slower(),
            KeyCode::BracketRight => show.clock.faster(),
            KeyCode::ArrowLeft => show.push(PUSH_N_S * -right),
            KeyCode::ArrowRight => show.push(PUSH_N_S * right),
            KeyCode::ArrowUp => show.push(PUSH_N_S * away),
            KeyCode::ArrowDown => show.push(PUSH_N_S * -away),
            KeyCode::KeyC => overlay.has_forces ^= true,
            KeyCode::KeyX => overlay.has_axes ^= true,
            KeyCode::KeyT => overlay.has_traces ^= true,
            KeyCode::KeyP => overlay.has_curves ^= true,
            KeyCode::KeyH => show.has_help ^= true,
            KeyCode::KeyR => show.restart(&mut exit),
            KeyCode::KeyN => show.pick(Pick::NextSeed, &mut exit),
            KeyCode::KeyB => show.pick(Pick::PreviousSeed, &mut exit),
            KeyCode::KeyD => show.pick(Pick::Domain, &mut exit),
            KeyCode::KeyQ => show.pick(Pick::Policy, &mut exit),
            KeyCode::Tab => {
                show.pick(Pick::Task, &mut exit);
                *orbit = show.view(View::First);
            }
            KeyCode::KeyS => footage.take_picture(),
            KeyCode::KeyG => show.notice = footage.toggle_film(&show.name()),
            KeyCode::KeyV => show.toggle_recording(&mut exit),
            KeyCode::Escape => {
                exit.write(AppExit::Success);
            }
            _ => {
                if let Some(view) = view_of(key) {
                    *orbit = show.view(view);
                }
            }
        }
    }
}

const fn view_of(key: KeyCode) -> Option<View> {
    match key {
        KeyCode::Digit1 => Some(View::First),
        KeyCode::Digit2 => Some(View::Ahead),
        KeyCode::Digit3 => Some(View::Side),
        KeyCode::Digit4 => Some(View::Steep),
        _ => None,
    }
}

fn choice_of(key: KeyCode) -> Option<Choice> {
    CHOICE_KEYS.iter().position(|&other| other == key).map(|place| Choice::ALL[place])
}

/// Where the held keys point to, along x, y and z.
fn direction(keys: &ButtonInput<KeyCode>) -> [f32; 3] {
    let axis = |plus, minus| f32::from(u8::from(keys.pressed(plus))) - f32::from(u8::from(keys.pressed(minus)));
    [axis(KeyCode::KeyI, KeyCode::KeyK), axis(KeyCode::KeyJ, KeyCode::KeyL), axis(KeyCode::KeyU, KeyCode::KeyO)]
}
