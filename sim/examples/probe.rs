#![allow(missing_docs, clippy::all, clippy::unwrap_used, clippy::expect_used, reason = "temporary")]
use bridge::number::*;
use bridge::{Body, Episode, Environment, Governor, GovernorConfig, heading_rad, tilt_rad};
use sim::*;
use std::time::Instant;
fn direct(scene: &CubeScene, domain: &Domain, gait: &Gait, secs: f64, windup: f64, seed: u64) -> (f64, f64, f64, f64, f64) {
    let table = GaitTable::new(scene.hand(), gait).unwrap();
    let mut g = Governor::new(scene.body(domain.clone()), GovernorConfig { rate_share: UnitInterval::try_from(1.0).unwrap(), windup: Positive::try_from(windup).unwrap() });
    g.reset(seed).unwrap();
    let mut t = vec![0.0f32; 16];
    let hold = scene.start().holding_rad.clone();
    let (mut yaw, mut tilt, mut mt, mut prev) = (0.0, 0.0, 0.0f64, heading_rad(g.percept().objects[0].orientation) as f64);
    let z0 = scene.start().cube.center_m.z;
    let n = (secs * 60.0) as usize;
    let now = Instant::now();
    for k in 0..n {
        let s = k as f64 / 60.0;
        table.target_from(&hold, s, 0.0, &mut t);
        g.command(&mut t).unwrap();
        let o = g.body().cube_pose();
        let y = heading_rad(o.orientation) as f64;
        let mut d = y - prev; if d > 3.14159 { d -= 6.2831853 } if d < -3.14159 { d += 6.2831853 }
        prev = y; if s > 0.2 { yaw += d; }
        tilt += tilt_rad(o.orientation) as f64; mt = mt.max(tilt_rad(o.orientation) as f64);
        if (o.position_m[2] as f64) < z0 - 0.059 { return (yaw / (s - 0.2), s, tilt / k as f64, mt, (k as f64 * 4.0) / now.elapsed().as_secs_f64()); }
    }
    (yaw / (secs - 0.2), secs, tilt / n as f64, mt, (n as f64 * 4.0) / now.elapsed().as_secs_f64())
}
fn summary(name: &str, e: &[Episode]) {
    let n = e.len() as f64;
    let surv = e.iter().filter(|x| !x.label.terminated).count();
    let turns: f64 = e.iter().map(|x| x.label.outcome.turns).sum();
    let secs: f64 = e.iter().map(|x| x.label.outcome.seconds).sum();
    println!("{name}: n {} full {surv} rpm {:.2} turns {:.2} alive {:.1}s tilt {:.2} off {:.1}mm", e.len(), turns / secs * 60.0, turns / n, secs / n, e.iter().map(|x| x.label.outcome.tilt_rad).sum::<f64>() / n, e.iter().map(|x| x.label.outcome.offset_m).sum::<f64>() / n * 1e3);
}
fn main() {
    let a: Vec<String> = std::env::args().skip(1).collect();
    let gov = GovernorConfig { rate_share: UnitInterval::try_from(1.0).unwrap(), windup: Positive::try_from(3.0).unwrap() };
    match a[0].as_str() {
        "cpu" => { let scene = CubeScene::load(&a[1]).unwrap().with_finger_contacts(if a[3] == "off" { FingerContacts::Off } else { FingerContacts::Distal }); let r = direct(&scene, &Domain::load("exact").unwrap(), &Gait::load(&a[2]).unwrap(), 120.0, 1e6, 0); println!("{r:?}"); }
        "direct" => {
            for (hand, gaits) in [("orca_v2", vec!["orca_v2_r5", "orca_v2_r7b", "orca_v2_r7d"]), ("reference16", vec!["reference16_trot", "reference16_trot_clear", "reference16_wave"])] {
                for fc in [FingerContacts::Off, FingerContacts::Distal] {
                    for gait in &gaits {
                        for secs in [30.2] { for windup in [1e6, 3.0] {
                        let scene = CubeScene::load(hand).unwrap().with_finger_contacts(fc);
                        let g = Gait::load(gait).unwrap();
                        let r = direct(&scene, &Domain::load("exact").unwrap(), &g, secs, windup, 0);
                        println!("{gait} {fc:?} windup {windup} : {:.3} rad/s t {:.1} tilt {:.2} max {:.2} {:.0} steps/s", r.0, r.1, r.2, r.3, r.4);
                        } }
                    }
                }
            }
            for g in ["orca_v2_r5", "orca_v2_r7b", "reference16_trot"] { let gait = Gait::load(g).unwrap(); let h = Hand::load(&gait.hand).unwrap(); let t = GaitTable::new(&h, &gait).unwrap(); println!("{g} miss {:.2} mm max rate {:.1}", t.mean_miss_m() * 1e3, t.max_rate_rad_s()); }
        }
        "collect" => {
            let mut scene = CubeScene::load(&a[1]).unwrap();
            let n: usize = a[2].parse().unwrap();
            if let Some(f) = a.get(4) { scene = scene.with_finger_contacts(match f.as_str() { "off" => FingerContacts::Off, "distal" => FingerContacts::Distal, _ => FingerContacts::All }); }
            let d = Domain::load(&a[3]).unwrap();
            let now = Instant::now();
            let e = collect(&scene, &d, gov, n, 1, 2).unwrap();
            let names: std::collections::BTreeSet<_> = e.iter().map(|x| x.label.actor.clone()).collect();
            for g in names { for noise in 0..2 { let s: Vec<_> = e.iter().filter(|x| x.label.actor == g).cloned().enumerate().filter(|(i, _)| i % 2 == noise).map(|x| x.1).collect(); summary(&format!("{g} noise {noise}"), &s); } }
            summary("all", &e);
            let ok: Vec<_> = e.iter().filter(|x| !x.label.terminated).cloned().collect(); summary("success", &ok);
            println!("{:.1} s wall", now.elapsed().as_secs_f64());
        }
        "play" => {
            // play hand gait(name|file) domain contacts perturb noise n
            let mut scene = CubeScene::load(&a[1]).unwrap();
            scene = scene.with_finger_contacts(match a[4].as_str() { "off" => FingerContacts::Off, "distal" => FingerContacts::Distal, _ => FingerContacts::All });
            let gait: Gait = if a[2].ends_with(".ron") { bridge::config::load(a[2].as_ref()).unwrap() } else { Gait::load(&a[2]).unwrap() };
            let d: Domain = if a[3].starts_with("(") { bridge::config::parse("x", &a[3]).unwrap() } else { Domain::load(&a[3]).unwrap() };
            let (p, z): (f64, f64) = (a[5].parse().unwrap(), a[6].parse().unwrap());
            let n: usize = a[7].parse().unwrap();
            let hz = a.get(8).map_or(20.0, |x| x.parse::<f64>().unwrap()); let _ = hz;
            let e: Vec<Episode> = (0..2).collect::<Vec<_>>().into_iter().map(|t| { let (scene, gait, d) = (scene.clone(), gait.clone(), d.clone()); std::thread::spawn(move || {
                let mut env = scene.environment(d, gov, bridge::CubeReward::Dense).unwrap();
                let mut out = vec![];
                for i in (t..n).step_by(2) { let mut rng = bridge::random::stream(77, "probe", i as u64); let g = perturb(&gait, p, &mut rng).unwrap(); let mut dem = Demonstrator::new(&scene, &g, z, rng).unwrap();
                    let mut o = vec![0.0; env.spec().observation_len]; let mut act = vec![0.0; 16]; env.reset(i as u64 + 1000, &mut o).unwrap(); let mut ep = Episode::begin(env.spec(), "x", 0, &o);
                    loop { dem.act(&mut act); let s = env.step(&act, &mut o).unwrap(); ep.push(env.applied_rad(), s.reward, &o); if s.terminated || s.truncated { break; } } ep.finish(env.outcome()); out.push(ep); }
                out }) }).collect::<Vec<_>>().into_iter().flat_map(|h| h.join().unwrap()).collect();
            summary(&format!("{} {} {} p{p} z{z}", a[2], a[3].replace('\n', " "), a[4]), &e);
        }
        _ => {}
    }
}
