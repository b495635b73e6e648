//! `softflow` as it drives a hand that it takes for a real one, and whoever writes to its keyboard.

use super::binary::TestResult;
use super::child::Killed;
use super::robot_bench::{TORQUE, TRIPPED, WATCHDOG, WATCHDOG_S, path, patient_robot, save};
use bridge::real::emulator::FaultScript;
use bridge::{CubeReward, GovernorConfig};
use experiments::experiment::TaskChoice;
use experiments::robot::{Addresses, ArmAddresses, Emulation, Scene, Served};
use std::error::Error;
use std::io::{BufRead, BufReader, Lines, Write};
use std::net::UdpSocket;
use std::process::{ChildStderr, ChildStdin, Command, Stdio};
use std::time::Duration;

/// An emulated robot that `softflow` drives as a real one, with a human who says yes to everything.
pub struct Driven {
    pub served: Served,
    pub child: Killed,
    pub keyboard: ChildStdin,
    pub lines: Lines<BufReader<ChildStderr>>,
    pub told: Vec<String>,
}

impl Driven {
    pub fn by(command: Command, folder: &tempfile::TempDir) -> Result<Self, Box<dyn Error>> {
        let (hand, governor) = ("orca_v2".into(), GovernorConfig::usual()?);
        Self::at(&TaskChoice::Cube { hand, reward: CubeReward::Dense, governor }, command, folder)
    }

    pub fn at(task: &TaskChoice, mut command: Command, folder: &tempfile::TempDir) -> Result<Self, Box<dyn Error>> {
        let (calibration, robot_file) = (path(folder, "hand.ron"), path(folder, "robot.ron"));
        // Ports that were free a moment ago.
        let free = || UdpSocket::bind("127.0.0.1:0")?.local_addr();
        let (tracker, buttons, states, controller) = (free()?, free()?, free()?, free()?);
        let mut robot = patient_robot()?;
        let (scene, _) = Scene::of(task)?;
        let mut addresses = Addresses { tracker, buttons: None, arm: None };
        if let (Some(arm), Some(_)) = (&mut robot.arm, scene.tool()) {
            arm.link.listen = states;
            robot.buttons = Some(buttons);
            addresses = Addresses { tracker, buttons: Some(buttons), arm: Some(ArmAddresses { states, controller }) };
            command.args(["--arm", &controller.to_string()]);
        }
        save(&robot, &robot_file)?;
        let domain = if scene.tool().is_some() { "scissors_nominal" } else { "nominal" };
        let emulation = Emulation::new(&scene, domain, &robot, &FaultScript::default(), 1)?;
        emulation.calibration().save(&calibration)?;
        let served = emulation.serve(1.0.try_into()?, addresses)?;
        command.args(["--backend", "real", "--robot"]).arg(&robot_file).arg("--port").arg(served.path());
        command.arg("--calibration").arg(&calibration).args(["--tracker", &tracker.to_string()]);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut child = Killed(child);
        let keyboard = child.0.stdin.take().ok_or("no input")?;
        let lines = BufReader::new(child.0.stderr.take().ok_or("no errors")?).lines();
        Ok(Self { served, child, keyboard, lines, told: Vec::new() })
    }

    pub fn every(&self, address: u16, value: u32) -> bool {
        let emulator = self.served.emulation().emulator().lock();
        (1..=17).all(|id| emulator.register(id, address, 1) == Some(value))
    }

    pub fn angles_rad(&self) -> Vec<f64> {
        let emulator = self.served.emulation().emulator().lock();
        (1..=17).filter_map(|id| emulator.shaft_rad(id)).collect()
    }

    pub fn now(&self) -> Duration {
        self.served.emulation().emulator().lock().now()
    }

    /// Says yes until an episode runs. Every torque was allowed before.
    pub fn until_it_runs(&mut self) -> TestResult {
        let mut has_run = false;
        while let Some(line) = self.lines.next().transpose()? {
            if line.contains("Arm it?") {
                assert!(self.every(TORQUE, 0), "torque before it was allowed");
            }
            if ["Arm it?", "May it?", "Ready?"].iter().any(|question| line.contains(question)) {
                writeln!(self.keyboard, "y")?;
            }
            has_run |= line.contains("-> Run");
            let is_begun = has_run && line.contains("begins");
            self.told.push(line);
            if is_begun {
                assert!(self.every(TORQUE, 1), "{}", self.told.join("\n"));
                assert!(self.every(WATCHDOG, (WATCHDOG_S / 0.02) as u32), "not every watchdog is armed");
                return Ok(());
            }
        }
        Err(format!("it never ran:\n{}", self.told.join("\n")).into())
    }

    pub fn signal(&self, name: &str) -> TestResult {
        let status = Command::new("kill").args(["-s", name, &self.child.0.id().to_string()]).status()?;
        assert!(status.success(), "{status}");
        Ok(())
    }

    /// Within the time of the watchdog, on the servos' own clock, every servo stops, and stays where it is.
    pub fn assert_it_stops(&self) {
        let killed = self.now();
        while !self.every(WATCHDOG, TRIPPED) {
            assert!(self.now() < killed + Duration::from_secs_f64(WATCHDOG_S + 0.02), "a servo has not stopped");
            std::thread::yield_now();
        }
        let (stopped_rad, until) = (self.angles_rad(), self.now() + Duration::from_millis(200));
        while self.now() < until {
            std::thread::yield_now();
        }
        for (id, (now_rad, stopped_rad)) in (1..).zip(self.angles_rad().into_iter().zip(stopped_rad)) {
            // What fingers around a cube give.
            assert!((now_rad - stopped_rad).abs() < 0.03, "servo {id} moved by {} rad", now_rad - stopped_rad);
        }
    }

    /// Writes a line.
    pub fn write(&mut self, line: &str) -> TestResult {
        Ok(writeln!(self.keyboard, "{line}")?)
    }

    /// Reads what is told until a line has `text`; none may have `never` before.
    pub fn until(&mut self, text: &str, never: &str) -> Result<String, Box<dyn Error>> {
        while let Some(line) = self.lines.next().transpose()? {
            self.told.push(line.clone());
            if line.contains(text) {
                return Ok(line);
            }
            if line.contains(never) {
                return Err(format!("{never} before {text}:\n{}", self.told.join("\n")).into());
            }
        }
        Err(format!("no {text} in\n{}", self.told.join("\n")).into())
    }

    /// Reads all that is told until it ends; its exit code, and all.
    pub fn end(&mut self) -> Result<(Option<i32>, String), Box<dyn Error>> {
        for line in self.lines.by_ref() {
            self.told.push(line?);
        }
        Ok((self.child.0.wait()?.code(), self.told.join("\n")))
    }

    /// Within `limit_s` of the servos' own clock, all of them have `value` at `address`.
    pub fn assert_soon(&self, address: u16, value: u32, limit_s: f64) {
        let until = self.now() + Duration::from_secs_f64(limit_s);
        while !self.every(address, value) {
            assert!(self.now() < until, "not every servo has {value} at {address}\n{}", self.told.join("\n"));
            std::thread::yield_now();
        }
    }

    /// For `length_s` of the servos' own clock, no servo has anything but `value` at `address`.
    pub fn assert_stays(&self, address: u16, value: u32, length_s: f64) {
        let until = self.now() + Duration::from_secs_f64(length_s);
        while self.now() < until {
            assert!(self.every(address, value), "a servo has not {value} at {address}\n{}", self.told.join("\n"));
            std::thread::yield_now();
        }
    }
}
