//! The keyboard of whoever stands beside a hand, and the stop on it.
//!
//! A thread reads it, whatever the rest of the process does. While the hand has torque an empty line is the emergency stop
//! and nothing else; without torque it is a line as any other. Every other line waits for somebody to take it.

use super::interrupt::Interrupt;
use bridge::real::control_loop::EmergencyStop;
use bridge::real::urgent::Urgency;
use crossbeam::channel::{Receiver, RecvTimeoutError, TryRecvError, TrySendError, bounded};
use std::io::{self, BufRead, BufReader};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often whoever waits looks whether it is over.
const LOOK: Duration = Duration::from_millis(50);

/// Lines that wait for somebody to take them.
const MAX_LINES: usize = 1024;

/// What is heard of a keyboard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Somebody wrote it.
    Written(String),
    /// Nobody will write any more.
    End,
}

/// A keyboard that is listened to. The thread ends with the process: nobody can wait for a line that nobody writes.
#[derive(Debug)]
pub(super) struct Keyboard {
    lines: Receiver<String>,
    has_torque: Arc<AtomicBool>,
    e_stop: EmergencyStop,
}

impl Keyboard {
    /// That of the process, whose stop is `e_stop`.
    pub(super) fn of_process(e_stop: EmergencyStop) -> io::Result<Self> {
        Self::listen(BufReader::new(io::stdin()), e_stop)
    }

    /// What is written to `input`. The thread presses `e_stop` itself: whoever takes the lines may be writing to a disk, and
    /// goes last.
    pub(super) fn listen(input: impl BufRead + Send + 'static, e_stop: EmergencyStop) -> io::Result<Self> {
        let (lines, written) = bounded(MAX_LINES);
        let has_torque = Arc::new(AtomicBool::new(false));
        let (stop, is_guarded) = (e_stop.clone(), Arc::clone(&has_torque));
        Urgency::Period.spawn("keyboard", move || {
            for line in input.lines() {
                let Ok(line) = line else { return };
                if line.trim().is_empty() && is_guarded.load(Ordering::SeqCst) {
                    stop.press();
                    continue;
                }
                // What nobody takes is lost: the next line may be the stop.
                if let Err(TrySendError::Disconnected(_)) = lines.try_send(line) {
                    return;
                }
            }
        })?;
        Ok(Self { lines: written, has_torque, e_stop })
    }

    /// Whether the hand has torque, or may have it from here on: then an empty line stops it.
    pub(super) fn guard(&self, has_torque: bool) {
        self.has_torque.store(has_torque, Ordering::SeqCst);
    }

    /// Whether an empty line stops the hand.
    pub(super) fn is_guarding(&self) -> bool {
        self.has_torque.load(Ordering::SeqCst)
    }

    /// What was written next, if anything.
    pub(super) fn next(&self) -> Option<Line> {
        match self.lines.try_recv() {
            Ok(line) => Some(Line::Written(line)),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Line::End),
        }
    }

    /// The same, waited for a little.
    pub(super) fn wait(&self) -> Option<Line> {
        match self.lines.recv_timeout(LOOK) {
            Ok(line) => Some(Line::Written(line)),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Line::End),
        }
    }

    /// Throws away what was written before now: it answers nothing that is asked from here on. A stop among it counts, if it was
    /// written while torque came on.
    pub(super) fn forget(&self) -> Vec<String> {
        let (stops, lines): (Vec<_>, Vec<_>) = self.lines.try_iter().partition(|line| line.trim().is_empty());
        if !stops.is_empty() && self.is_guarding() {
            self.e_stop.press();
        }
        lines
    }

    /// Lines that wait to be taken.
    #[cfg(test)]
    pub(super) fn n_waiting(&self) -> usize {
        self.lines.len()
    }
}

/// What is said of lines that were thrown away; none where there are none.
pub(super) fn told_of_forgotten(lines: &[String]) -> Option<String> {
    let written = lines.iter().map(|line| format!("{:?}", line.trim())).collect::<Vec<_>>().join(" ");
    (!lines.is_empty()).then(|| format!("not taken for an answer, it was written before the question: {written}"))
}

/// Whoever stands beside a hand that is moved without a control loop: is asked before, and stops it by ENTER or Ctrl-C.
#[derive(Debug)]
pub struct Bystander {
    keyboard: Option<Keyboard>,
    e_stop: EmergencyStop,
}

impl Bystander {
    /// Whoever writes to standard input.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn at_keyboard() -> io::Result<Self> {
        let e_stop = EmergencyStop::default();
        Ok(Self { keyboard: Some(Keyboard::of_process(e_stop.clone())?), e_stop })
    }

    /// Nobody: Ctrl-C alone stops the hand.
    #[must_use]
    pub fn nobody() -> Self {
        Self { keyboard: None, e_stop: EmergencyStop::default() }
    }

    /// Asks `question`; whether the answer, written after it, is yes. Where nobody is, nobody has to be asked.
    pub fn allows(&self, question: &str, interrupt: &Interrupt) -> bool {
        let Some(keyboard) = &self.keyboard else { return true };
        if let Some(told) = told_of_forgotten(&keyboard.forget()) {
            eprintln!("{told}");
        }
        eprintln!("{question}");
        loop {
            match keyboard.wait() {
                Some(Line::Written(line)) => return line.trim() == "y",
                Some(Line::End) => return false,
                None if interrupt.is_asked() => return false,
                None => {}
            }
        }
    }

    /// Whether the hand has torque, or may have it from here on.
    pub fn guard(&self, has_torque: bool) {
        if let Some(keyboard) = &self.keyboard {
            keyboard.guard(has_torque);
        }
    }

    /// Whether the hand is to be stopped.
    #[must_use]
    pub fn is_stopping(&self, interrupt: &Interrupt) -> bool {
        self.e_stop.is_pressed() || interrupt.is_asked()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn written(line: &str) -> Option<Line> {
        Some(Line::Written(line.into()))
    }

    /// Contract: with torque an empty line stops the hand and is no line, though nobody takes lines; without, it is one and stops
    /// nothing. Where nobody writes any more this is heard whenever it is asked.
    #[test]
    fn the_emergency_stop_waits_for_nobody() {
        for has_torque in [false, true] {
            let (reader, mut writer) = io::pipe().unwrap();
            let e_stop = EmergencyStop::default();
            let keyboard = Keyboard::listen(BufReader::new(reader), e_stop.clone()).unwrap();
            keyboard.guard(has_torque);
            writer.write_all(b"s\n\nk\n").unwrap();
            drop(writer);
            let heard: Vec<_> = std::iter::repeat_with(|| keyboard.wait()).flatten().take(4).collect();
            let lines: &[&str] = if has_torque { &["s", "k"] } else { &["s", "", "k"] };
            let expected = lines.iter().map(|line| Line::Written((*line).into())).chain([Line::End, Line::End]);
            assert_eq!(heard, expected.take(4).collect::<Vec<_>>());
            assert_eq!(e_stop.is_pressed(), has_torque);
        }
        let crowd = "s\n".repeat(2 * MAX_LINES) + "\n" + &"s\n".repeat(5);
        let (reader, mut writer) = io::pipe().unwrap();
        let e_stop = EmergencyStop::default();
        let unheard = Keyboard::listen(BufReader::new(reader), e_stop.clone()).unwrap();
        unheard.guard(true);
        writer.write_all(crowd.as_bytes()).unwrap();
        while !e_stop.is_pressed() {
            std::thread::yield_now();
        }
    }

    /// Contract: what was written before a question is thrown away and told; what is written after it is heard. A stop that was
    /// written while torque came on stops.
    #[test]
    fn lines_from_before_a_question_are_forgotten() {
        let (reader, mut writer) = io::pipe().unwrap();
        let e_stop = EmergencyStop::default();
        let keyboard = Keyboard::listen(BufReader::new(reader), e_stop.clone()).unwrap();
        let wait_for = |n: usize| {
            while keyboard.n_waiting() < n {
                std::thread::yield_now();
            }
        };
        writer.write_all(b"y\n\nq\n").unwrap();
        wait_for(3);
        let forgotten = keyboard.forget();
        assert_eq!(forgotten, ["y", "q"]);
        let told = told_of_forgotten(&forgotten).unwrap();
        assert!(told.contains(r#""y" "q""#), "{told}");
        assert_eq!((keyboard.next(), told_of_forgotten(&keyboard.forget())), (None, None));
        assert!(!e_stop.is_pressed());

        writer.write_all(b"\n").unwrap();
        wait_for(1);
        keyboard.guard(true);
        assert_eq!(keyboard.forget(), Vec::<String>::new());
        assert!(e_stop.is_pressed());
        writer.write_all(b"y\n").unwrap();
        wait_for(1);
        assert_eq!(keyboard.next(), written("y"));
    }
}
