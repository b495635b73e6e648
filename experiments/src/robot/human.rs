//! Who answers: a human at the keyboard, with a gamepad or without, or somebody who stands in where the hand is emulated.
//!
//! A human writes a line, or presses a button; both are signs of the same meaning. While an episode runs, an empty line is
//! the emergency stop; a gamepad's works always. Both reach the loop by themselves, whatever the session does.

use bridge::real::control_loop::EmergencyStop;
use bridge::real::gamepad::{Gamepad, PadReport, Sign};
use bridge::real::labels::Button;
use bridge::real::operator::{Answer, Stage};
use bridge::real::urgent::Urgency;
use crossbeam::channel::{Receiver, RecvTimeoutError, TrySendError, bounded};
use std::io::{self, BufRead, BufReader};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often whoever waits looks whether it is over.
const LOOK: Duration = Duration::from_millis(50);

/// Lines that wait for somebody to take them.
const MAX_LINES: usize = 1024;

/// The keys, as they are explained.
pub const KEYS: &str = "y yes   p pause   q quit   during an episode: + reward   s success   f failure   u unsafe   t take over   \
                        h hand back   ENTER alone: emergency stop   after it: k keep   s f u keep as that   d discard";

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
pub enum Human {
    /// Lines from the keyboard, and a gamepad.
    AtKeyboard {
        /// The lines.
        lines: Receiver<String>,
        /// Whether an empty one is the emergency stop.
        is_episode: Arc<AtomicBool>,
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
        let is_episode = Arc::new(AtomicBool::new(false));
        let lines = read_lines(BufReader::new(io::stdin()), e_stop, Arc::clone(&is_episode))?;
        Ok(Self::AtKeyboard { lines, is_episode, pad })
    }

    /// The gamepad.
    #[must_use]
    pub const fn pad(&self) -> Option<&Gamepad> {
        match self {
            Self::AtKeyboard { pad, .. } => pad.as_ref(),
            Self::StandIn { .. } => None,
        }
    }

    /// Forgets what was pressed on the gamepad while nothing was asked: it was no answer. What there is to tell of the pad.
    pub fn forget_presses(&self) -> Vec<String> {
        let told = std::iter::from_fn(|| self.pad()?.next()).filter_map(|report| match of_pad(Stage::Done, report) {
            Said::OfPad(line) => Some(line),
            _ => None,
        });
        told.collect()
    }

    /// Somebody who takes `wait_s` to say yes.
    #[must_use]
    pub const fn stand_in(wait_s: f64) -> Self {
        Self::StandIn { wait_s, asked: None }
    }

    /// What is said next, however long it takes, or until `is_over`; whoever stands in says yes.
    pub fn wait(&mut self, is_over: impl Fn() -> bool) -> Said {
        let Self::AtKeyboard { lines, pad, .. } = self else { return Said::Answer(Answer::Yes) };
        while !is_over() {
            if let Some(report) = pad.as_ref().and_then(Gamepad::next) {
                return of_pad(Stage::Connect, report);
            }
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
            Self::AtKeyboard { lines, is_episode, pad } => {
                is_episode.store(stage == Stage::Episode, Ordering::SeqCst);
                let of_pad = pad.as_ref().and_then(Gamepad::next).map(|report| of_pad(stage, report));
                of_pad.or_else(|| lines.try_recv().ok().map(|line| understand(stage, &line)))
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

/// What is written to `input`, line by line. An empty line presses `e_stop` itself while an episode runs: whoever takes the
/// lines may be writing to a disk, and goes last.
fn read_lines(
    input: impl BufRead + Send + 'static,
    e_stop: EmergencyStop,
    is_episode: Arc<AtomicBool>,
) -> io::Result<Receiver<String>> {
    let (lines, written) = bounded(MAX_LINES);
    // It ends with the process: nobody can wait for a line that nobody writes.
    Urgency::Period.spawn("keyboard", move || {
        for line in input.lines() {
            let Ok(line) = line else { return };
            if line.trim().is_empty() && is_episode.load(Ordering::SeqCst) {
                e_stop.press();
            }
            // What nobody takes is lost: the next line may be the stop.
            if let Err(TrySendError::Disconnected(_)) = lines.try_send(line) {
                return;
            }
        }
        drop(lines.send("q".into()));
    })?;
    Ok(written)
}

fn understand(stage: Stage, line: &str) -> Said {
    let sign = match line.trim() {
        "" if stage == Stage::Episode => Sign::EStop,
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

    /// Contract: an empty line stops what runs though nobody takes the lines, and does nothing else where nothing runs; the end of
    /// the input is a wish to quit.
    #[test]
    fn the_emergency_stop_waits_for_nobody() {
        for is_running in [false, true] {
            let (e_stop, is_episode) = (EmergencyStop::default(), Arc::new(AtomicBool::new(is_running)));
            let lines = read_lines(&b"s\n\n"[..], e_stop.clone(), is_episode).unwrap();
            assert_eq!(lines.iter().collect::<Vec<_>>(), ["s", "", "q"]);
            assert_eq!(e_stop.is_pressed(), is_running);
        }
        let crowd = "s\n".repeat(2 * MAX_LINES) + "\n" + &"s\n".repeat(5);
        let e_stop = EmergencyStop::default();
        let unheard = read_lines(io::Cursor::new(crowd), e_stop.clone(), Arc::new(AtomicBool::new(true))).unwrap();
        while !e_stop.is_pressed() {
            std::thread::yield_now();
        }
        drop(unheard);
    }

    /// Contract: a press says what the key of the same sign says; what becomes of the pad is told, not taken for an
    /// answer.
    #[test]
    fn a_gamepad_is_understood_as_the_keyboard() {
        let keys =
            [("y", Sign::Yes), ("s", Sign::Success), ("u", Sign::Unsafe), ("t", Sign::TakeOver), ("k", Sign::Keep)];
        for stage in [Stage::Episode, Stage::Label, Stage::Arm] {
            for (line, sign) in keys {
                assert_eq!(of_pad(stage, PadReport::Pressed(sign)), understand(stage, line), "{line}");
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
