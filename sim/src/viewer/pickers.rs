//! What can be chosen while something runs: task, who acts, domain and seed.

use crate::viewer::arguments::{Arguments, DomainName, PolicyName, TaskName};

/// A choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// The other task. A trained policy stays with its own: the demonstrator takes over.
    Task,
    /// The next of those who can act.
    Policy,
    /// The next domain, nominal, shifted or randomised, of those that there are for the hand.
    Domain,
    /// The episode after this one.
    NextSeed,
    /// The episode before this one.
    PreviousSeed,
}

/// What `pick` makes of what is shown `now`; `given` is the command line, which names the run to choose from, if any.
pub fn picked(now: &Arguments, pick: Pick, given: &Arguments) -> Arguments {
    let mut next = now.clone();
    match pick {
        Pick::Task => {
            next.task = match now.task {
                TaskName::Cube => TaskName::Scissors,
                TaskName::Scissors => TaskName::Cube,
            };
            if matches!(now.policy, PolicyName::Run(_)) {
                next.policy = PolicyName::Demo;
            }
        }
        Pick::Policy => {
            let run = Some(&given.policy)
                .filter(|given_policy| matches!(given_policy, PolicyName::Run(_)) && given.task == now.task);
            next.policy = match &now.policy {
                PolicyName::Demo => PolicyName::Zero,
                PolicyName::Zero => PolicyName::Random,
                PolicyName::Random => PolicyName::Teleop,
                PolicyName::Teleop => run.cloned().unwrap_or(PolicyName::Demo),
                PolicyName::Run(_) => PolicyName::Demo,
            };
        }
        Pick::Domain => {
            const ROUND: [DomainName; 3] = [DomainName::Nominal, DomainName::Shifted, DomainName::Randomised];
            let first = ROUND.iter().position(|&domain| domain == now.domain).map_or(0, |place| place + 1);
            let others = ROUND.iter().cycle().skip(first).take(ROUND.len());
            let there_are = others.map(|&domain| Arguments { domain, ..now.clone() });
            // There is always the one that is on.
            next.domain = there_are.into_iter().find(Arguments::has_domain).map_or(now.domain, |found| found.domain);
        }
        Pick::NextSeed => next.seed = now.seed.saturating_add(1),
        Pick::PreviousSeed => next.seed = now.seed.saturating_sub(1),
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;
    use std::path::Path;

    /// Contract: choosing who acts goes round through everybody, through the given run on its own task only, and a run does
    /// not follow to the other task.
    #[test]
    fn choices_go_round() {
        let given = Arguments::try_parse_from(["sim", "--policy", "src"]).unwrap();
        let run = PolicyName::Run("src".into());
        let mut now = given.clone();
        let round = |now: &mut Arguments, n: usize| -> Vec<PolicyName> {
            (0..n)
                .map(|_| {
                    *now = picked(now, Pick::Policy, &given);
                    now.policy.clone()
                })
                .collect()
        };
        let everybody = [PolicyName::Demo, PolicyName::Zero, PolicyName::Random, PolicyName::Teleop];
        assert_eq!(round(&mut now, 5), [everybody.as_slice(), &[run]].concat());
        now = picked(&now, Pick::Task, &given);
        assert_eq!((now.task, &now.policy), (TaskName::Scissors, &PolicyName::Demo));
        assert_eq!(round(&mut now, 4), [&everybody[1..], &everybody[..1]].concat());

        let seeds = [Pick::NextSeed, Pick::PreviousSeed, Pick::PreviousSeed].map(|pick| {
            now = picked(&now, pick, &given);
            now.seed
        });
        assert_eq!(seeds, [1, 0, 0]);
    }

    /// Contract: choosing the domain goes round those that there are: no twin stands for a hand in a file, unless it is a variant of
    /// a hand that has one.
    #[test]
    fn domains_go_round() {
        use DomainName::{Nominal, Randomised, Shifted};
        let folder = tempfile::tempdir().unwrap();
        let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/hands");
        let [own, variant] = [("reference16", "own"), ("orca_v2_torques", "orca_v2_torques")].map(|(name, copy)| {
            let copy = folder.path().join(format!("{copy}.ron"));
            std::fs::copy(assets.join(format!("{name}.ron")), &copy).unwrap();
            copy.to_string_lossy().into_owned()
        });
        std::fs::copy(assets.join("orca_v2.ron"), folder.path().join("orca_v2.ron")).unwrap();
        for (line, expected) in [
            (["--hand", "orca_v2"], [Shifted, Randomised, Nominal]),
            (["--hand", &own], [Randomised, Nominal, Randomised]),
            (["--hand", &variant], [Shifted, Randomised, Nominal]),
            (["--task", "scissors"], [Shifted, Randomised, Nominal]),
            (["--domain", "exact"], [Nominal, Shifted, Randomised]),
        ] {
            let given = Arguments::try_parse_from([&["sim"], line.as_slice()].concat()).unwrap();
            let mut now = given.clone();
            let found = [(); 3].map(|()| {
                now = picked(&now, Pick::Domain, &given);
                now.domain
            });
            assert_eq!(found, expected, "{line:?}");
        }
    }
}
