//! `softflow tasks`: everything that has a name.

use super::Ended;
use crate::cli::TasksArgs;
use crate::experiment::TASKS;
use color_eyre::eyre::Result;
use sim::{Domain, Gait, Hand, ScissorsDomain};

/// The policies by their names in RON, with a line each.
const POLICIES: [(&str, &str); 6] = [
    ("Flow", "conditional normalizing flow over action chunks, exact likelihoods"),
    ("Gaussian", "tanh-Gaussian chunk with a state-dependent standard deviation, exact likelihoods"),
    ("Mixture", "mixture of K such Gaussians, exact likelihoods"),
    ("FlowMatching", "velocity field in Euler steps, or its student in one step; no density"),
    ("Diffusion", "denoising chain sampled by DDPM or DDIM; no density"),
    ("Deterministic", "one chunk with clipped noise; no density"),
];

/// The parts of a flow by their names in RON, with a line each.
const FLOWS: [(&str, &str); 5] = [
    ("couplings: Mlp", "layers on all values of the chunk at once"),
    ("couplings: Token", "causal transformer over the steps of the chunk, with tokens of the observation"),
    ("partition: Complementary", "random halves of the values, which two couplings swap"),
    ("partition: Random", "random halves of the values, new ones for every coupling"),
    ("partition: RandomSteps", "random halves of whole steps, new ones for every coupling, as published"),
];

/// The parts of a critic by their names in RON, with a line each.
const CRITICS: [(&str, &str); 11] = [
    ("net: Mlp", "layers on chunk and observation at once"),
    ("net: Transformer", "tokens of steps and observation; sees no padding of partial chunks"),
    ("target_subset: All", "targets from all target networks"),
    ("target_subset: Random", "targets from a few of them, drawn for every step"),
    ("head: HlGauss", "a histogram of the support, cross entropy"),
    ("head: Mse", "a number, squared error"),
    ("combine: Min", "the lowest value of the ensemble"),
    ("combine: Mean", "the mean value of the ensemble"),
    ("backup: Chunk", "value of the whole chunk, backed up over its steps"),
    ("backup: PerStep", "value of the first action, backed up over its step"),
    ("backup: NStep", "value of the first action, backed up over the steps of the chunk"),
];

/// The objectives by their names in RON, with a line each.
const OBJECTIVES: [(&str, &str); 8] = [
    (
        "DemoLikelihood",
        "value plus the likelihood of demonstrated chunks, as published (A0); without a density TD3+BC, FQL",
    ),
    ("NormalizedDemoLikelihood", "the same with both terms divided by their magnitudes (A1)"),
    ("MaxEntropy", "A0 plus the entropy of own actions; needs a density (A2)"),
    ("ReverseKl", "value minus the reverse KL to the imitation policy, held at a target; needs a density (A3)"),
    ("AdvantageWeighted", "likelihood of replayed chunks, weighted by their advantage (A4)"),
    ("BestOfN", "likelihood of the best of N own chunks (A5)"),
    ("Imitation", "likelihood of demonstrated chunks; only the choice among candidates improves (A6)"),
    ("SelfImitation", "likelihood of demonstrated chunks and of those of own successes; no critic (A6)"),
];

/// Lists everything that has a name.
///
/// # Errors
/// Never.
pub fn tasks(args: &TasksArgs) -> Result<Ended> {
    let given = |list: &[(&'static str, &str)]| list.iter().map(|&(name, line)| (name, line.to_owned())).collect();
    let lists: [(&str, Vec<(&str, String)>); 8] = [
        ("tasks", given(&TASKS)),
        ("hands", Hand::described().collect()),
        ("domains", Domain::described().chain(ScissorsDomain::described()).collect()),
        ("gaits", Gait::described().collect()),
        ("policies", given(&POLICIES)),
        ("flows", given(&FLOWS)),
        ("critics", given(&CRITICS)),
        ("objectives", given(&OBJECTIVES)),
    ];
    if args.json {
        let entries = lists.iter().map(|(kind, list)| {
            let names: Vec<&str> = list.iter().map(|(name, _)| *name).collect();
            ((*kind).to_owned(), serde_json::json!(names))
        });
        println!("{}", serde_json::Value::Object(entries.collect()));
        return Ok(Ended::Well);
    }
    for (kind, list) in lists {
        println!("{kind}");
        for (name, line) in list {
            println!("  {name:<26}  {line}");
        }
    }
    Ok(Ended::Well)
}
