//! What a gamepad does: its sticks move what its shoulder buttons choose.

use crate::viewer::pickers::Pick;
use crate::viewer::steering::{Choice, Steering};
use crate::viewer::window::Show;
use bevy::prelude::*;
use bridge::real::gamepad::{PadButton, StickPad, Sticks};

/// All of it, for the overlay.
pub const PAD_HELP: &str = "\
gamepad       left stick x and y, right stick z
shoulders     finger, all, the arm, the wrist
A or cross    turn the arm, move it
start, back   record episodes, who acts";

/// How often a pad is looked for that is not there, s.
const SEARCH_PERIOD_S: f64 = 2.0;

const BUTTONS: [(PadButton, Press); 5] = [
    (PadButton::LeftShoulder, Press::Previous),
    (PadButton::RightShoulder, Press::Next),
    (PadButton::South, Press::Turn),
    (PadButton::Start, Press::Record),
    (PadButton::Select, Press::Policy),
];

/// What a button means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Press {
    Previous,
    Next,
    Turn,
    Record,
    Policy,
}

/// The pad of whoever sits before the window, if there is one.
#[derive(Resource, Default)]
pub struct Pad {
    found: Option<StickPad<Press>>,
    is_turning: bool,
    next_search_s: f64,
}

impl Pad {
    /// Where its sticks are, and what was pressed; what there is to say, if one came or went.
    fn look(&mut self, now_s: f64) -> (Sticks, Vec<Press>, Option<String>) {
        let mut presses = Vec::new();
        let Some(pad) = &mut self.found else {
            let notice = if now_s >= self.next_search_s { self.search(now_s) } else { None };
            return (Sticks::default(), presses, notice);
        };
        match pad.look(|press| presses.push(press)) {
            Ok(sticks) => (sticks, presses, None),
            Err(error) => {
                let notice = format!("gamepad {} is gone: {error}", pad.name());
                self.found = None;
                (Sticks::default(), presses, Some(notice))
            }
        }
    }

    fn search(&mut self, now_s: f64) -> Option<String> {
        self.next_search_s = now_s + SEARCH_PERIOD_S;
        match StickPad::find(&BUTTONS) {
            Ok(found) => {
                self.found = found;
                self.found.as_ref().map(|pad| format!("gamepad: {}", pad.name()))
            }
            Err(error) => Some(error.to_string()),
        }
    }
}

/// Adds what the pad says to what the keys say, and steers.
pub fn obey_pad(time: Res<Time<Real>>, mut pad: ResMut<Pad>, mut show: ResMut<Show>, mut exit: MessageWriter<AppExit>) {
    let (sticks, presses, notice) = pad.look(time.elapsed_secs_f64());
    if let Some(notice) = notice {
        show.notice = notice;
    }
    for press in presses {
        match press {
            Press::Previous => show.steering.choice = beside(show.steering.choice, -1),
            Press::Next => show.steering.choice = beside(show.steering.choice, 1),
            Press::Turn => pad.is_turning ^= true,
            Press::Record => show.toggle_recording(&mut exit),
            Press::Policy => show.pick(Pick::Policy, &mut exit),
        }
    }
    let steering = steered(show.steering, sticks, pad.is_turning);
    show.rollout.steer(steering);
}

/// What keys and sticks ask for together: x away, y to the left, z up.
fn steered(keys: Steering, sticks: Sticks, is_turning: bool) -> Steering {
    let by_sticks = [sticks.left[1], -sticks.left[0], sticks.right[1]];
    let direction = std::array::from_fn(|axis| (keys.direction[axis] + by_sticks[axis]).clamp(-1.0, 1.0));
    Steering { direction, is_turning: keys.is_turning || is_turning, ..keys }
}

/// The next one, `step` of 1, or the one before, of -1, and round.
fn beside(choice: Choice, step: isize) -> Choice {
    let place = Choice::ALL.iter().position(|&other| other == choice).unwrap_or(0) as isize;
    Choice::ALL[(place + step).rem_euclid(Choice::ALL.len() as isize) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: shoulder buttons go round all that can move, both ways.
    #[test]
    fn choices_go_round() {
        let mut choice = Choice::AllFingers;
        let mut seen = Vec::new();
        for _ in Choice::ALL {
            let next = beside(choice, 1);
            assert_eq!(beside(next, -1), choice);
            choice = next;
            seen.push(choice);
        }
        assert_eq!((choice, &seen[..3]), (Choice::AllFingers, &[Choice::Arm, Choice::Wrist, Choice::Finger(0)][..]));
    }

    /// Contract: a stick that is pushed away moves along x as the key does; both together move no faster than one.
    #[test]
    fn sticks_and_keys_add_up() {
        let sticks = Sticks { left: [0.5, 1.0], right: [0.0, -0.25] };
        let keys = Steering { direction: [1.0, 0.0, 0.0], ..Steering::default() };
        assert_eq!(steered(Steering::default(), sticks, false).direction, [1.0, -0.5, -0.25]);
        let both = steered(keys, sticks, true);
        assert_eq!((both.direction, both.is_turning, both.choice), ([1.0, -0.5, -0.25], true, keys.choice));
    }
}
