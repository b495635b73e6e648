//! The examples in Python are the other side.

use super::arm::{angle_rad, limits, pose};
use super::{loopback, tracker_config};
use bridge::real::arm::{ArmLink, UdpArm, UdpArmConfig};
use bridge::real::clock::{Clock, MachineClock};
use bridge::real::datagram::DatagramError;
use bridge::real::robot::ObjectSource;
use bridge::real::tracker::UdpTracker;
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};

struct Python(Child);

impl Drop for Python {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Starts an example; none, with a word of why, where there is no Python.
fn example(name: &str, arguments: &[String]) -> Option<Python> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples").join(name);
    let started = Command::new("python3").arg(path).args(arguments).stdout(Stdio::piped()).spawn();
    if let Err(error) = &started {
        eprintln!("skipped: python3: {error}");
    }
    started.ok().map(Python)
}

/// Contract: the controller in docs/examples follows our setpoints, says so, and stays within the limits on its way.
#[test]
fn the_example_controller_follows() {
    let config = |controller| UdpArmConfig { listen: loopback(), controller, limits: limits() };
    // The controller has to know our port and we its own: ours is found out first.
    let probe = UdpSocket::bind(loopback()).unwrap().local_addr().unwrap();
    let arguments = ["--listen", "127.0.0.1:0", "--bridge", &probe.to_string()].map(str::to_owned);
    let Some(mut python) = example("arm_controller.py", &arguments) else { return };
    let mut line = String::new();
    BufReader::new(python.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let port = line.trim().strip_prefix("listening ").unwrap();
    let controller = format!("127.0.0.1:{port}").parse().unwrap();
    let mut arm = UdpArm::open(&UdpArmConfig { listen: probe, ..config(controller) }, 77).unwrap();

    let clock = MachineClock::start();
    let target = pose(0.43, 0.02, 0.3, 0.2);
    let is_there = |arm: &UdpArm| {
        arm.state().is_some_and(|state| {
            let far = state.pose.position_m.iter().zip(target.position_m).any(|(a, b)| (a - b).abs() > 1e-3);
            !far && angle_rad(state.pose.orientation, target.orientation) < 0.01 && state.round_trip_s.is_some()
        })
    };
    while !is_there(&arm) {
        arm.poll(clock.now_s());
        if let Some(state) = arm.state().copied()
            && let Ok(applied) = arm.send(&target, clock.now_s())
        {
            let errors_m = applied.position_m.iter().zip(state.pose.position_m).map(|(a, b)| (a - b).abs());
            assert!(errors_m.fold(0.0, f64::max) <= 0.01 + 1e-9);
        }
        clock.wait_until(clock.now_s() + 0.002);
        assert!(python.0.try_wait().unwrap().is_none(), "the controller has ended");
    }
    let (reception, _) = arm.reception();
    assert_eq!((reception.n_refused, reception.last_error), (0, None::<DatagramError>));
}

/// Contract: the tracker in docs/examples is understood: the object circles at 1 cm and turns at 0.5 rad/s.
#[test]
fn the_example_tracker_is_seen() {
    let clock = MachineClock::start();
    let mut tracker = UdpTracker::open(&tracker_config(), 1, clock).unwrap();
    let arguments = ["--rate", "100", "--bridge", &tracker.address().unwrap().to_string()].map(str::to_owned);
    let Some(mut python) = example("object_tracker.py", &arguments) else { return };
    while tracker.reception().0.n_accepted < 20 {
        tracker.poll();
        clock.wait_until(clock.now_s() + 0.005);
        assert!(python.0.try_wait().unwrap().is_none(), "the tracker has ended");
    }
    let (pose, age_s) = tracker.newest(0).unwrap();
    let [x, y, z] = pose.position_m;
    assert!((x.hypot(y) - 0.01).abs() < 1e-6 && (z + 0.03).abs() < 1e-6, "{pose:?}");
    assert!((pose.angular_velocity_rad_s[2] - 0.5).abs() < 0.01, "{pose:?}");
    assert!(age_s >= 0.01 && age_s.is_finite(), "{age_s}");
    assert_eq!(tracker.reception().0.n_refused, 0);
}
