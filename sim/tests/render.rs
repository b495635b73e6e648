//! Contract: the binary shows a moving hand in the best way that a machine has, and says why where that is not the first
//! one: a recording without a display, text without a graphics driver.
//!
//! These tests need a Vulkan driver; one that needs no graphics card is enough.

#![cfg(feature = "viewer")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, and so do its helpers")]

use bridge::{Body, BodyError};
use sim::{CubeScene, Domain, Simulated};
use std::collections::HashSet;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::{Command, Output};

/// The binary, run in `folder` as on a machine without a display.
fn sim(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sim"));
    command.current_dir(folder).args(arguments).env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    command
}

/// The same, as on a machine without a graphics driver.
fn sim_without_driver(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = sim(folder, arguments);
    command.env("VK_ICD_FILENAMES", "/nonexistent").env("VK_DRIVER_FILES", "/nonexistent");
    command
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Runs a recording and checks that it was one.
fn record(mut command: Command) -> String {
    let output = command.output().unwrap();
    let said = text(&output);
    assert!(
        !said.contains("No recording"),
        "this test needs a Vulkan driver: apt-get install libvulkan1 mesa-vulkan-drivers\n{said}"
    );
    assert!(output.status.success(), "{said}");
    said
}

/// Red, green, blue of all pixels.
fn read_png(path: &Path) -> (u32, u32, Vec<[u8; 3]>) {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut reader = png::Decoder::new(BufReader::new(file)).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Rgba, png::BitDepth::Eight));
    (info.width, info.height, bytes.as_chunks::<4>().0.iter().map(|&[r, g, b, _]| [r, g, b]).collect())
}

fn n_colors(pixels: &[[u8; 3]]) -> usize {
    pixels.iter().collect::<HashSet<_>>().len()
}

/// Mean absolute difference of the channels, 0..255.
fn difference(a: &[[u8; 3]], b: &[[u8; 3]]) -> f64 {
    let channels = a.as_flattened().iter().zip(b.as_flattened());
    channels.map(|(&a, &b)| f64::from(a.abs_diff(b))).sum::<f64>() / a.as_flattened().len() as f64
}

/// Contract: a folder gets one complete picture every 1/20 s, in order, and they show motion.
#[test]
fn a_series_shows_motion() {
    let folder = tempfile::tempdir().unwrap();
    record(sim(folder.path(), &["--record", "frames/", "--seconds", "1", "--size", "160x90"]));
    let mut names: Vec<_> = std::fs::read_dir(folder.path().join("frames"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, (0..20).map(|index| format!("frame_{index:04}.png")).collect::<Vec<_>>());

    let pictures: Vec<_> = names.iter().map(|name| read_png(&folder.path().join("frames").join(name))).collect();
    for ((width, height, pixels), name) in pictures.iter().zip(&names) {
        assert_eq!((*width, *height), (160, 90), "{name}");
        assert!(n_colors(pixels) > 200, "{name} has {} colours, expected a hand with a cube", n_colors(pixels));
    }
    for (pair, name) in pictures.windows(2).zip(&names) {
        assert!(difference(&pair[0].2, &pair[1].2) > 0.0, "{name} and the next picture are the same");
    }
    let moved = difference(&pictures[0].2, &pictures[19].2);
    assert!(moved > 1.0, "within a second pictures changed by {moved:.2} of 255 levels, expected visible motion");
}

/// Contract: an animation has the right size, length and pace, and moves; the same seed gives the same bytes.
#[test]
fn an_animation_is_reproducible() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--seconds", "0.5", "--size", "160x90", "--policy", "random", "--headless"];
    for path in ["a.gif", "b.gif"] {
        let mut command = sim(folder.path(), &arguments);
        command.args(["--record", path, "--seed", "7"]);
        let said = record(command);
        assert!(said.contains(path), "it does not say where it recorded to: {said}");
    }
    let bytes = std::fs::read(folder.path().join("a.gif")).unwrap();
    assert!(bytes == std::fs::read(folder.path().join("b.gif")).unwrap(), "the same seed gave two animations");

    let mut decoder = gif::DecodeOptions::new().read_info(bytes.as_slice()).unwrap();
    assert_eq!((decoder.width(), decoder.height()), (160, 90));
    let mut n_changed = Vec::new();
    while let Some(frame) = decoder.read_next_frame().unwrap() {
        assert_eq!(frame.delay, 5, "a picture stays for 5/100 s");
        n_changed.push(frame.buffer.iter().filter(|&&index| Some(index) != frame.transparent).count());
    }
    assert_eq!((n_changed.len(), n_changed[0]), (10, 160 * 90), "{n_changed:?}");
    assert!(n_changed[1..].iter().all(|&n| n > 100), "pixels that changed: {n_changed:?}");
}

/// Contract: a still is the last moment; every hand and every domain can be shown.
#[test]
fn stills_show_every_hand() {
    let folder = tempfile::tempdir().unwrap();
    let mut pictures: Vec<Vec<[u8; 3]>> = Vec::new();
    for (hand, domain) in [("orca_v2", "nominal"), ("orca_v2", "shifted"), ("reference16", "nominal")] {
        let arguments =
            ["--record", "still.png", "--seconds", "2", "--size", "160x90", "--hand", hand, "--domain", domain];
        record(sim(folder.path(), &arguments));
        let (width, height, pixels) = read_png(&folder.path().join("still.png"));
        assert_eq!((width, height), (160, 90));
        assert!(n_colors(&pixels) > 200, "{hand} in {domain} has {} colours", n_colors(&pixels));
        assert!(
            pictures.iter().all(|before| difference(before, &pixels) > 0.1),
            "{hand} in {domain} looks like another"
        );
        pictures.push(pixels);
    }
}

/// Contract: without a display a recording is made and it is said why and where; a display that cannot be reached is
/// none.
#[test]
fn without_a_display_it_records() {
    let folder = tempfile::tempdir().unwrap();
    for display in [None, Some(":4711")] {
        let mut command = sim(folder.path(), &["--seconds", "0.1", "--size", "64x36"]);
        command.envs(display.map(|display| ("DISPLAY", display)));
        let said = record(command);
        assert!(said.contains("No window") && said.contains("because") && said.contains("out/cube.gif"), "{said}");
        std::fs::remove_file(folder.path().join("out/cube.gif")).unwrap();
    }
}

/// Contract: without a graphics driver the rollout is printed, and it is said why; a recording that was asked for is
/// reported as lost.
#[test]
fn without_a_driver_it_prints() {
    let folder = tempfile::tempdir().unwrap();
    let output = sim_without_driver(folder.path(), &["--seconds", "3"]).output().unwrap();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("No recording, but text, because") && said.contains("mesa-vulkan-drivers"), "{said}");
    let rows = rows(&output);
    assert_eq!(rows.iter().map(|row| row[0]).collect::<Vec<_>>(), [0.0, 1.0, 2.0, 3.0], "{said}");
    assert!(rows[3][1] > 0.5, "the demonstrator turned the cube by {} rad in 3 s", rows[3][1]);

    let lost = sim_without_driver(folder.path(), &["--seconds", "0.1", "--record", "a.gif"]).output().unwrap();
    assert_eq!(lost.status.code(), Some(3), "{}", text(&lost));
    assert!(!folder.path().join("a.gif").exists());
}

/// Contract: the same seed prints the same rollout, another one another.
#[test]
fn the_seed_names_the_rollout() {
    let folder = tempfile::tempdir().unwrap();
    let print = |seed: &str| {
        let arguments = ["--policy", "random", "--domain", "shifted", "--seconds", "2", "--headless", "--seed", seed];
        sim_without_driver(folder.path(), &arguments).output().unwrap().stdout
    };
    assert!(print("1") == print("1"));
    assert!(print("1") != print("2"));
}

/// Rows of numbers that were printed.
fn rows(output: &Output) -> Vec<Vec<f64>> {
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| line.split_whitespace().map_while(|word| word.parse().ok()).collect())
        .filter(|row: &Vec<f64>| row.len() == 7)
        .collect()
}

/// Contract: the scissors task is shown by its demonstrator unless another policy is asked for: red handles are seen from
/// the first picture on and move; as text, the scissors are held and then the tape is cut, and a new episode follows.
#[test]
fn the_scissors_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let mut pictures = Vec::new();
    for seconds in ["0.1", "4", "9"] {
        let arguments = ["--task", "scissors", "--record", "still.png", "--seconds", seconds, "--size", "160x90"];
        record(sim(folder.path(), &arguments));
        let (_, _, pixels) = read_png(&folder.path().join("still.png"));
        let n_red = pixels.iter().filter(|&&[r, g, b]| r > 100 && r > 2 * g && r > 2 * b).count();
        assert!(n_red > 20 && n_colors(&pixels) > 200, "{seconds} s: {n_red} pixels of the handles");
        pictures.push(pixels);
    }
    assert!(pictures.windows(2).all(|pair| difference(&pair[0], &pair[1]) > 1.0), "nothing moves");

    let output = sim_without_driver(folder.path(), &["--task", "scissors", "--headless"]).output().unwrap();
    let rows = rows(&output);
    let when = |column: usize| rows.iter().find(|row| row[column] == 1.0).map(|row| row[0]);
    let (held_s, cut_s) = (when(4).unwrap(), when(5).unwrap());
    assert!(held_s < cut_s && rows.iter().filter(|row| row[0] == 0.0).count() == 2, "{}", text(&output));
    for policy in ["zero", "random"] {
        let arguments = ["--task", "scissors", "--policy", policy, "--seconds", "1", "--headless"];
        let output = sim_without_driver(folder.path(), &arguments).output().unwrap();
        assert!(output.status.success() && text(&output).contains(policy), "{}", text(&output));
    }
}

/// Contract: the dump of a fault is shown up to the fault, which is told; a file that is none is refused.
#[test]
fn a_fault_is_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let scene = CubeScene::load("orca_v2").unwrap().with_fault_folder(folder.path());
    let mut body = scene.body(Domain::load("nominal").unwrap());
    body.reset(2).unwrap();
    for _ in 0..30 {
        body.command(&scene.start().holding_rad).unwrap();
    }
    body.push(0, [0.0, 0.0, f32::NAN]);
    let Err(BodyError::SimFault { dump: Some(path), .. }) = body.command(&scene.start().holding_rad) else {
        panic!("the physics did not fail")
    };
    let path = path.to_string_lossy().into_owned();
    let said = record(sim(folder.path(), &["--replay", &path, "--record", "fault.png", "--size", "160x90"]));
    assert!(said.contains("cube: velocity") && said.contains("NaN"), "{said}");
    let output = sim_without_driver(folder.path(), &["--replay", &path, "--headless"]).output().unwrap();
    let last = rows(&output).pop().unwrap();
    assert!((last[0] - 0.5).abs() < 1e-9 && text(&output).contains("sim_fault"), "{}", text(&output));

    let output = sim(folder.path(), &["--replay", "Cargo.toml", "--headless"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
}

/// Contract: a command line that makes no sense is refused with exit code 2, and says what would make sense.
#[test]
fn nonsense_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, hint) in [
        (["--hand", "hook"], "reference16"),
        (["--task", "juggle"], "cube"),
        (["--domain", "mars"], "shifted"),
        (["--policy", "no/such/run"], "demo"),
        (["--seconds", "NaN"], "above 0"),
        (["--speed", "0"], "above 0"),
        (["--record", "cube.mp4"], ".gif"),
        (["--size", "huge"], "640x360"),
        (["--colour", "red"], "--help"),
    ] {
        let output = sim(folder.path(), &arguments).output().unwrap();
        let said = text(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(hint), "{arguments:?}: {said}");
    }
    let empty = sim(folder.path(), &["--policy", ".", "--headless"]).output().unwrap();
    assert_eq!(empty.status.code(), Some(1), "a folder without a policy: {}", text(&empty));
}
