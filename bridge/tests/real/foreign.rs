//! Contract: other people's clients send what we send, byte for byte, and read from the emulated servos what we read.

use crate::rig::{BAUD, TestResult, emulator, milliseconds};
use bridge::real::bus::{Bus, BusTiming, SyncBlocks};
use bridge::real::dynamixel::Instruction;
use bridge::real::dynamixel::control_table as table;
use bridge::real::emulator::PseudoTerminal;
use bridge::real::port::SerialLine;
use dynamixel2::instructions::SyncWriteData;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustypot::DynamixelProtocolHandler;
use std::error::Error;
use std::io::Read;
use std::process::Command;
use std::time::Duration;

/// The far end of a terminal on which somebody sends.
struct Wiretap {
    far_end: std::fs::File,
    path: String,
}

impl Wiretap {
    fn new() -> Result<Self, Box<dyn Error>> {
        let far_end = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&far_end)?;
        unlockpt(&far_end)?;
        let path = ptsname(&far_end, Vec::new())?.into_string()?;
        Ok(Self { far_end: far_end.into(), path })
    }

    /// The next `n_bytes`.
    fn take(&mut self, n_bytes: usize) -> Result<Vec<u8>, Box<dyn Error>> {
        let mut bytes = Vec::new();
        while bytes.len() < n_bytes {
            let timeout = Timespec { tv_sec: 10, tv_nsec: 0 };
            if poll(&mut [PollFd::new(&self.far_end, PollFlags::IN)], Some(&timeout))? == 0 {
                return Err(format!("they sent {bytes:x?}, and not {n_bytes} bytes").into());
            }
            let mut part = vec![0; n_bytes - bytes.len()];
            let n_read = self.far_end.read(&mut part)?;
            bytes.extend_from_slice(&part[..n_read]);
        }
        Ok(bytes)
    }
}

/// Data that has to be stuffed at its begin, at its end, or not at all.
const DATA: [[u8; 4]; 4] =
    [[0xFF, 0xFF, 0xFD, 0x00], [0x00, 0xFF, 0xFF, 0xFD], [0xFD, 0xFF, 0xFF, 0xFF], [0x01, 0x02, 0x03, 0x04]];
/// Stuffed too, but not by everybody: dynamixel2 0.9 loses its place at the third FF and sends this as it is.
const THREE_FF: [u8; 4] = [0xFF, 0xFF, 0xFF, 0xFD];

fn encode(instruction: Instruction<'_>) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut packet = Vec::new();
    instruction.encode(&mut packet)?;
    Ok(packet)
}

#[test]
fn dynamixel2_sends_the_same_bytes() -> TestResult {
    let mut tap = Wiretap::new()?;
    let buffers = || vec![0; 512];
    let mut theirs = dynamixel2::Bus::open_with_buffers(&tap.path, BAUD, buffers(), buffers())?;
    let mut compare = |ours: Instruction<'_>| -> TestResult {
        let ours = encode(ours)?;
        assert_eq!(tap.take(ours.len())?, ours);
        Ok(())
    };
    theirs.write_instruction(7, 0x01, 0, |_| {})?;
    compare(Instruction::Ping { id: 7 })?;
    theirs.write_instruction(7, 0x08, 0, |_| {})?;
    compare(Instruction::Reboot { id: 7 })?;
    theirs.write_instruction(7, 0x02, 4, |params| params.copy_from_slice(&[126, 0, 10, 0]))?;
    compare(Instruction::Read { id: 7, address: 126, length: 10 })?;
    theirs.write_instruction(0xFE, 0x82, 7, |params| params.copy_from_slice(&[126, 0, 10, 0, 3, 1, 2]))?;
    compare(Instruction::SyncRead { ids: &[3, 1, 2], address: 126, length: 10 })?;
    for data in DATA {
        theirs
            .write_instruction(7, 0x03, 6, |params| params.copy_from_slice(&[&[116, 0], data.as_slice()].concat()))?;
        compare(Instruction::Write { id: 7, address: 116, data: &data })?;
        let blocks = [SyncWriteData { motor_id: 1, data }, SyncWriteData { motor_id: 2, data }];
        theirs.sync_write(116, 4, &blocks)?;
        compare(Instruction::SyncWrite { ids: &[1, 2], address: 116, length: 4, data: &[data, data].concat() })?;
    }
    Ok(())
}

/// It wants an answer to what it sends; none comes, and what it sent is compared all the same.
#[test]
fn rustypot_sends_the_same_bytes() -> TestResult {
    let mut tap = Wiretap::new()?;
    let mut port = serialport::new(&tap.path, BAUD).timeout(Duration::from_millis(1)).open()?;
    let theirs = DynamixelProtocolHandler::v2();
    let mut compare = |ours: Instruction<'_>| -> TestResult {
        let ours = encode(ours)?;
        assert_eq!(tap.take(ours.len())?, ours);
        Ok(())
    };
    assert!(theirs.read(port.as_mut(), 7, 126, 10).is_err());
    compare(Instruction::Read { id: 7, address: 126, length: 10 })?;
    assert!(theirs.sync_read(port.as_mut(), &[3, 1, 2], 126, 10).is_err());
    compare(Instruction::SyncRead { ids: &[3, 1, 2], address: 126, length: 10 })?;
    assert!(theirs.fast_sync_read(port.as_mut(), &[3, 1, 2], 126, 10).is_err());
    compare(Instruction::FastSyncRead { ids: &[3, 1, 2], address: 126, length: 10 })?;
    for data in DATA.into_iter().chain([THREE_FF]) {
        assert!(theirs.write(port.as_mut(), 7, 116, &data).is_err());
        compare(Instruction::Write { id: 7, address: 116, data: &data })?;
        theirs.sync_write(port.as_mut(), &[1, 2], 116, &[data.to_vec(), data.to_vec()])?;
        compare(Instruction::SyncWrite { ids: &[1, 2], address: 116, length: 4, data: &[data, data].concat() })?;
    }
    Ok(())
}

/// All three read the same registers of the same servos, stuffed ones too.
#[test]
fn everybody_reads_the_same() -> TestResult {
    const IDS: [u8; 3] = [4, 3, 2];
    let emulator = emulator()?;
    let terminal = PseudoTerminal::serve(emulator.clone(), 1.0.try_into()?)?;
    for id in IDS {
        // Goal current -1 and goal velocity -3: FF FF FD FF FF FF.
        emulator.lock().set_register(id, 102, 2, 0xFFFF);
        emulator.lock().set_register(id, 104, 4, 0xFFFF_FFFD);
    }
    let place = (100, 12);

    let line = SerialLine::open(terminal.path(), BAUD)?;
    let timing = BusTiming { return_delay: Duration::from_micros(500), margin: milliseconds(200) };
    let mut ours = Bus::new(line, timing);
    let mut blocks = SyncBlocks::new(&IDS, place);
    let mut read = |is_fast: bool| -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
        if !is_fast {
            ours.forbid_fast();
        }
        let deadline = ours.now() + Duration::from_secs(10);
        assert_eq!(ours.sync_read(&mut blocks, deadline)?, 0);
        assert_eq!(ours.counters().n_fast_failures, 0);
        Ok((0..IDS.len()).filter_map(|index| blocks.fresh(index)).map(|block| block.data.to_vec()).collect())
    };
    let expected: Vec<Vec<u8>> = IDS
        .iter()
        .map(|&id| (100..112).map(|address| emulator.lock().register(id, address, 1).unwrap() as u8).collect())
        .collect();
    assert_eq!(read(true)?, expected, "ours, fast");
    assert_eq!(read(false)?, expected, "ours");
    drop(ours);

    let mut port = serialport::new(terminal.path().to_string_lossy(), BAUD).timeout(Duration::from_secs(2)).open()?;
    let rustypot = DynamixelProtocolHandler::v2();
    assert_eq!(
        rustypot.sync_read(port.as_mut(), &IDS, 100, 12).map_err(|error| error.to_string())?,
        expected,
        "rustypot"
    );
    assert_eq!(
        rustypot.fast_sync_read(port.as_mut(), &IDS, 100, 12).map_err(|error| error.to_string())?,
        expected,
        "rustypot, fast"
    );
    drop(port);

    let mut dynamixel2 = dynamixel2::Bus::open_with_buffers(terminal.path(), BAUD, vec![0; 512], vec![0; 512])?;
    let found = dynamixel2.sync_read(&IDS, 100, 12)?;
    assert_eq!(found.into_iter().map(|response| response.data).collect::<Vec<_>>(), expected, "dynamixel2");
    let written = dynamixel2.write_u32(4, 116, 0x00FD_FFFF);
    assert!(written.is_err(), "0x00FDFFFF is no position, and the servo says so: {written:?}");
    dynamixel2.write_u32(4, 108, 1234)?;
    assert_eq!(emulator.lock().register(4, 108, 4), Some(1234));
    assert_eq!(table::PROFILE_ACCELERATION.address, 108);
    Ok(())
}

const PYTHON: &str = include_str!("stock_client.py");

/// The maker's own Python client finds, reads and drives the emulated servos. Without Python, the package or a network to
/// fetch it from, this says so and passes.
#[test]
fn the_makers_client_drives_the_servos() -> TestResult {
    let folder = tempfile::tempdir()?;
    let Some(python) = python_with_sdk(folder.path()) else {
        eprintln!("skipped: there is no python3 with dynamixel-sdk, and none could be installed");
        return Ok(());
    };
    let emulator = emulator()?;
    let terminal = PseudoTerminal::serve(emulator.clone(), 1.0.try_into()?)?;
    let output = Command::new(python).arg("-c").arg(PYTHON).arg(terminal.path()).output()?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert_eq!(out.lines().last(), Some("all well"), "{out}");
    let lock = emulator.lock();
    assert_eq!((lock.register(4, 64, 1), lock.register(4, 116, 4)), (Some(1), Some(2100)));
    assert_eq!((lock.register(3, 116, 4), lock.register(2, 116, 4)), (Some(2000), Some(2200)));
    Ok(())
}

/// The system's Python if it has the package, else one in a new environment under `folder`.
fn python_with_sdk(folder: &std::path::Path) -> Option<std::path::PathBuf> {
    let runs = |program: &std::path::Path, arguments: &[&str]| {
        Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
    };
    let system = std::path::PathBuf::from("python3");
    if runs(&system, &["-c", "import dynamixel_sdk"]) {
        return Some(system);
    }
    let environment = folder.join("environment");
    let own = environment.join("bin/python");
    let is_ready = runs(&system, &["-m", "venv", environment.to_str()?])
        && runs(
            &own,
            &["-m", "pip", "install", "--quiet", "--retries", "1", "--timeout", "10", "dynamixel-sdk==4.1.0"],
        );
    is_ready.then_some(own)
}
