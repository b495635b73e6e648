//! Contract: trainings repeat themselves - stopped and resumed anywhere, on any number of threads, with every policy, critic and objective
//! that go together, they end in the same bits; those that do not go together are refused.

mod line;

use bridge::Episode;
use learn::{Checkpoint, LearnConfig, Trainer, TrainerState, Work};
use line::{
    CRITIC, FLOW, Line, OBJECTIVES, POLICIES, REVERSE_KL, TRANSFORMER, TestResult, assert_same, config, config_of,
    demonstrations, run, short, temperature, trainer,
};
use std::error::Error;

/// Contract: a training that is saved, dropped and resumed anywhere - within every stage, at its end, between collecting
/// and learning - ends in the same bits as one that never stopped.
#[test]
fn resuming_equals_never_having_stopped() -> TestResult {
    let demonstrations = demonstrations()?;
    let straight = run(trainer(REVERSE_KL, &demonstrations)?, |trainer, _| Ok(trainer))?;

    let folder = tempfile::tempdir()?;
    let mut n_pieces = 0;
    let resumed = run(trainer(REVERSE_KL, &demonstrations)?, |trainer, own| {
        n_pieces += 1;
        let is_boundary = !matches!(trainer.work(), Work::Learn);
        if n_pieces % 97 != 0 && !is_boundary {
            return Ok(trainer);
        }
        let checkpoint = Checkpoint::write(&trainer, folder.path())?;
        drop(trainer);
        checkpoint.verify()?;
        let n_own = TrainerState::load(&checkpoint.path)?.n_online_episodes;
        let spec = Line::new().spec;
        Ok(Trainer::resume(
            config(REVERSE_KL)?,
            spec,
            &demonstrations,
            &own[..n_own],
            temperature()?,
            &checkpoint.path,
        )?)
    })?;
    assert!(n_pieces > 1000);
    assert_same(&straight, &resumed)
}

/// Contract: one thread or two, every objective ends in the same bits.
#[test]
fn threads_do_not_change_a_bit() -> TestResult {
    let demonstrations = demonstrations()?;
    for objective in [REVERSE_KL, "DemoLikelihood(lambda: 0.03)", "BestOfN(n: 4, temperature: 0.9, lambda: 0.3)"] {
        let with_threads = |n: usize| -> Result<Trainer, Box<dyn Error>> {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build()?;
            let config = LearnConfig { warmup_steps: 20, offline_steps: 20, ..config(objective)? };
            let mut trainer = Trainer::new(config, Line::new().spec, &demonstrations, temperature()?, 3)?;
            pool.install(|| (0..340).try_for_each(|_| trainer.learn().map(|_| ())))?;
            Ok(trainer)
        };
        assert_same(&with_threads(1)?, &with_threads(2)?)?;
    }
    Ok(())
}

/// Contract of a configuration: one thread without a stop ends in the same bits as two with stops in every stage.
fn assert_repeatable(config: &LearnConfig, demonstrations: &[Episode]) -> TestResult {
    let on_threads = |n: usize, stops: bool| -> Result<Trainer, Box<dyn Error>> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build()?;
        let play = || -> Result<Trainer, Box<dyn Error>> {
            let folder = tempfile::tempdir()?;
            let start = Trainer::new(config.clone(), Line::new().spec, demonstrations, temperature()?, 3)?;
            let mut n_pieces = 0;
            run(start, |trainer, own| {
                n_pieces += 1;
                if !stops || n_pieces % 5 != 4 {
                    return Ok(trainer);
                }
                trainer.save(folder.path())?;
                let own = &own[..TrainerState::load(folder.path())?.n_online_episodes];
                let (config, spec) = (config.clone(), Line::new().spec);
                Ok(Trainer::resume(config, spec, demonstrations, own, temperature()?, folder.path())?)
            })
        };
        Ok(pool.install(|| play().map_err(|error| error.to_string()))?)
    };
    assert_same(&on_threads(1, false)?, &on_threads(2, true)?)
}

/// Contract: every policy under every objective that it can serve resumes bit for bit and does not see the number of threads.
#[test]
fn every_policy_and_objective_is_repeatable() -> TestResult {
    let demonstrations = demonstrations()?;
    let [with_density, without] = POLICIES;
    let [needing, needing_none] = OBJECTIVES;
    let all = with_density.iter().flat_map(|policy| needing.iter().map(move |objective| (*policy, *objective)));
    let all = all.chain(
        with_density
            .iter()
            .chain(without)
            .flat_map(|policy| needing_none.iter().map(move |objective| (*policy, *objective))),
    );
    for (policy, objective) in all {
        let config = short(config_of(policy, CRITIC, objective)?);
        assert_repeatable(&config, &demonstrations).map_err(|error| format!("{policy}, {objective}: {error}"))?;
    }
    Ok(())
}

/// Contract: plans made two steps ahead resume bit for bit and do not see the number of threads.
#[test]
fn plans_made_ahead_are_repeatable() -> TestResult {
    assert_repeatable(&short(LearnConfig { lead: 2, ..config(REVERSE_KL)? }), &demonstrations()?)
}

/// Contract: every kind of critic resumes bit for bit and does not see the number of threads.
#[test]
fn every_critic_is_repeatable() -> TestResult {
    let demonstrations = demonstrations()?;
    for rest in [
        "ensemble: 3, head: Mse, combine: Mean, target_subset: All, backup: Chunk, behavior_penalty: 0.0",
        "ensemble: 2, head: Mse, combine: Min, target_subset: All, backup: PerStep, behavior_penalty: 0.1",
        "ensemble: 10, head: HlGauss, combine: Min, target_subset: Random(2), backup: NStep, behavior_penalty: 0.0",
        "ensemble: 2, head: Mse, combine: Mean, target_subset: All, target_candidates: 3, backup: Chunk, behavior_penalty: 0.0",
    ] {
        for net in ["Mlp(hidden: 32, n_layers: 2)", TRANSFORMER] {
            let critic = format!("net: {net}, {rest}");
            let config = short(config_of(FLOW, &critic, REVERSE_KL)?);
            assert_repeatable(&config, &demonstrations).map_err(|error| format!("{critic}: {error}"))?;
        }
    }
    Ok(())
}

/// Contract: an objective that needs a density refuses a policy that has none, and names both.
#[test]
fn densities_that_are_not_there_are_refused() -> TestResult {
    let demonstrations = demonstrations()?;
    for policy in POLICIES[1] {
        for objective in OBJECTIVES[0] {
            let config = config_of(policy, CRITIC, objective)?;
            let refused = Trainer::new(config, Line::new().spec, &demonstrations, temperature()?, 3);
            let error = refused.err().ok_or("a density was made up")?.to_string();
            let names = [policy, objective].map(|text| text.split('(').next().unwrap_or_default());
            assert!(error.starts_with("learn.objective: ") && names.iter().all(|name| error.contains(name)), "{error}");
        }
    }
    Ok(())
}
