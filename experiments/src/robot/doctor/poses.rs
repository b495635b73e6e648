//! Whether a tracker says where the object is, and how often.

use super::{Examination, Verdict};
use bridge::number::Positive;
use bridge::real::clock::{Clock as _, MachineClock};
use bridge::real::robot::ObjectSource as _;
use bridge::real::tracker::{TrackerConfig, UdpTracker};

/// Begins to listen for poses, with the time of `clock`.
pub fn open_tracker(
    config: &TrackerConfig,
    clock: MachineClock,
    examination: &mut Examination,
) -> Option<UdpTracker<MachineClock>> {
    let opened = UdpTracker::open(config, 1, clock);
    if let Err(error) = &opened {
        let advice = "another program listens there (another softflow?), or the address is not this machine's: end it, or give --tracker";
        examination.note("tracker", Verdict::Bad, format!("{}: {error}", config.listen), advice);
    }
    opened.ok()
}

/// Listens alone, where there are no servos to read meanwhile.
pub(super) fn listen(
    listener: Option<&mut UdpTracker<MachineClock>>,
    seconds: Positive,
    clock: MachineClock,
    examination: &mut Examination,
) {
    let Some(listener) = listener else { return };
    let before = count(Some(&mut *listener));
    let end_s = clock.now_s() + seconds.get();
    while clock.now_s() < end_s {
        listener.poll();
        clock.wait_until(clock.now_s() + 0.01);
    }
    report(Some(listener), before, seconds, examination);
}

/// Poses that have come, and been lost, by now.
pub(super) fn count(listener: Option<&mut UdpTracker<MachineClock>>) -> (u64, u64) {
    let Some(listener) = listener else { return (0, 0) };
    // One look takes in no more than so many.
    let mut n_before = u64::MAX;
    while listener.reception().0.n_accepted != n_before {
        n_before = listener.reception().0.n_accepted;
        listener.poll();
    }
    (n_before, listener.reception().1)
}

/// Rate and age of the poses that came in `seconds`, after those of before.
pub(super) fn report(
    listener: Option<&UdpTracker<MachineClock>>,
    (n_before, n_lost_before): (u64, u64),
    seconds: Positive,
    examination: &mut Examination,
) {
    let Some(listener) = listener else { return };
    let (reception, n_lost) = listener.reception();
    let address = listener.address().map_or_else(|error| error.to_string(), |address| address.to_string());
    if let Some(error) = reception.last_error {
        let found = format!("{} datagrams on {address} were refused, the last one: {error}", reception.n_refused);
        examination.note("tracker", Verdict::Warning, found, "the layout is in docs/examples/object_tracker.py");
    }
    let n_lost = n_lost.saturating_sub(n_lost_before);
    let n_new = reception.n_accepted.saturating_sub(n_before);
    if n_new == 0 {
        let advice =
            "start the tracker and let it send to this machine and port; docs/examples/object_tracker.py shows how";
        examination.note("tracker", Verdict::Bad, format!("no pose came on {address}"), advice);
        return;
    }
    let hz = n_new as f64 / seconds.get();
    let age_ms = listener.newest(0).map_or(f64::NAN, |(_, age_s)| 1e3 * age_s);
    let found = format!("{hz:.0} poses a second on {address}, {n_lost} lost, the newest is {age_ms:.0} ms old");
    if hz >= 40.0 {
        examination.good("tracker", found);
    } else {
        let advice = "a pose that is older than a step of 50 ms is not acted on: 40 a second and more are needed, 60 and more are good";
        examination.note("tracker", if hz >= 20.0 { Verdict::Warning } else { Verdict::Bad }, found, advice);
    }
}
