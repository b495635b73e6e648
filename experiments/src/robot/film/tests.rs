//! Films of cameras that a test feeds.

use super::index::{EpisodeNote, Fate, FrameLine, Piece};
use super::writer::{Order, Shot, Store, Writer};
use super::*;
use bridge::real::camera::{Frame, FrameFormat};
use bridge::real::clock::VirtualClock;
use bridge::storage::crc32;
use std::sync::Mutex;

fn palm() -> CameraConfig {
    CameraConfig {
        name: "palm".into(),
        device: "/dev/video0".into(),
        size_px: (64, 32),
        format: FrameFormat::Mjpeg,
        rate_hz: 10.0.try_into().unwrap(),
        shortest_latency_s: 0.0.try_into().unwrap(),
    }
}

fn filming(n_waiting: u16) -> FilmingConfig {
    FilmingConfig {
        n_waiting: NonZeroU16::new(n_waiting).unwrap(),
        silent_after_s: 0.5.try_into().unwrap(),
        least_free_gb: 0.0.try_into().unwrap(),
    }
}

fn frame(time_s: f64) -> Frame {
    let bytes = format!("picture of {time_s}").into_bytes();
    Frame { time_s, size_px: (64, 32), format: FrameFormat::Mjpeg, bytes }
}

fn kept() -> EpisodeNote {
    let pieces = vec![Piece { seed: Some(7), record: None, observed_s: vec![1.0, 1.05] }];
    EpisodeNote { fate: Fate::Kept, pieces }
}

fn index(folder: &Path) -> Vec<FrameLine> {
    let text = std::fs::read_to_string(folder.join("palm/index.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn times_s(folder: &Path) -> Vec<f64> {
    index(folder).iter().map(|line| line.time_s).collect()
}

/// A camera that is unplugged when its sender is dropped.
struct Fed(Receiver<Frame>);

impl FrameSource for Fed {
    fn next(&mut self, frame: &mut Frame) -> Result<bool, CameraError> {
        match self.0.recv_timeout(Duration::from_millis(20)) {
            Ok(next) => {
                *frame = next;
                Ok(true)
            }
            Err(error) if error.is_timeout() => Ok(false),
            Err(error) => Err(CameraError::Lost {
                name: "palm".into(),
                device: "/dev/video0".into(),
                source: io::Error::other(error),
            }),
        }
    }
}

/// A disk whose free bytes a test sets; a write takes 16 of them, and fails where there are less.
#[derive(Clone)]
struct SmallDisk(Arc<Mutex<u64>>);

impl Store for SmallDisk {
    fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut free = self.0.lock().unwrap();
        *free = free.checked_sub(16).ok_or_else(|| io::Error::from(io::ErrorKind::StorageFull))?;
        Disk.write(path, bytes)
    }

    fn free_bytes(&mut self, _folder: &Path) -> io::Result<u64> {
        Ok(*self.0.lock().unwrap())
    }
}

struct Desk {
    folder: tempfile::TempDir,
    writer: Writer,
    shots: Sender<Shot>,
    orders: Sender<Order>,
    reports: Receiver<String>,
    free: Arc<Mutex<u64>>,
}

impl Desk {
    fn new(n_waiting: u16, config: FilmingConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (shots, shots_in) = bounded(usize::from(n_waiting));
        let (orders, orders_in) = bounded(8);
        let (reports_out, reports) = bounded(8);
        let free = Arc::new(Mutex::new(u64::MAX));
        let store = Box::new(SmallDisk(Arc::clone(&free)));
        let inputs = (shots_in, orders_in);
        let writer = Writer::new(folder.path(), vec!["palm".into()], config, store, inputs, reports_out).unwrap();
        Self { folder, writer, shots, orders, reports, free }
    }

    fn take(&mut self, times_s: &[f64]) {
        for &time_s in times_s {
            self.shots.send(Shot { camera_idx: 0, n_dropped: 0, frame: frame(time_s) }).unwrap();
            self.writer.serve();
        }
    }

    fn order(&mut self, order: Order) {
        self.orders.send(order).unwrap();
        self.writer.serve();
    }

    fn episode(&self, n: u64) -> std::path::PathBuf {
        self.folder.path().join(n.to_string())
    }
}

/// Contract: an episode has the frames of its time and the one before, in order, whenever its beginning and its end are
/// heard of; what was taken later is gone; it says what became of it, and a discarded one leaves nothing.
#[test]
fn frames_of_their_episode() {
    let mut desk = Desk::new(8, filming(8));
    desk.take(&[0.7, 0.8, 0.9, 1.0, 1.1]);
    desk.order(Order::Begin { at_s: 0.95 });
    desk.take(&[1.2, 1.3, 1.4]);
    desk.order(Order::End { at_s: 1.3 });
    assert!(!desk.episode(1).join("episode.json").exists());
    desk.order(Order::Judge(kept()));
    assert_eq!(times_s(&desk.episode(1)), [0.9, 1.0, 1.1, 1.2, 1.3]);
    let lines = index(&desk.episode(1));
    for line in &lines {
        let bytes = std::fs::read(desk.episode(1).join("palm").join(&line.file)).unwrap();
        assert_eq!((line.bytes, line.crc32, line.size_px), (bytes.len(), crc32(&bytes), (64, 32)));
        assert_eq!(bytes, frame(line.time_s).bytes);
    }
    assert_eq!(lines[0].file, "000000.jpg");
    assert_eq!(std::fs::read_dir(desk.episode(1).join("palm")).unwrap().count(), 6);
    let note = std::fs::read_to_string(desk.episode(1).join("episode.json")).unwrap();
    assert_eq!(serde_json::from_str::<EpisodeNote>(&note).unwrap(), kept());

    desk.take(&[1.5]);
    desk.order(Order::Begin { at_s: 1.55 });
    desk.take(&[1.6]);
    desk.order(Order::End { at_s: 2.0 });
    assert_eq!(times_s(&desk.episode(2)), [1.5, 1.6]);
    desk.order(Order::Judge(EpisodeNote { fate: Fate::Discarded, pieces: vec![] }));
    assert!(!desk.episode(2).exists());

    // A process that goes on overwrites nothing; one that ends leaves what it has, unjudged.
    drop(desk.orders);
    let (_, shots) = bounded(1);
    let (orders, orders_in) = bounded(1);
    let (reports, _told) = bounded(1);
    let names = vec!["palm".to_owned()];
    let mut next =
        Writer::new(desk.folder.path(), names, filming(1), Box::new(Disk), (shots, orders_in), reports).unwrap();
    orders.send(Order::Begin { at_s: 0.0 }).unwrap();
    next.finish();
    let second = desk.folder.path().join("2");
    assert!(index(&second).is_empty() && !second.join("episode.json").exists());
}

/// Contract: a disk that is full, or nearly, stops the frames of that episode, is told once, and leaves an index of what is
/// there; with space again the next episode is recorded.
#[test]
fn a_full_disk() {
    let mut desk = Desk::new(8, filming(8));
    *desk.free.lock().unwrap() = 40;
    desk.order(Order::Begin { at_s: 0.0 });
    desk.take(&[0.1, 0.2, 0.3, 0.4]);
    desk.order(Order::End { at_s: 1.0 });
    desk.order(Order::Judge(kept()));
    assert_eq!(times_s(&desk.episode(1)), [0.1, 0.2]);
    let told: Vec<String> = desk.reports.try_iter().collect();
    assert!(told.len() == 1 && told[0].contains("the robot goes on"), "{told:?}");
    *desk.free.lock().unwrap() = u64::MAX;
    desk.order(Order::Begin { at_s: 1.0 });
    desk.take(&[1.1]);
    desk.order(Order::End { at_s: 2.0 });
    assert_eq!(times_s(&desk.episode(2)), [1.1]);

    let least_free_gb = 2.0.try_into().unwrap();
    let mut desk = Desk::new(8, FilmingConfig { least_free_gb, ..filming(8) });
    *desk.free.lock().unwrap() = 1_900_000_000;
    desk.order(Order::Begin { at_s: 0.0 });
    desk.take(&[0.1]);
    desk.order(Order::End { at_s: 1.0 });
    assert!(index(&desk.episode(1)).is_empty());
    let told: Vec<String> = desk.reports.try_iter().collect();
    assert!(told.len() == 1 && told[0].contains("1.9 GB") && told[0].contains("2 GB"), "{told:?}");
}

/// Contract: a camera whose frames find no place drops them, counts them and says so once; it does not wait. The index has
/// the gap.
#[test]
fn a_slow_disk() {
    let mut desk = Desk::new(2, filming(2));
    let (feed, frames) = bounded(8);
    let (reports, told) = bounded(8);
    let clock = Box::new(VirtualClock::default());
    let mut eye = Eye::new(0, &palm(), filming(2), clock, desk.shots.clone(), reports);
    desk.order(Order::Begin { at_s: 0.0 });
    let mut source = Fed(frames);
    let mut look = |time_s| {
        feed.send(frame(time_s)).unwrap();
        assert!(eye.look(&mut source).unwrap());
    };
    [0.1, 0.2, 0.3, 0.4, 0.5].into_iter().for_each(&mut look);
    desk.writer.serve();
    look(0.6);
    desk.order(Order::End { at_s: 1.0 });
    let gaps: Vec<(f64, u64)> = index(&desk.episode(1)).iter().map(|line| (line.time_s, line.n_dropped)).collect();
    assert_eq!(gaps, [(0.1, 0), (0.2, 0), (0.6, 3)]);
    assert_eq!(eye.counts().get(), (6, 3));
    let told: Vec<String> = told.try_iter().collect();
    assert!(told.len() == 1 && told[0].contains("camera palm: the disk is too slow"), "{told:?}");
}

/// Contract: a camera that is silent is told once, and once when it delivers again.
#[test]
fn a_silent_camera() {
    let (shots, _taken) = bounded(8);
    let (reports, told) = bounded(8);
    let (feed, frames) = bounded(8);
    let clock = VirtualClock::default();
    let mut eye = Eye::new(0, &palm(), filming(8), Box::new(clock.clone()), shots, reports);
    let mut source = Fed(frames);
    assert!(!eye.look(&mut source).unwrap() && told.is_empty());
    clock.advance(0.6);
    assert!(!eye.look(&mut source).unwrap() && !eye.look(&mut source).unwrap());
    feed.send(frame(0.6)).unwrap();
    assert!(eye.look(&mut source).unwrap());
    let told: Vec<String> = told.try_iter().collect();
    assert!(
        told.len() == 2 && told[0].contains("no frame for 0.5 s") && told[1].contains("delivers again"),
        "{told:?}"
    );
}

/// Contract: on threads of their own cameras and writer do the same; a camera that is unplugged is told and opened again;
/// the end writes all that waits.
#[test]
fn on_threads() {
    let folder = tempfile::tempdir().unwrap();
    let (feed, first) = bounded(16);
    let (feed_again, second) = bounded(16);
    let mut sources = vec![Fed(second), Fed(first)];
    let opener: Opener = Box::new(move || match sources.pop() {
        Some(source) => Ok(Box::new(source) as Box<dyn FrameSource>),
        None => Err(CameraError::Name { name: "palm".into() }),
    });
    let clock = VirtualClock::default();
    let camera = palm();
    let mut film = Film::open(vec![(&camera, opener)], filming(32), || clock.clone(), folder.path(), true).unwrap();
    let taken = |film: &Film| film.counts[0].1.get().0;
    let await_taken = |film: &Film, n: u64| {
        while taken(film) < n {
            std::thread::yield_now();
        }
    };
    film.note(&Event::EpisodeBegun { seed: 0, at_s: 1.0 });
    for tenth in 9..13 {
        feed.send(frame(f64::from(tenth) / 10.0)).unwrap();
    }
    await_taken(&film, 4);
    drop(feed);
    feed_again.send(frame(1.3)).unwrap();
    feed_again.send(frame(1.4)).unwrap();
    await_taken(&film, 6);
    film.note(&Event::EpisodeEnded { seed: 0, n_steps: 6, cause: None, at_s: 1.35 });
    film.judge(kept());
    let told = film.end().join("\n");
    for text in ["camera palm: gone: camera palm (/dev/video0)", "delivers again", "6 frames came, 0 of them dropped"] {
        assert!(told.contains(text), "no {text} in\n{told}");
    }
    let taken = times_s(&folder.path().join("1"));
    assert!(taken.ends_with(&[1.0, 1.1, 1.2, 1.3]) && taken.len() <= 5, "{taken:?}");
    assert!(folder.path().join("1/episode.json").exists());
}
