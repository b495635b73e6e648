//! A hold as the servos have it: goals, torque and current.

use super::hand_rig::{TestResult, spec, stops_rad};
use super::{Bench, GOAL, GOAL_CURRENT, PARK_RAD};
use bridge::real::clock::Clock as _;
use bridge::real::machine::State;
use bridge::real::motors::Motor;
use std::error::Error;
use std::f64::consts::TAU;

const GOAL_PWM: u16 = 100;
/// The only motor without a limit on its current.
const WRIST: u8 = 1;

/// How a run ended in a hold, all in ticks of every servo.
#[derive(Debug)]
pub struct Held {
    /// For how long it was waited, s.
    pub took_s: f64,
    /// The last goals of the run.
    before: Vec<i32>,
    /// Two positions between which each servo was read last.
    read: [Vec<i32>; 2],
    /// The first goals of the hold.
    goals: Vec<i32>,
}

impl Held {
    /// Whether every goal is where its servo was measured to be, but for the rounding of ticks to angles and back.
    pub fn is_at_measured(&self) -> bool {
        let [one, other] = &self.read;
        let mut ranges = one.iter().zip(other).map(|(one, other)| one.min(other) - 1..=one.max(other) + 1);
        self.goals.iter().all(|goal| ranges.next().is_some_and(|range| range.contains(goal)))
    }

    /// Whether every goal is the last one.
    pub fn is_at_last_goal(&self) -> bool {
        self.goals == self.before
    }

    /// How far a servo was from its last goal: where that is little, the two above are one and the same.
    pub fn lag(&self) -> i32 {
        let lags = self.before.iter().zip(&self.read[1]).map(|(goal, position)| (goal - position).abs());
        lags.max().unwrap_or_default()
    }
}

impl Bench {
    /// Runs until a hold.
    pub fn until_held(&mut self, limit_s: f64) -> Result<Held, Box<dyn Error>> {
        let start_s = self.clock.now_s();
        loop {
            let (before, read) = (self.ticks(GOAL)?, self.seen.clone());
            self.run(1);
            let took_s = self.clock.now_s() - start_s;
            if self.control.state() == State::Hold {
                return Ok(Held { took_s, before, read, goals: self.ticks(GOAL)? });
            }
            if took_s > limit_s {
                return Err(format!("{:?} after {took_s} s: {:?}", self.control.state(), self.events()).into());
            }
        }
    }

    /// Runs, and sees a hold all the while: torque, half of the current, and no other goal, not for a millisecond.
    pub fn stay_held(&mut self, n_ticks: usize) -> TestResult {
        let (goals, begun_s) = (self.ticks(GOAL)?, self.scene.witness.change_s());
        for _ in 0..n_ticks {
            self.run(1);
            assert_eq!((self.torques()?, self.ticks(GOAL)?), (vec![1; 17], goals.clone()));
            self.check_reduced()?;
        }
        assert_eq!(self.scene.witness.change_s(), begun_s, "a goal went and came");
        Ok(())
    }

    /// Every servo has half of its limit.
    pub fn check_reduced(&self) -> TestResult {
        for id in self.ids() {
            let (address, half) = if id == WRIST { (GOAL_PWM, 221) } else { (GOAL_CURRENT, 150) };
            assert_eq!(self.register(id, address, 2)?, half, "servo {id}");
        }
        Ok(())
    }

    /// How far any goal is from the park posture, ticks. The wrist is held and has none.
    pub fn goal_to_park(&self) -> Result<i32, Box<dyn Error>> {
        let mut farthest = 0;
        for motor in super::hand_rig::motors()?.motors.iter().filter(|motor| motor.id != WRIST) {
            let goal = self.register(motor.id, GOAL, 4)?.cast_signed();
            farthest = farthest.max((goal - park_ticks(motor)?).abs());
        }
        Ok(farthest)
    }
}

/// The park posture by the stops of a motor: as far between them as the angle is in the range of its joint.
fn park_ticks(motor: &Motor) -> Result<i32, Box<dyn Error>> {
    let (lower_rad, upper_rad) = motor.range_rad(&spec().joints).ok_or("a motor without a joint")?;
    let (shaft_lower_rad, shaft_upper_rad) = stops_rad(motor);
    let share = (PARK_RAD - lower_rad) / (upper_rad - lower_rad);
    let shaft_rad = shaft_lower_rad + share * (shaft_upper_rad - shaft_lower_rad);
    Ok((shaft_rad / TAU * 4096.0).round() as i32)
}
