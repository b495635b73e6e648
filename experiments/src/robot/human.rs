//! Who answers: a human at the keyboard, or somebody who stands in where the hand is emulated.
//!
//! A human writes a line. While an episode runs, an empty line is the emergency stop.

use bridge::real::labels::Button;
use bridge::real::operator::{Answer, Stage};
use crossbeam::channel::{Receiver, RecvTimeoutError, bounded};
use std::io::BufRead;
use std::time::Duration;

/// How often whoever waits looks whether it is over.
const LOOK: Duration = Duration::from_millis(50);

/// The keys, as they are explained.
pub const KEYS: &str = "y yes   p pause   q quit   during an episode: + reward   s success   f failure   u unsafe   t take over   \
                        h hand back   ENTER alone: emergency stop   after it: k keep   s f u keep as that   d discard";

/// What was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// An answer to what was asked.
    Answer(Answer),
    /// A button.
    Button(Button),
    /// Something that means nothing here.
    Nonsense,
}

/// Who answers.
#[derive(Debug)]
pub enum Human {
    /// Lines from the keyboard.
    AtKeyboard(Receiver<String>),
    /// Says yes to everything after a while; labels nothing.
    StandIn {
        /// How long it takes, s.
        wait_s: f64,
        /// What it was asked, and since when, s.
        asked: Option<(Stage, f64)>,
    },
}

impl Human {
    /// Whoever writes to standard input; its end is a wish to quit.
    #[must_use]
    pub fn at_keyboard() -> Self {
        let (lines, written) = bounded(16);
        // It ends with the process: nobody can wait for a line that nobody writes.
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines() {
                if line.is_err() || lines.send(line.unwrap_or_default()).is_err() {
                    return;
                }
            }
            drop(lines.send("q".into()));
        });
        Self::AtKeyboard(written)
    }

    /// Somebody who takes `wait_s` to say yes.
    #[must_use]
    pub const fn stand_in(wait_s: f64) -> Self {
        Self::StandIn { wait_s, asked: None }
    }

    /// What is said next, however long it takes, or until `is_over`; whoever stands in says yes.
    pub fn wait(&mut self, is_over: impl Fn() -> bool) -> Said {
        let Self::AtKeyboard(lines) = self else { return Said::Answer(Answer::Yes) };
        while !is_over() {
            match lines.recv_timeout(LOOK) {
                Ok(line) => return understand(Stage::Connect, &line),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Said::Answer(Answer::Quit)
    }

    /// What is said at `now_s` to somebody who waits in `stage`, if anything.
    pub fn hear(&mut self, stage: Stage, now_s: f64) -> Option<Said> {
        match self {
            Self::AtKeyboard(lines) => lines.try_recv().ok().map(|line| understand(stage, &line)),
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

fn understand(stage: Stage, line: &str) -> Said {
    let is_running = stage == Stage::Episode;
    let verdict = |button| if is_running { Said::Button(button) } else { Said::Answer(Answer::Keep(Some(button))) };
    match line.trim() {
        "" if is_running => Said::Button(Button::EStop),
        "y" | "yes" => Said::Answer(Answer::Yes),
        "p" => Said::Answer(Answer::Pause),
        "q" => Said::Answer(Answer::Quit),
        "t" => Said::Answer(Answer::TakeOver),
        "h" => Said::Answer(Answer::HandBack),
        "k" => Said::Answer(Answer::Keep(None)),
        "d" => Said::Answer(Answer::Discard),
        "+" => Said::Button(Button::PlusOne),
        "s" => verdict(Button::Success),
        "f" => verdict(Button::Failure),
        "u" => verdict(Button::Unsafe),
        _ => Said::Nonsense,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: a verdict is a button while the episode runs and a label after it; an empty line stops what runs, and
    /// nothing else.
    #[test]
    fn lines_are_understood() {
        assert_eq!(understand(Stage::Episode, "\n"), Said::Button(Button::EStop));
        assert_eq!(understand(Stage::Place, "\n"), Said::Nonsense);
        assert_eq!(understand(Stage::Episode, " s "), Said::Button(Button::Success));
        assert_eq!(understand(Stage::Label, "s"), Said::Answer(Answer::Keep(Some(Button::Success))));
        assert_eq!(understand(Stage::Arm, "y"), Said::Answer(Answer::Yes));
        assert_eq!(understand(Stage::Arm, "yy"), Said::Nonsense);
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
