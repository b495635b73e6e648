//! Contracts of what is measured beside the training.

mod line;

use learn::{Metrics, Stage, Trainer, Work, play_all};
use line::{
    CRITIC, FLOW, Line, REVERSE_KL, TestResult, assert_same, config_of, demonstrations, make, run, temperature, trainer,
};
use std::collections::BTreeMap;
use std::error::Error;

/// The measurements at the end of every stage.
fn at_the_ends(policy: &str, objective: &str) -> Result<BTreeMap<&'static str, Metrics>, Box<dyn Error>> {
    let config = config_of(policy, CRITIC, objective)?;
    let mut trainer = Trainer::new(config, Line::new().spec, &demonstrations()?, temperature()?, 3)?;
    let mut measured = BTreeMap::new();
    loop {
        match trainer.work() {
            Work::Finished => return Ok(measured),
            Work::Collect { seeds, .. } => {
                let episodes = play_all(&make, trainer.acting()?, &seeds, 2, |_| ())?;
                trainer.accept(&episodes)?;
            }
            Work::Learn => {
                let stage = trainer.position().stage_and_step(trainer.config()).0;
                let before = trainer.diagnose(stage)?;
                trainer.learn()?;
                measured.insert(stage.name(), before);
            }
        }
    }
}

fn value(metrics: &Metrics, name: &str) -> Option<f64> {
    metrics.iter().find(|(found, _)| *found == name).map(|&(_, value)| value)
}

/// Contract: a training that is measured before every piece of work ends in the same bits as one that is not.
#[test]
fn measuring_changes_nothing() -> TestResult {
    let demonstrations = demonstrations()?;
    let unseen = run(trainer(REVERSE_KL, &demonstrations)?, |trainer, _| Ok(trainer))?;
    let seen = run(trainer(REVERSE_KL, &demonstrations)?, |trainer, _| {
        let (stage, _) = trainer.position().stage_and_step(trainer.config());
        trainer.diagnose(stage)?;
        Ok(trainer)
    })?;
    assert_same(&unseen, &seen)
}

/// Contract: every stage measures what is defined in it, and every number is one; of a flow that has learned, the numbers lie
/// where they must: its inverse holds, its likelihood is that of the imitation loss, the critic knows the returns.
#[test]
fn every_stage_is_measured() -> TestResult {
    let measured = at_the_ends(FLOW, REVERSE_KL)?;
    let network = ["demo_nll_per_dim", "max_log_scale", "round_trip_error", "observation_outliers", "candidate_spread"];
    let critic = ["q_spread", "q_predicted", "return_realised", "label_entropy"];
    let terms = ["gradient_norm_value", "gradient_norm_held"];
    let expected = [
        (Stage::Imitation, network.to_vec()),
        (Stage::Warmup, [&network[..], &critic].concat()),
        (Stage::Offline, [&network[..], &critic, &terms].concat()),
        (Stage::Online, [&network[..], &critic, &terms].concat()),
    ];
    for (stage, names) in expected {
        let metrics = &measured[stage.name()];
        assert_eq!(metrics.iter().map(|(name, _)| *name).collect::<Vec<_>>(), names, "{stage:?}");
        let wrong = metrics.iter().find(|(_, value)| !value.is_finite());
        assert!(wrong.is_none(), "{stage:?}: {wrong:?}");
        let of = |name| value(metrics, name).ok_or(name);
        assert!((1e-9..1e-4).contains(&of("round_trip_error")?), "{metrics:?}");
        assert!((0.01..2.0).contains(&of("max_log_scale")?), "{metrics:?}");
        assert!((0.05..0.7).contains(&of("candidate_spread")?), "{metrics:?}");
        // Positions and goals are uniform, at home and on the way to it.
        assert!((0.0..0.2).contains(&of("observation_outliers")?), "{metrics:?}");
        if stage != Stage::Imitation {
            assert!((0.5..51_f64.ln()).contains(&of("label_entropy")?), "{metrics:?}");
            let (predicted, realised) = (of("q_predicted")?, of("return_realised")?);
            // The warm-up ends before the critic has caught up with a policy that it did not choose.
            let allowed = if stage == Stage::Warmup { 0.5 } else { 0.1 };
            assert!((predicted - realised).abs() < allowed, "{stage:?}: {predicted} and {realised}");
        }
    }
    Ok(())
}

/// Contract: what is not there measures as nothing: a policy of one chunk has no spread, no density and no inverse; an
/// objective of one term has no two norms; a weight of zero holds nothing back.
#[test]
fn what_is_not_there_is_nothing() -> TestResult {
    let deterministic = "Deterministic(noise: 0.0, hidden: 16, n_layers: 1)";
    let offline = &at_the_ends(deterministic, "DemoLikelihood(lambda: 0.0)")?["offline"];
    for spread in ["candidate_spread", "q_spread"] {
        assert!(value(offline, spread).is_some_and(|spread| spread < 1e-6), "{offline:?}");
    }
    assert_eq!(value(offline, "gradient_norm_held"), Some(0.0));
    assert!(value(offline, "gradient_norm_value").is_some_and(|norm| norm > 0.0));
    assert!(value(offline, "demo_nll_per_dim").or(value(offline, "round_trip_error")).is_none());
    let offline = &at_the_ends(deterministic, "Imitation")?["offline"];
    assert!(value(offline, "gradient_norm_value").is_none());
    Ok(())
}
