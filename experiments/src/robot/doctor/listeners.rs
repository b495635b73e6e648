//! Those who tell by UDP: the tracker, and the arm where one carries the hand. Whether they do, and how often.

use super::{Examination, Verdict};
use crate::robot::setup::open_arm;
use bridge::number::Positive;
use bridge::real::arm::{ArmLink as _, SETPOINT_STALE_S, UdpArm, UdpArmConfig};
use bridge::real::clock::{Clock as _, MachineClock};
use bridge::real::datagram::Reception;
use bridge::real::robot::ObjectSource as _;
use bridge::real::tracker::{TrackerConfig, UdpTracker};
use std::net::SocketAddr;

/// Poses of an object a second that are enough, and that work: two and one a step of the policy.
const GOOD_POSES_HZ: f64 = 40.0;
const LEAST_POSES_HZ: f64 = 20.0;
/// States a second that are enough: one a tick of the loop.
const GOOD_STATES_HZ: f64 = 100.0;

/// Longer than anybody who is heard takes to say something new, s.
const SETTLE_S: f64 = 0.05;

/// Who is listened to.
#[derive(Debug)]
pub struct Listeners {
    clock: MachineClock,
    n_objects: usize,
    tracker: Option<UdpTracker<MachineClock>>,
    arm: Option<UdpArm>,
}

/// What had come and been lost at a moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    tracker: (u64, u64),
    arm: (u64, u64),
}

impl Listeners {
    /// Begins to listen, for poses of `n_objects`, with the time of `clock`. To an arm nothing is sent.
    pub fn open(
        tracker: &TrackerConfig,
        n_objects: usize,
        arm: Option<&UdpArmConfig>,
        clock: MachineClock,
        examination: &mut Examination,
    ) -> Self {
        let opened = UdpTracker::open(tracker, n_objects, clock);
        if let Err(error) = &opened {
            let advice = "another program listens there (another softflow?), or the address is not this machine's: end it, or give --tracker";
            examination.note("tracker", Verdict::Bad, format!("{}: {error}", tracker.listen), advice);
        }
        let arm = arm.and_then(|config| {
            let opened = open_arm(config);
            if let Err(error) = &opened {
                let advice = "another program listens there (another softflow?), or the address is not this machine's: end it, or change arm.link.listen of the robot";
                examination.note("arm", Verdict::Bad, error.to_string(), advice);
            }
            opened.ok()
        });
        Self { clock, n_objects, tracker: opened.ok(), arm }
    }

    /// Where poses are received.
    #[must_use]
    pub fn tracker_address(&self) -> Option<SocketAddr> {
        self.tracker.as_ref()?.address().ok()
    }

    /// Where states of the arm are received.
    #[must_use]
    pub fn arm_address(&self) -> Option<SocketAddr> {
        self.arm.as_ref()?.address().ok()
    }

    pub(super) const fn clock(&self) -> MachineClock {
        self.clock
    }

    /// Takes in what has come.
    pub(super) fn poll(&mut self) {
        if let Some(tracker) = &mut self.tracker {
            tracker.poll();
        }
        if let Some(arm) = &mut self.arm {
            arm.poll(self.clock.now_s());
        }
    }

    /// What has come, and been lost, by now.
    pub(super) fn count(&mut self) -> Counts {
        // One look takes in no more than so many.
        let mut before = (u64::MAX, u64::MAX);
        while before != self.accepted() {
            before = self.accepted();
            self.poll();
        }
        // What found no place while nobody looked is missed only when something newer comes.
        self.clock.wait_until(self.clock.now_s() + SETTLE_S);
        self.poll();
        let count = |(reception, n_lost): (Reception, u64)| (reception.n_accepted, n_lost);
        Counts {
            tracker: self.tracker.as_ref().map(|tracker| count(tracker.reception())).unwrap_or_default(),
            arm: self.arm.as_ref().map(|arm| count(arm.reception())).unwrap_or_default(),
        }
    }

    /// Listens alone, where there are no servos to read meanwhile.
    pub(super) fn listen(&mut self, seconds: Positive, examination: &mut Examination) {
        let before = self.count();
        let end_s = self.clock.now_s() + seconds.get();
        while self.clock.now_s() < end_s {
            self.poll();
            self.clock.wait_until(self.clock.now_s() + 0.01);
        }
        self.report(before, seconds, examination);
    }

    /// Rate and age of what came in `seconds`, after what had come before.
    pub(super) fn report(&self, before: Counts, seconds: Positive, examination: &mut Examination) {
        if let Some(tracker) = &self.tracker {
            report_poses(tracker, before.tracker, self.n_objects, seconds, examination);
        }
        if let Some(arm) = &self.arm {
            report_arm(arm, before.arm, seconds, self.clock.now_s(), examination);
        }
    }

    fn accepted(&self) -> (u64, u64) {
        let of_tracker = self.tracker.as_ref().map_or(0, |tracker| tracker.reception().0.n_accepted);
        (of_tracker, self.arm.as_ref().map_or(0, |arm| arm.reception().0.n_accepted))
    }
}

fn report_poses(
    tracker: &UdpTracker<MachineClock>,
    (n_before, n_lost_before): (u64, u64),
    n_objects: usize,
    seconds: Positive,
    examination: &mut Examination,
) {
    let (reception, n_lost) = tracker.reception();
    let address = tracker.address().map_or_else(|error| error.to_string(), |address| address.to_string());
    refusals("tracker", &reception, &address, "docs/examples/object_tracker.py", examination);
    let n_new = reception.n_accepted.saturating_sub(n_before);
    if n_new == 0 {
        let advice =
            "start the tracker and let it send to this machine and port; docs/examples/object_tracker.py shows how";
        examination.note("tracker", Verdict::Bad, format!("no pose came on {address}"), advice);
        return;
    }
    let hz = n_new as f64 / n_objects.max(1) as f64 / seconds.get();
    let n_lost = n_lost.saturating_sub(n_lost_before);
    let age_ms = tracker.newest(0).map_or(f64::NAN, |(_, age_s)| 1e3 * age_s);
    let found = format!("{hz:.0} poses a second on {address}, {n_lost} lost, the newest is {age_ms:.0} ms old");
    if hz >= GOOD_POSES_HZ {
        examination.good("tracker", found);
    } else {
        let advice = "a pose that is older than a step of 50 ms is not acted on: 40 a second and more are needed, 60 and more are good";
        let verdict = if hz >= LEAST_POSES_HZ { Verdict::Warning } else { Verdict::Bad };
        examination.note("tracker", verdict, found, advice);
    }
}

fn report_arm(
    arm: &UdpArm,
    (n_before, n_lost_before): (u64, u64),
    seconds: Positive,
    now_s: f64,
    examination: &mut Examination,
) {
    let (reception, n_lost) = arm.reception();
    let address = arm.address().map_or_else(|error| error.to_string(), |address| address.to_string());
    refusals("arm", &reception, &address, "docs/examples/arm_controller.py", examination);
    let n_new = reception.n_accepted.saturating_sub(n_before);
    let (Some(state), 1..) = (arm.state(), n_new) else {
        let advice = "start the arm's controller and let it send its states to this machine and port; docs/examples/arm_controller.py shows how";
        examination.note("arm", Verdict::Bad, format!("no state came on {address}"), advice);
        return;
    };
    let (hz, n_lost) = (n_new as f64 / seconds.get(), n_lost.saturating_sub(n_lost_before));
    let [x, y, z] = state.pose.position_m;
    let force_n = state.force_n.iter().map(|x| x * x).sum::<f64>().sqrt();
    let age_s = arm.age_s(now_s).unwrap_or(f64::NAN);
    let found = format!(
        "{hz:.0} states a second on {address}, {n_lost} lost, the newest is {:.0} ms old; {}, at {x:.3} {y:.3} {z:.3} m, {force_n:.1} N",
        1e3 * age_s,
        if state.has_failed {
            "FAILED"
        } else if state.is_ready {
            "ready"
        } else {
            "not ready"
        }
    );
    let (verdict, advice) = if state.has_failed {
        (Verdict::Bad, "see to the arm and reset its controller")
    } else if !state.is_ready {
        (Verdict::Warning, "nothing is armed before its controller follows setpoints: release its brakes, start it")
    } else if hz < GOOD_STATES_HZ || age_s > SETPOINT_STALE_S {
        (Verdict::Warning, "the loop reads 100 times a second: a state for every tick is better")
    } else {
        (Verdict::Good, "")
    };
    examination.note("arm", verdict, found, advice);
}

fn refusals(name: &str, reception: &Reception, address: &str, example: &str, examination: &mut Examination) {
    if let Some(error) = reception.last_error {
        let found = format!("{} datagrams on {address} were refused, the last one: {error}", reception.n_refused);
        examination.note(name, Verdict::Warning, found, format!("the layout is in {example}"));
    }
}
