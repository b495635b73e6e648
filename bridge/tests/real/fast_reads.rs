//! Contract: a fast sync read that fails costs a cycle nothing but time; one that fails for long is let rest, and tried again.

use crate::rig::{TestResult, inject, run, running};
use bridge::real::emulator::{Fault, Servos};

/// A fast read that fails again and again rests, and the plain one goes on without it, in every cycle. It is tried again after
/// 1 s, 2 s, and so on, at no servo's cost, and is back for good once it works.
#[test]
fn a_fast_read_that_fails_is_tried_again() -> TestResult {
    let (emulator, mut driver, mut percept) = running()?;
    assert!(driver.bus_mut().is_fast());
    // An old firmware says nothing to a fast read: those before it are all that comes.
    emulator.lock().set_register(8, 6, 1, 40);
    for n_ticks in 0..10u64 {
        run(&mut driver, &mut percept, 1)?;
        assert_eq!(driver.counters().n_fast_failures, (n_ticks + 1).min(4));
        assert!(driver.status().stale_s.iter().all(|&stale_s| stale_s < 0.011), "{:?}", driver.status().stale_s);
    }
    assert!(!driver.bus_mut().is_fast());
    let mut failed_at_s = Vec::new();
    for _ in 0..800 {
        let n_failures = driver.counters().n_fast_failures;
        run(&mut driver, &mut percept, 1)?;
        if driver.counters().n_fast_failures > n_failures {
            failed_at_s.push(driver.status().time_s);
        }
        assert!(driver.status().stale_s.iter().all(|&stale_s| stale_s < 0.011), "{:?}", driver.status().stale_s);
    }
    let [first_s, second_s, third_s] = failed_at_s[..] else { return Err(format!("{failed_at_s:?}").into()) };
    assert!((second_s - first_s - 2.0).abs() < 0.03 && (third_s - second_s - 4.0).abs() < 0.03, "{failed_at_s:?}");
    assert_eq!(driver.status().n_bad_cycles, 0);

    emulator.lock().set_register(8, 6, 1, 52);
    run(&mut driver, &mut percept, 800)?;
    assert!(driver.bus_mut().is_fast());
    assert_eq!(driver.counters().n_fast_failures, 4 + 3);
    Ok(())
}

/// What only looks like a fast read's answer, because a block in it was damaged before the next servo went on, is found
/// block by block: see `corrupted_frames`. A fast read that fails now and then stays in use.
#[test]
fn a_fast_read_that_mostly_works_is_kept() -> TestResult {
    let (emulator, mut driver, mut percept) = running()?;
    for _ in 0..10 {
        inject(
            &emulator,
            Fault::Corrupt { servos: Servos::Ids(vec![8]), share: 1.0.try_into()?, for_s: 0.005.try_into()? },
        )?;
        run(&mut driver, &mut percept, 20)?;
        assert!(driver.status().stale_s.iter().all(|&stale_s| stale_s < 0.011));
    }
    assert!(driver.bus_mut().is_fast());
    Ok(())
}
