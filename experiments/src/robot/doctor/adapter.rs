//! The adapter between this machine and the bus: whether it is there, whether it may be used, and how long it keeps
//! what it receives.

use super::{Examination, Verdict, is_permission};
use bridge::real::port::PortError;
use std::path::Path;

/// Looks at what the system says about the port; `devices` is where it lists USB adapters.
pub(super) fn examine(port: &Path, devices: &Path, examination: &mut Examination) {
    // A link such as those in /dev/serial/by-id names the device itself.
    let device = std::fs::canonicalize(port).unwrap_or_else(|_| port.to_owned());
    let Some(name) = device.file_name() else { return };
    let timer = devices.join(name).join("latency_timer");
    let Ok(text) = std::fs::read_to_string(&timer) else {
        if port.exists() {
            let found = format!("{} has no latency timer: not a USB adapter of FTDI's", port.display());
            examination.note("adapter", Verdict::Note, found, "nothing, if the loop below keeps its rate");
        }
        return;
    };
    match text.trim().parse::<u32>() {
        Ok(1) => examination.good("adapter", "latency timer 1 ms"),
        Ok(found_ms) => examination.note(
            "adapter",
            Verdict::Bad,
            format!("latency timer {found_ms} ms, expected 1: every answer of the servos waits that long"),
            format!("echo 1 | sudo tee {}; docs/hardware.md has the udev rule that keeps it", timer.display()),
        ),
        Err(_) => examination.note(
            "adapter",
            Verdict::Warning,
            format!("{} holds {text:?}, expected a number of ms", timer.display()),
            "see to it by hand: it should be 1",
        ),
    }
}

/// What to do about a port that does not open.
pub(super) fn advice(port: &Path, error: &PortError) -> String {
    if is_permission(error) {
        return "sudo usermod -aG dialout $USER, then log out and in".into();
    }
    if port.exists() {
        return "end the program that has it; is it a serial port at all?".into();
    }
    match candidates(Path::new("/dev")) {
        found if found.is_empty() => {
            "plug the adapter in, look at `dmesg`; this machine has no serial port now. It has one under another name? \
             Give it with --port. Without a hand: --backend emulated"
                .into()
        }
        found => format!("this machine has {}; give the hand's with --port", found.join(", ")),
    }
}

/// Serial ports of this machine.
fn candidates(devices: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(devices).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut found: Vec<String> =
        names.filter(|name| name.starts_with("ttyUSB") || name.starts_with("ttyACM")).collect();
    found.sort();
    found.into_iter().map(|name| format!("{}/{name}", devices.display())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bridge::storage::write_atomic;

    /// Contract: a latency timer of 1 ms is good, any other is not, and the advice names the file to write.
    #[test]
    fn latency_timers_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let (port, devices) = (folder.path().join("ttyUSB7"), folder.path().join("devices"));
        write_atomic(&port, b"").unwrap();
        std::fs::create_dir_all(devices.join("ttyUSB7")).unwrap();
        for (text, verdict) in [("1\n", Verdict::Good), ("16\n", Verdict::Bad), ("many\n", Verdict::Warning)] {
            write_atomic(&devices.join("ttyUSB7/latency_timer"), text.as_bytes()).unwrap();
            let mut examination = Examination::default();
            examine(&port, &devices, &mut examination);
            assert_eq!(examination.checks.len(), 1);
            assert_eq!(examination.checks[0].verdict, verdict, "{text}");
            let says_where = examination.checks[0].advice.contains("ttyUSB7/latency_timer");
            assert_eq!(says_where, verdict == Verdict::Bad);
        }
    }

    /// Contract: a port that is not there is answered with those that are.
    #[test]
    fn ports_are_listed() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["ttyUSB1", "ttyUSB0", "ttyS0", "ttyACM3"] {
            write_atomic(&folder.path().join(name), b"").unwrap();
        }
        let names: Vec<String> =
            candidates(folder.path()).iter().map(|path| path.rsplit('/').next().unwrap_or_default().into()).collect();
        assert_eq!(names, ["ttyACM3", "ttyUSB0", "ttyUSB1"]);
    }
}
