//! Contract: the studies that are shipped can be read, every party of them is an experiment, and those on hands begin: their
//! networks are built, and imitation, warm-up and offline stage take a step. So do all policies, critics and objectives on the cube.

mod combinations;

use bridge::Episode;
use experiments::experiment::{Experiment, Workcell};
use experiments::overrides::{self, Override};
use experiments::study::Study;
use learn::{Trainer, Work};
use std::error::Error;
use std::path::{Path, PathBuf};

type TestResult = Result<(), Box<dyn Error>>;

fn shipped() -> std::io::Result<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("studies");
    let mut files = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "ron"));
    files.sort();
    Ok(files)
}

#[test]
fn studies_can_be_read() -> TestResult {
    let shipped = shipped()?;
    for name in ["quick", "claims_cube", "ablations_cube", "objectives_cube", "toy_smoke"] {
        assert!(shipped.iter().any(|path| path.ends_with(format!("{name}.ron"))), "{name} is missing");
    }
    for path in shipped {
        let study = Study::load(&path).map_err(|error| format!("{error:#}"))?;
        let cells = study.cells(&path).map_err(|error| format!("{error:#}"))?;
        assert_eq!(cells.len(), study.parties.len() * study.seeds.len(), "{}", path.display());
        for (index, cell) in cells.iter().enumerate() {
            cell.experiment.learn.check().map_err(|error| format!("{}: {}: {error}", path.display(), cell.name))?;
            // Two parties that are the same would be one, trained twice.
            let same = cells[..index].iter().find(|other| other.experiment == cell.experiment);
            assert!(same.is_none(), "{}: {} is another party's again", path.display(), cell.name);
        }
    }
    Ok(())
}

#[test]
fn every_party_begins() -> TestResult {
    for name in ["quick", "claims_cube", "claims_scissors", "tuning_cube", "ablations_cube", "objectives_cube"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("studies/{name}.ron"));
        let study = Study::load(&path).map_err(|error| format!("{error:#}"))?;
        let cells = study.cells(&path).map_err(|error| format!("{error:#}"))?;
        let mut recorded = Vec::new();
        for cell in cells.iter().step_by(study.seeds.len()) {
            let experiment = &cell.experiment;
            for domain in [&experiment.online_domain, &experiment.demonstrations.domain] {
                Workcell::new(experiment, domain).map_err(|error| format!("{name}: {}: {error:#}", cell.name))?;
            }
            let workcell =
                Workcell::new(experiment, &experiment.demonstrations.domain).map_err(|error| format!("{error:#}"))?;
            if recorded.is_empty() {
                recorded = workcell.demonstrations(3, 1, 2).map_err(|error| format!("{error:#}"))?;
            }
            begin(experiment, &workcell, &recorded).map_err(|error| format!("{name}: {}: {error}", cell.name))?;
        }
    }
    Ok(())
}

/// Takes a step in each of the stages before the online one.
fn begin(experiment: &Experiment, workcell: &Workcell, recorded: &[Episode]) -> TestResult {
    let mut learn = experiment.learn.clone();
    learn.batch_size = 16;
    (learn.imitation.steps, learn.warmup_steps, learn.offline_steps) = (1, 1, 1);
    let (spec, acting) = (workcell.environment()?.spec().clone(), experiment.evaluation.imitation);
    let mut trainer = Trainer::new(learn, spec, recorded, acting, 1)?;
    let mut n_steps = 0;
    while matches!(trainer.work(), Work::Learn) {
        trainer.learn()?;
        n_steps += 1;
    }
    assert_eq!(n_steps, 3);
    Ok(())
}

#[test]
fn everything_begins_on_the_cube() -> TestResult {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("cube.ron");
    let load = |changes: &[String]| -> Result<Experiment, Box<dyn Error>> {
        let changes = changes.iter().map(|change| change.parse()).collect::<Result<Vec<Override>, _>>()?;
        Ok(overrides::load(&file, &changes)?)
    };
    let experiment = load(&[])?;
    let workcell =
        Workcell::new(&experiment, &experiment.demonstrations.domain).map_err(|error| format!("{error:#}"))?;
    let recorded = workcell.demonstrations(2, 1, 2).map_err(|error| format!("{error:#}"))?;
    let nets = [
        "Mlp(hidden: 8, n_layers: 1)",
        "Transformer(width: 8, n_heads: 1, n_layers: 1, hidden: 8, n_observation_tokens: 2)",
    ];
    let mut n_begun = 0;
    for (index, changes) in combinations::all().enumerate() {
        let net = format!("learn.critic.net={}", nets[index % 2]);
        // Who has no density cannot tell which chunk is likelier.
        let changes = [&changes[..], &[net, "evaluation.imitation.n_candidates=1".into()]].concat();
        let experiment = load(&changes)?;
        if combinations::is_possible(&experiment.learn) {
            begin(&experiment, &workcell, &recorded).map_err(|error| format!("{changes:?}: {error}"))?;
            n_begun += 1;
        }
    }
    assert_eq!(n_begun, 3 * (4 * 8 + 5 * 6));
    Ok(())
}
