//! Who answers: a human at the keyboard, with a gamepad or without, or somebody who stands in where the hand is emulated.
//!
//! A human writes a line, or presses a button; both are signs of the same meaning. While the hand has torque an empty line is
//! the emergency stop; a gamepad's works always. Both reach the loop by themselves, whatever the session does. What was said
//! before a question was asked does not answer it.

use super::keyboard::{Keyboard, Line, told_of_forgotten};
use bridge::real::control_loop::EmergencyStop;
use bridge::real::gamepad::{Gamepad, PadReport, Sign};
use bridge::real::labels::Button;
use bridge::real::operator::{Answer, Stage};
use std::io;

/// The keys, as they are explained.
pub const KEYS: &str = "ENTER alone: emergency stop, whenever the hand has torque   y yes   p pause   q quit   during an episode: \
                        + reward   s success   f failure   u unsafe   t take over: the hand holds still   h hand back   \
                        after it: k keep   s f u keep as that   d discard";

/// What was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// An answer to what was asked.
    Answer(Answer),
    /// A button.
    Button(Button),
    /// Not by the human but of the gamepad: that it is gone, or back.
    OfPad(String),
    /// Something that means nothing here.
    Nonsense,
}

/// Who answers.
#[derive(Debug)]
pub(super) enum Human {
    /// Somebody at the keyboard, with a gamepad or without.
    AtKeyboard {
        /// The keyboard.
        keyboard: Keyboard,
        /// The pad, where there is one.
        pad: Option<Gamepad>,
    },
    /// Says yes to everything after a while; labels nothing.
    StandIn {
        /// How long it takes, s.
        wait_s: f64,
        /// What it was asked, and since when, s.
        asked: Option<(Stage, f64)>,
    },
}

impl Human {
    /// Whoever writes to standard input, and holds `pad`; the end of the input is a wish to quit.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn at_keyboard(pad: Option<Gamepad>, e_stop: EmergencyStop) -> io::Result<Self> {
        Ok(Self::AtKeyboard { keyboard: Keyboard::of_process(e_stop)?, pad })
    }

    /// The gamepad.
    #[must_use]
    pub const fn pad(&self) -> Option<&Gamepad> {
        match self {
            Self::AtKeyboard { pad, .. } => pad.as_ref(),
            Self::StandIn { .. } => None,
        }
    }

    /// Whether the hand has torque, or may have it from here on: then an empty line stops it.
    pub fn guard(&self, has_torque: bool) {
        if let Self::AtKeyboard { keyboard, .. } = self {
            keyboard.guard(has_torque);
        }
    }

    /// Forgets what was written and pressed before now: it was no answer to what is asked next. What there is to tell of that, and
    /// of the pad.
    pub fn forget(&self) -> Vec<String> {
        let Self::AtKeyboard { keyboard, pad } = self else { return Vec::new() };
        let (mut told, mut n_presses) = (Vec::new(), 0);
        for report in std::iter::from_fn(|| pad.as_ref()?.next()) {
            match of_pad(Stage::Done, report) {
                Said::OfPad(line) => told.push(line),
                _ => n_presses += 1,
            }
        }
        if n_presses > 0 {
            told.push(format!(
                "not taken for an answer, it was pressed before the question: {n_presses} times the gamepad"
            ));
        }
        told.extend(told_of_forgotten(&keyboard.forget()));
        told
    }

    /// Somebody who takes `wait_s` to say yes.
    #[must_use]
    pub const fn stand_in(wait_s: f64) -> Self {
        Self::StandIn { wait_s, asked: None }
    }

    /// What is said next, however long it takes, or until `is_over`; whoever stands in says yes. The hand has no torque.
    pub fn wait(&mut self, is_over: impl Fn() -> bool) -> Said {
        let Self::AtKeyboard { keyboard, pad } = self else { return Said::Answer(Answer::Yes) };
        while !is_over() {
            if let Some(report) = pad.as_ref().and_then(Gamepad::next) {
                return of_pad(Stage::Connect, report);
            }
            match keyboard.wait() {
                Some(Line::Written(line)) => return understand(Stage::Connect, false, &line),
                Some(Line::End) => break,
                None => {}
            }
        }
        Said::Answer(Answer::Quit)
    }

    /// What is said at `now_s` to somebody who waits in `stage`, if anything. Where nobody can say anything any more, quit is.
    pub fn hear(&mut self, stage: Stage, now_s: f64) -> Option<Said> {
        match self {
            Self::AtKeyboard { keyboard, pad } => {
                if let Some(report) = pad.as_ref().and_then(Gamepad::next) {
                    return Some(of_pad(stage, report));
                }
                Some(match keyboard.next()? {
                    Line::Written(line) => understand(stage, keyboard.is_guarding(), &line),
                    Line::End => Said::Answer(Answer::Quit),
                })
            }
            Self::StandIn { wait_s, asked } => {
                let answer = match stage {
                    Stage::Connect | Stage::Arm | Stage::Open | Stage::Place | Stage::Stopped | Stage::Paused => {
                        Answer::Yes
                    }
                    Stage::Label => Answer::Keep(None),
                    Stage::Check | Stage::Episode | Stage::Done => {
                        *asked = None;
                        return None;
                    }
                };
                match *asked {
                    Some((asked_in, since_s)) if asked_in == stage => {
                        if now_s - since_s < *wait_s {
                            return None;
                        }
                        // What is refused is answered again.
                        *asked = Some((stage, now_s));
                        Some(Said::Answer(answer))
                    }
                    _ => {
                        *asked = Some((stage, now_s));
                        None
                    }
                }
            }
        }
    }
}

fn understand(stage: Stage, has_torque: bool, line: &str) -> Said {
    let sign = match line.trim() {
        // Written before torque came on and heard after.
        "" if has_torque => Sign::EStop,
        "y" | "yes" => Sign::Yes,
        "p" => Sign::Pause,
        "q" => Sign::Quit,
        "t" => Sign::TakeOver,
        "h" => Sign::HandBack,
        "k" => Sign::Keep,
        "d" => Sign::Discard,
        "+" => Sign::Reward,
        "s" => Sign::Success,
        "f" => Sign::Failure,
        "u" => Sign::Unsafe,
        _ => return Said::Nonsense,
    };
    said(stage, sign)
}

/// What a sign says in `stage`: a verdict is a button while the episode runs and an answer after it.
fn said(stage: Stage, sign: Sign) -> Said {
    let is_running = stage == Stage::Episode;
    let verdict = |button| if is_running { Said::Button(button) } else { Said::Answer(Answer::Keep(Some(button))) };
    match sign {
        Sign::EStop => Said::Button(Button::EStop),
        Sign::Reward => Said::Button(Button::PlusOne),
        Sign::Success => verdict(Button::Success),
        Sign::Failure => verdict(Button::Failure),
        Sign::Unsafe => verdict(Button::Unsafe),
        Sign::Yes => Said::Answer(Answer::Yes),
        Sign::Pause => Said::Answer(Answer::Pause),
        Sign::Quit => Said::Answer(Answer::Quit),
        Sign::TakeOver => Said::Answer(Answer::TakeOver),
        Sign::HandBack => Said::Answer(Answer::HandBack),
        Sign::Keep => Said::Answer(Answer::Keep(None)),
        Sign::Discard => Said::Answer(Answer::Discard),
    }
}

fn of_pad(stage: Stage, report: PadReport) -> Said {
    match report {
        PadReport::Pressed(sign) => said(stage, sign),
        PadReport::Lost(why) => {
            Said::OfPad(format!("the gamepad is gone ({why}), its emergency stop too; the keyboard works"))
        }
        PadReport::Found(name) => Said::OfPad(format!("the gamepad is back: {name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufReader, Write as _};

    /// Contract: a verdict is a button while the episode runs and a label after it; an empty line stops a hand that has torque,
    /// in every stage, and means nothing else in any.
    #[test]
    fn lines_are_understood() {
        for stage in [Stage::Arm, Stage::Open, Stage::Place, Stage::Episode, Stage::Label, Stage::Paused, Stage::Done] {
            assert_eq!(understand(stage, true, "\n"), Said::Button(Button::EStop));
            assert_eq!(understand(stage, false, "\n"), Said::Nonsense);
        }
        assert_eq!(understand(Stage::Episode, true, " s "), Said::Button(Button::Success));
        assert_eq!(understand(Stage::Label, true, "s"), Said::Answer(Answer::Keep(Some(Button::Success))));
        assert_eq!(understand(Stage::Arm, false, "y"), Said::Answer(Answer::Yes));
        assert_eq!(understand(Stage::Arm, false, "yy"), Said::Nonsense);
    }

    /// Contract: a yes that was written before the question does not answer it, one that is written after it does; where nobody
    /// can answer any more, the session ends.
    #[test]
    fn a_yes_from_before_the_question() {
        let (reader, mut writer) = io::pipe().unwrap();
        let keyboard = Keyboard::listen(BufReader::new(reader), EmergencyStop::default()).unwrap();
        let mut human = Human::AtKeyboard { keyboard, pad: None };
        let wait_for_a_line = |human: &Human| {
            while !matches!(human, Human::AtKeyboard { keyboard, .. } if keyboard.n_waiting() > 0) {
                std::thread::yield_now();
            }
        };
        writer.write_all(b"y\n").unwrap();
        wait_for_a_line(&human);
        let told = human.forget();
        assert!(told.len() == 1 && told[0].contains("\"y\""), "{told:?}");
        assert_eq!(human.hear(Stage::Arm, 0.0), None);
        writer.write_all(b"y\n").unwrap();
        wait_for_a_line(&human);
        assert_eq!(human.hear(Stage::Arm, 0.0), Some(Said::Answer(Answer::Yes)));
        drop(writer);
        assert_eq!(human.wait(|| false), Said::Answer(Answer::Quit));
        assert_eq!(human.hear(Stage::Arm, 0.0), Some(Said::Answer(Answer::Quit)));
    }

    /// Contract: a press says what the key of the same sign says; what becomes of the pad is told, not taken for an
    /// answer.
    #[test]
    fn a_gamepad_is_understood_as_the_keyboard() {
        let keys =
            [("y", Sign::Yes), ("s", Sign::Success), ("u", Sign::Unsafe), ("t", Sign::TakeOver), ("k", Sign::Keep)];
        for stage in [Stage::Episode, Stage::Label, Stage::Arm] {
            for (line, sign) in keys {
                assert_eq!(of_pad(stage, PadReport::Pressed(sign)), understand(stage, true, line), "{line}");
            }
        }
        let Said::OfPad(line) = of_pad(Stage::Arm, PadReport::Lost("no such device".into())) else { panic!() };
        assert!(line.contains("no such device") && line.contains("emergency stop"), "{line}");
    }

    /// Contract: a stand-in takes its time with every question, says yes, asks again when nothing came of it, and keeps
    /// silent while an episode runs.
    #[test]
    fn a_stand_in_says_yes() {
        let mut human = Human::stand_in(1.0);
        assert_eq!(human.hear(Stage::Arm, 10.0), None);
        assert_eq!(human.hear(Stage::Arm, 10.9), None);
        assert_eq!(human.hear(Stage::Arm, 11.0), Some(Said::Answer(Answer::Yes)));
        assert_eq!(human.hear(Stage::Arm, 11.5), None);
        assert_eq!(human.hear(Stage::Arm, 12.0), Some(Said::Answer(Answer::Yes)));
        assert_eq!(human.hear(Stage::Episode, 20.0), None);
        assert_eq!(human.hear(Stage::Label, 21.0), None);
        assert_eq!(human.hear(Stage::Label, 22.0), Some(Said::Answer(Answer::Keep(None))));
    }
}
