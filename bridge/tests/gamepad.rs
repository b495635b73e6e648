//! Contract: whoever listens to a pad hears every press once, without waiting; the emergency stop needs nobody who
//! listens; a pad that is unplugged is reported and comes back. A virtual pad of the kernel, where there is one, is heard
//! as a real one.

use bridge::real::control_loop::EmergencyStop;
use bridge::real::gamepad::{Gamepad, GamepadConfig, GamepadError, PadButton, PadPort, PadReport, RawEvent, Sign};
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::error::Error;
use std::io;
use std::time::Duration;

type TestResult = Result<(), Box<dyn Error>>;

/// Attempts to open a pad that the kernel has just made.
const N_ATTEMPTS: usize = 10_000;

/// A pad whose events a test sends; it is unplugged when the sender is dropped.
struct Cable(Receiver<RawEvent>);

impl PadPort for Cable {
    fn wait(&mut self, events: &mut Vec<RawEvent>) -> io::Result<()> {
        match self.0.recv_timeout(Duration::from_millis(20)) {
            Ok(event) => events.push(event),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(io::Error::other("no such device")),
        }
        Ok(())
    }
}

fn config(device: Option<&str>) -> GamepadConfig {
    let buttons = vec![(PadButton::South, Sign::Yes), (PadButton::East, Sign::EStop), (PadButton::Start, Sign::Pause)];
    GamepadConfig { device: device.map(str::to_owned), buttons }
}

fn press(code: u16) -> RawEvent {
    RawEvent { kind: 1, code, value: 1 }
}

fn release(code: u16) -> RawEvent {
    RawEvent { kind: 1, code, value: 0 }
}

fn await_report(pad: &Gamepad) -> PadReport {
    loop {
        if let Some(report) = pad.next() {
            return report;
        }
        std::thread::yield_now();
    }
}

fn await_stop(e_stop: &EmergencyStop) {
    while !e_stop.is_pressed() {
        std::thread::yield_now();
    }
}

/// Contract: presses come in their order, an unplugged pad is told and a plugged one too; a button that was down when the
/// cable went is not down any more.
#[test]
fn a_pad_comes_and_goes() -> TestResult {
    let (cable, events) = bounded(8);
    let (plugs, sockets): (Sender<Receiver<RawEvent>>, _) = bounded(1);
    let reopen = move || Some((Cable(sockets.try_recv().ok()?), "second".to_owned()));
    let e_stop = EmergencyStop::default();
    let first = (Cable(events), "first".to_owned());
    let pad = Gamepad::listen(&config(None), e_stop.clone(), first, reopen, Duration::from_millis(1))?;
    assert_eq!(pad.name(), "first");
    for event in [press(0x130), press(0x130), release(0x130), press(0x13b)] {
        cable.send(event)?;
    }
    assert_eq!(await_report(&pad), PadReport::Pressed(Sign::Yes));
    assert_eq!(await_report(&pad), PadReport::Pressed(Sign::Pause));
    assert!(!e_stop.is_pressed());

    drop(cable);
    assert_eq!(await_report(&pad), PadReport::Lost("no such device".into()));
    let (cable, events) = bounded(8);
    plugs.send(events)?;
    assert_eq!(await_report(&pad), PadReport::Found("second".into()));
    // Nobody heard that the button of before went up.
    cable.send(press(0x13b))?;
    assert_eq!(await_report(&pad), PadReport::Pressed(Sign::Pause));
    Ok(())
}

/// Contract: the emergency stop is pressed though nobody asks what the pad tells, and though more was pressed than waits.
#[test]
fn the_emergency_stop_waits_for_nobody() -> TestResult {
    let (cable, events) = bounded(1);
    let e_stop = EmergencyStop::default();
    let first = (Cable(events), "pad".to_owned());
    let pad = Gamepad::listen(&config(None), e_stop.clone(), first, || None, Duration::from_millis(1))?;
    for _ in 0..100 {
        cable.send(press(0x130))?;
        cable.send(release(0x130))?;
    }
    cable.send(press(0x131))?;
    await_stop(&e_stop);
    let waiting: Vec<PadReport> = std::iter::from_fn(|| pad.next()).collect();
    assert_eq!(waiting, vec![PadReport::Pressed(Sign::Yes); 16]);
    Ok(())
}

/// Contract: without a pad in the configuration nothing is opened; one that is not there is an error that says what was
/// looked for, by path as by name, and what is there.
#[test]
fn a_pad_that_is_not_there() {
    let open = |device| Gamepad::open(&config(device), EmergencyStop::default());
    assert!(open(None).is_ok_and(|pad| pad.is_none()));
    for wanted in ["/dev/input/no such pad", "a pad that nobody makes"] {
        let error = open(Some(wanted)).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(wanted) && error.contains("found") && error.contains("in /dev/input"), "{error}");
    }
    let dumb = GamepadConfig { buttons: vec![(PadButton::South, Sign::Yes)], ..config(None) };
    assert!(matches!(Gamepad::open(&dumb, EmergencyStop::default()), Err(GamepadError::NoEStop)));
}

/// Contract: a pad of the kernel is found by its name, its presses are heard, and its end is reported.
#[test]
fn a_virtual_pad() -> TestResult {
    use evdev::uinput::VirtualDevice;
    use evdev::{AttributeSet, EventType, InputEvent, KeyCode};

    let name = format!("softflow test pad {}", std::process::id());
    let keys: AttributeSet<KeyCode> = [0x130, 0x131, 0x13b].into_iter().map(KeyCode).collect();
    let built = VirtualDevice::builder().and_then(|pad| pad.name(&name).with_keys(&keys)?.build());
    let mut kernel = match built {
        Ok(kernel) => kernel,
        Err(error) => {
            println!("skipped: /dev/uinput cannot be used here: {error}");
            return Ok(());
        }
    };
    let e_stop = EmergencyStop::default();
    // The node of a new device is there a moment after the device, and may be read another moment later.
    let mut opened = Err("never tried".to_owned());
    for _ in 0..N_ATTEMPTS {
        opened = match Gamepad::open(&config(Some(&name)), e_stop.clone()) {
            Err(error @ GamepadError::NotFound { .. }) => Err(error.to_string()),
            other => Ok(other?.ok_or("no pad")?),
        };
        if opened.is_ok() {
            break;
        }
        std::thread::yield_now();
    }
    let pad = match opened {
        Ok(pad) => pad,
        Err(error) => {
            println!("skipped: the kernel has a pad, and this user may not read it: {error}");
            return Ok(());
        }
    };
    let events = |code, values: [i32; 2]| values.map(|value| InputEvent::new(EventType::KEY.0, code, value));
    kernel.emit(&events(0x130, [1, 0]))?;
    assert_eq!(await_report(&pad), PadReport::Pressed(Sign::Yes));
    kernel.emit(&events(0x131, [1, 0]))?;
    await_stop(&e_stop);
    drop(kernel);
    assert!(matches!(await_report(&pad), PadReport::Lost(_)));
    Ok(())
}
