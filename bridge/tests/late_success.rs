//! Contract: what a human says of an episode after its end is stored as if it had been said in its last step.

#[expect(dead_code, reason = "shared with the tests of carried hands")]
mod carried_bench;

use bridge::real::labels::Button;
use bridge::real::machine::State;
use bridge::real::recorder::Recorded;
use carried_bench::rig::TestResult;
use carried_bench::{Bench, START, TICK_S};
use std::error::Error;

/// The record of an episode that goes on to its horizon, with a button pressed `n_ticks` before torque is held, if at all;
/// and how many ticks it took.
fn played(press: Option<usize>) -> Result<(Recorded, usize), Box<dyn Error>> {
    let mut bench = Bench::running([START.values(); 2])?;
    if let Some(n_ticks) = press {
        bench.run(n_ticks)?;
        bench.buttons.send(Button::Success)?;
    }
    let took_s = bench.until(State::Hold, 70.0)?;
    let record = bench.records.try_recv()?;
    assert!(bench.records.is_empty() && record.cut_by.is_none());
    Ok((record, (took_s / TICK_S).round() as usize))
}

/// Contract: a success that is said after the end gives the same episode, bit for bit, as one that is said in the last step:
/// reward, end and outcome. Saying it twice gives it once; a failure earns nothing.
#[test]
fn success_after_the_end() -> TestResult {
    let (silent, n_ticks) = played(None)?;
    let label = &silent.episode.label;
    assert!(
        !label.terminated && !label.outcome.succeeded && silent.episode.rewards.iter().all(|&reward| reward == 0.0)
    );

    // Judged a tick before the hold, after five ticks of the last step.
    let (in_time, _) = played(Some(n_ticks - 4))?;
    assert_eq!(in_time.episode.n_steps(), silent.episode.n_steps());
    assert_eq!(in_time.episode.rewards.last(), Some(&1.0));
    let mut late = silent.clone();
    late.judge(Some(Button::Success));
    assert_eq!((&late.episode, &late.times_s), (&in_time.episode, &in_time.times_s));
    late.judge(Some(Button::Success));
    assert_eq!(late.episode, in_time.episode);
    let mut again = in_time.clone();
    again.judge(Some(Button::Success));
    assert_eq!(again.episode, in_time.episode);

    let mut failed = silent.clone();
    failed.judge(Some(Button::Failure));
    assert_eq!(failed.episode.rewards, silent.episode.rewards);
    assert!(failed.episode.label.terminated && !failed.episode.label.outcome.succeeded);
    let mut kept = silent.clone();
    kept.judge(None);
    assert_eq!(kept.episode, silent.episode);
    Ok(())
}
