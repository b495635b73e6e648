//! A hand from a description, for `benches/peers/import_peer.py`: where its tips are, how it holds a posture, how fast it is.
//!
//! `HAND.ron tips` reads postures from standard input, a line each (rad), and writes x, y, z of every tip in the palm's frame (m) to
//! standard output. `HAND.ron hold S` holds the middle of all ranges for S seconds without anything in the hand and writes how far the joints are from it, and beyond their ranges, at the
//! most (rad). `HAND.ron time N` makes N steps.

use bridge::number::Finite;
use sim::{Cube, FingerContacts, Hand, PHYSICS_HZ, Surroundings, World};
use std::error::Error;
use std::io::BufRead;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [hand, "tips"] => tips(&Hand::load(hand)?),
        [hand, "hold", seconds] => {
            let n_steps = (seconds.parse::<f64>()? * f64::from(PHYSICS_HZ)).round() as u64;
            let (off_rad, beyond_rad) = hold(&Hand::load(hand)?, n_steps)?;
            println!("{off_rad} {beyond_rad}");
            Ok(())
        }
        [hand, "time", n_steps] => {
            hold(&Hand::load(hand)?, n_steps.parse()?)?;
            Ok(())
        }
        _ => Err("expected HAND.ron and tips, hold S or time N".into()),
    }
}

fn tips(hand: &Hand) -> Result<(), Box<dyn Error>> {
    for line in std::io::stdin().lock().lines() {
        let numbers = line?.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>()?;
        let q_rad =
            numbers.into_iter().map(|q| Finite::try_from(q).map(Finite::get)).collect::<Result<Vec<f64>, _>>()?;
        if q_rad.len() != hand.n_joints() {
            return Err(format!("found {} positions, expected {}", q_rad.len(), hand.n_joints()).into());
        }
        let tips = hand.fingers.iter().map(|finger| finger.tip_m(&q_rad[finger.first_joint..]));
        let words: Vec<String> = tips.flat_map(|tip_m| tip_m.to_array()).map(|x| x.to_string()).collect();
        println!("{}", words.join(" "));
    }
    Ok(())
}

/// How far the joints are from the middle of their ranges, and beyond these, at the most.
fn hold(hand: &Hand, n_steps: u64) -> Result<(f32, f32), Box<dyn Error>> {
    let middle_rad: Vec<f32> = hand.joints().map(|joint| (0.5 * (joint.lower_rad + joint.upper_rad)) as f32).collect();
    let surroundings =
        Surroundings { friction: 1.0, motor_gain_scale: 1.0, slack_rad: 0.0, finger_contacts: FingerContacts::Distal };
    // The cube lies on the floor, out of the way.
    let away = Cube { edge_m: 0.05, mass_kg: 0.08, center_m: [5.0, 5.0, 5.0].into(), yaw_rad: 0.0 };
    let mut world = World::new(hand, &middle_rad, &away, &surroundings);
    world.set_cube_weight(false);
    world.set_targets(&middle_rad);
    let (mut q_rad, mut dq_rad_s) = (middle_rad.clone(), vec![0.0; hand.n_joints()]);
    let (mut off_rad, mut beyond_rad) = (0.0f32, 0.0f32);
    for _ in 0..n_steps {
        world.step()?;
        world.engine().read_joints(&mut q_rad, &mut dq_rad_s);
        for ((&q, &middle), joint) in q_rad.iter().zip(&middle_rad).zip(hand.joints()) {
            if !q.is_finite() {
                return Err(format!("{}: found {q} rad", joint.name).into());
            }
            off_rad = off_rad.max((q - middle).abs());
            beyond_rad = beyond_rad.max((joint.lower_rad as f32 - q).max(q - joint.upper_rad as f32));
        }
    }
    Ok((off_rad, beyond_rad))
}
