//! Pads of this machine: input devices with at least one of the buttons that mean something.

use super::reader::PadPort;
use super::sticks::{AXES, AxisRange};
use super::{GamepadConfig, GamepadError, PadButton, RawEvent};
use evdev::{AbsoluteAxisCode, Device, KeyCode};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io;
use std::path::{Path, PathBuf};

/// How long an event is waited for, ns: short enough to be asked to end.
const PATIENCE_NS: i64 = 100_000_000;
const FOLDER: &str = "/dev/input";

/// A pad that was opened.
#[derive(Debug)]
pub(super) struct PadDevice {
    device: Device,
}

impl PadDevice {
    fn of(device: Device, name: &str) -> Result<Self, GamepadError> {
        device.set_nonblocking(true).map_err(|source| GamepadError::Io { name: name.into(), source })?;
        Ok(Self { device })
    }

    /// Appends what has happened. Never waits.
    pub(super) fn fetch(&mut self, events: &mut Vec<RawEvent>) -> io::Result<()> {
        match self.device.fetch_events() {
            Ok(fetched) => {
                let raw = |event: evdev::InputEvent| RawEvent {
                    kind: event.event_type().0,
                    code: event.code(),
                    value: event.value(),
                };
                events.extend(fetched.map(raw));
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Opens the pad that `wanted` means; its name.
pub(super) fn open(wanted: &str, config: &GamepadConfig) -> Result<(PadDevice, String), GamepadError> {
    let found = if wanted.starts_with('/') { open_path(wanted, config) } else { find(wanted, config) };
    let (device, name) = found.map_err(|found| GamepadError::NotFound { wanted: wanted.into(), found })?;
    if !config.stops().any(|button| has(&device, button)) {
        let missing = config.stops().map(|button| format!("{button:?}")).collect::<Vec<_>>().join(" or ");
        return Err(GamepadError::CannotStop { name, missing });
    }
    Ok((PadDevice::of(device, &name)?, name))
}

/// The first pad with two sticks, its name, and the ranges of [`AXES`].
pub(super) fn with_sticks() -> Result<Option<(PadDevice, String, [AxisRange; 4])>, GamepadError> {
    for (device, name) in pads(|device| has(device, PadButton::South)).0 {
        if let Some(ranges) = ranges(&device) {
            return Ok(Some((PadDevice::of(device, &name)?, name, ranges)));
        }
    }
    Ok(None)
}

fn ranges(device: &Device) -> Option<[AxisRange; 4]> {
    let axes: Vec<_> = device.get_absinfo().ok()?.collect();
    let range = |code: u16| {
        let (_, info) = axes.iter().find(|(axis, _)| axis.0 == code)?;
        Some((info.minimum(), info.maximum()))
    };
    let [left_x, left_y, right_x, right_y] = AXES.map(range);
    Some([left_x?, left_y?, right_x?, right_y?])
}

impl PadPort for PadDevice {
    fn wait(&mut self, events: &mut Vec<RawEvent>) -> io::Result<()> {
        let patience = Timespec { tv_sec: 0, tv_nsec: PATIENCE_NS };
        match poll(&mut [PollFd::new(&self.device, PollFlags::IN)], Some(&patience)) {
            Ok(0) | Err(Errno::INTR) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        self.fetch(events)
    }
}

fn open_path(path: &str, config: &GamepadConfig) -> Result<(Device, String), String> {
    let device = Device::open(path)
        .map_err(|error| format!("{error} ({})", pads(|device| means_something(device, config)).1))?;
    let name = name_of(&device, Path::new(path));
    Ok((device, name))
}

fn find(wanted: &str, config: &GamepadConfig) -> Result<(Device, String), String> {
    let (pads, told) = pads(|device| means_something(device, config));
    let wanted = wanted.to_lowercase();
    let mut fitting = pads.into_iter().filter(|(_, name)| name.to_lowercase().contains(&wanted));
    match (fitting.next(), fitting.next()) {
        (Some(pad), None) => Ok(pad),
        _ => Err(told),
    }
}

fn means_something(device: &Device, config: &GamepadConfig) -> bool {
    config.buttons.iter().any(|&(button, _)| has(device, button))
}

/// The devices of this machine of which `is_pad`, and in words what there is.
fn pads(is_pad: impl Fn(&Device) -> bool) -> (Vec<(Device, String)>, String) {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(FOLDER).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("event")));
    paths.sort();
    let (mut pads, mut n_closed) = (Vec::new(), 0);
    for path in paths {
        match Device::open(&path) {
            Ok(device) if is_pad(&device) => {
                let name = name_of(&device, &path);
                pads.push((device, name));
            }
            Ok(_) => {}
            Err(_) => n_closed += 1,
        }
    }
    let names: Vec<&str> = pads.iter().map(|(_, name)| name.as_str()).collect();
    let there = if names.is_empty() { "no pad".to_owned() } else { names.join(", ") };
    let told = format!("{there} in {FOLDER}, and {n_closed} devices that this user may not open");
    (pads, told)
}

fn has(device: &Device, button: PadButton) -> bool {
    let code = PadButton::ALL.iter().find(|(other, _)| *other == button).map(|&(_, code)| KeyCode(code));
    let is_key = code.is_some_and(|code| device.supported_keys().is_some_and(|keys| keys.contains(code)));
    let axis = match button {
        PadButton::Up | PadButton::Down => AbsoluteAxisCode::ABS_HAT0Y,
        PadButton::Left | PadButton::Right => AbsoluteAxisCode::ABS_HAT0X,
        _ => return is_key,
    };
    is_key || device.supported_absolute_axes().is_some_and(|axes| axes.contains(axis))
}

fn name_of(device: &Device, path: &Path) -> String {
    device.name().map_or_else(|| path.display().to_string(), str::to_owned)
}
