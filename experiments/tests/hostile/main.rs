//! Contract: the file of a robot and a script of faults are what they say or an error, however they were damaged; never a panic, and
//! never a number that its field does not allow. As `bridge/tests/hostile`: seconds of it here, hours in `fuzz/`.

#[path = "../../../bridge/tests/hostile/damage.rs"]
mod damage;
mod robot;

use bridge::config::parse;
use bridge::random::stream;
use bridge::real::emulator::FaultScript;
use damage::{damaged, try_damaged};
use std::error::Error;

#[test]
fn robots() {
    try_damaged("assets/robots", 1500, |bytes| robot::robot(&String::from_utf8_lossy(bytes)));
}

#[test]
fn scripts_of_faults() -> Result<(), Box<dyn Error>> {
    let text = ron::to_string(&FaultScript::soak(1, 60.0, 17, true)?)?;
    let mut n_refused = 0;
    for index in 0..4000 {
        let bytes = damaged(text.as_bytes(), &mut stream(1, "faults", index));
        match parse::<FaultScript>("faults", &String::from_utf8_lossy(&bytes)) {
            Ok(script) => assert!(script.faults.iter().all(|fault| fault.at_s.get() >= 0.0)),
            Err(error) => {
                assert!(!error.to_string().is_empty());
                n_refused += 1;
            }
        }
    }
    assert!(n_refused > 1000, "{n_refused} of 4000 were refused");
    Ok(())
}
