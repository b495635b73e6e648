//! What the instruments say: numbers for the overlay, the captions and the text log.

use crate::viewer::filmed::Frame;
use bridge::Outcome;
use std::f64::consts::TAU;

/// Follows an episode of one task from frame to frame.
pub trait Instruments: Send + Sync {
    /// Starts an episode.
    fn clear(&mut self);

    /// Reads the next frame; `outcome` is that of the episode so far, `ending` how it has ended if it has.
    fn read(&mut self, frame: &Frame, outcome: &Outcome, ending: Option<String>) -> Reading;

    /// How an episode with this outcome has ended.
    fn ending(&self, outcome: &Outcome) -> &'static str;
}

/// The instruments at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Time since the episode began, s.
    pub time_s: f64,
    /// Places where the objects are touched.
    pub n_contacts: usize,
    /// What the task is about.
    pub gauges: Gauges,
    /// How the episode has ended, while its end is watched.
    pub ending: Option<String>,
}

/// What a task is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Gauges {
    /// A cube that turns.
    Cube {
        /// How far it has turned in the wanted direction, rad.
        turned_rad: f64,
        /// How fast it turned over the last two seconds, turns per minute.
        rpm: f64,
        /// Distance of its centre from its nominal place, m.
        offset_m: f64,
        /// Angle between its z axis and the vertical, rad.
        tilt_rad: f64,
    },
    /// Scissors and tape.
    Scissors {
        /// How far the scissors are open, rad.
        opening_rad: f64,
        /// How far they are out of their case, m.
        out_m: f64,
        /// Force of the surroundings on the wrist, N.
        force_n: f64,
        /// When they were retrieved, s: the first reward.
        grasped_s: Option<f64>,
        /// When the tape was cut, s: the second reward.
        cut_s: Option<f64>,
    },
}

impl Reading {
    /// The instruments in one line, over the picture.
    pub fn status(&self) -> String {
        let time_s = self.time_s;
        // A long one gets a line of its own.
        let gap = |ending: &str| if ending.len() > 24 { "\n" } else { "   " };
        let ending = self.ending.as_ref().map_or(String::new(), |ending| format!("{}{ending}", gap(ending)));
        match self.gauges {
            Gauges::Cube { turned_rad, rpm, tilt_rad, .. } => {
                let (turns, tilt_deg) = (turned_rad / TAU, tilt_rad.to_degrees());
                format!("{time_s:.1} s   {turns:+.2} turns   {rpm:+.1} rpm   tilt {tilt_deg:.0} deg{ending}")
            }
            Gauges::Scissors { opening_rad, force_n, grasped_s, cut_s, .. } => {
                let event =
                    |name, at: Option<f64>| at.map_or(String::new(), |at_s| format!("   +1 {name} {at_s:.1} s"));
                let (grasped, cut) = (event("held", grasped_s), event("cut", cut_s));
                let open_deg = opening_rad.to_degrees();
                // That the tape is cut is said already.
                let ending = if cut_s.is_some() { "" } else { &ending };
                format!("{time_s:.1} s   open {open_deg:.0} deg   wrist {force_n:.1} N{grasped}{cut}{ending}")
            }
        }
    }

    /// Heads of the columns of [`Reading::row`].
    pub const fn columns(&self) -> &'static str {
        match self.gauges {
            Gauges::Cube { .. } => " time s   yaw rad    turns     rpm   offset mm   tilt deg   contacts",
            Gauges::Scissors { .. } => " time s   out mm   open deg   wrist N   held   cut   contacts",
        }
    }

    /// The instruments as a row of a table.
    pub fn row(&self) -> String {
        let Self { time_s, n_contacts, .. } = self;
        let ending = self.ending.as_ref().map_or(String::new(), |ending| format!("   {ending}"));
        match self.gauges {
            Gauges::Cube { turned_rad, rpm, offset_m, tilt_rad } => {
                let (turns, offset_mm, tilt_deg) = (turned_rad / TAU, 1e3 * offset_m, tilt_rad.to_degrees());
                format!(
                    "{time_s:7.2} {turned_rad:9.3} {turns:8.3} {rpm:7.2} {offset_mm:11.1} {tilt_deg:10.1} \
                     {n_contacts:10}{ending}"
                )
            }
            Gauges::Scissors { opening_rad, out_m, force_n, grasped_s, cut_s } => {
                let (out_mm, open_deg) = (1e3 * out_m, opening_rad.to_degrees());
                let [held, cut] = [grasped_s, cut_s].map(|at| u8::from(at.is_some()));
                format!(
                    "{time_s:7.2} {out_mm:8.1} {open_deg:10.1} {force_n:9.2} {held:6} {cut:5} {n_contacts:10}{ending}"
                )
            }
        }
    }

    /// What came of it, in a few words.
    pub fn summary(&self) -> String {
        let ending = self.ending.as_ref().map_or(String::new(), |ending| format!("; {ending}"));
        let what = match self.gauges {
            Gauges::Cube { turned_rad, .. } => format!("{:.2} turns", turned_rad / TAU),
            // How it ended is said with it.
            Gauges::Scissors { cut_s: Some(at_s), .. } => return format!("the tape was cut after {at_s:.1} s"),
            Gauges::Scissors { grasped_s: Some(at_s), .. } => format!("the scissors were held after {at_s:.1} s"),
            Gauges::Scissors { .. } => "the scissors are where they were".into(),
        };
        what + &ending
    }
}
