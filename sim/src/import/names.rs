//! Names of fingers and joints, from the names of the joints of each finger.
//!
//! In a description a joint is called `<finger>_<joint>`. A finger is called what its joints' names have in common, if no other finger is:
//! up to an underscore (`index_mcp`, `index_pip`), else up to anything (`FFJ3`, `FFJ2`); else fingers are numbered.

/// A finger's name, and its joints' within it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FingerNames {
    pub(crate) finger: String,
    pub(crate) joints: Vec<String>,
}

/// Those of all fingers.
pub(crate) fn of(fingers: &[Vec<String>]) -> Vec<FingerNames> {
    let split = |cut: fn(&[String]) -> usize| -> Option<Vec<FingerNames>> {
        let names: Vec<FingerNames> = fingers
            .iter()
            .map(|joints| {
                let at = cut(joints);
                let trim = |name: &str| name.trim_matches('_').to_owned();
                let rest = joints.iter().map(|name| trim(name.get(at..).unwrap_or_default())).collect();
                FingerNames {
                    finger: trim(joints.first().and_then(|name| name.get(..at)).unwrap_or_default()),
                    joints: rest,
                }
            })
            .collect();
        let are_told_apart = names.iter().enumerate().all(|(index, own)| {
            !own.finger.is_empty()
                && own.joints.iter().all(|joint| !joint.is_empty())
                && names[..index].iter().all(|other| other.finger != own.finger)
        });
        are_told_apart.then_some(names)
    };
    split(up_to_underscore).or_else(|| split(common)).unwrap_or_else(|| {
        let numbered = |(index, joints): (usize, &Vec<String>)| FingerNames {
            finger: format!("finger{}", index + 1),
            joints: joints.clone(),
        };
        fingers.iter().enumerate().map(numbered).collect()
    })
}

/// Length of what all have in common; one name has something in common up to its last underscore.
fn common(names: &[String]) -> usize {
    match names {
        [] => 0,
        [only] => only.rfind('_').map_or(0, |at| at + 1),
        [first, rest @ ..] => {
            let with = |name: &String| first.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
            let length = rest.iter().map(with).min().unwrap_or(0);
            (0..=length).rev().find(|&at| first.is_char_boundary(at)).unwrap_or(0)
        }
    }
}

fn up_to_underscore(names: &[String]) -> usize {
    let first = names.first().map(String::as_str).unwrap_or_default();
    first.get(..common(names)).and_then(|common| common.rfind('_')).map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(fingers: &[&[&str]]) -> Vec<String> {
        let fingers: Vec<Vec<String>> =
            fingers.iter().map(|joints| joints.iter().map(|&name| name.to_owned()).collect()).collect();
        let join = |names: FingerNames| format!("{}: {}", names.finger, names.joints.join(" "));
        of(&fingers).into_iter().map(join).collect()
    }

    /// Contract: names that are built like ours come back as they were; others give fingers that are told apart.
    #[test]
    fn fingers_are_told_apart() {
        assert_eq!(named(&[&["index_abd", "index_mcp"], &["ring_mcp"]]), ["index: abd mcp", "ring: mcp"]);
        assert_eq!(named(&[&["r_FFJ4", "r_FFJ3"], &["r_THJ5", "r_THJ4"]]), ["r_FFJ: 4 3", "r_THJ: 5 4"]);
        assert_eq!(
            named(&[&["joint_0.0", "joint_1.0"], &["joint_4.0", "joint_5.0"]]),
            ["finger1: joint_0.0 joint_1.0", "finger2: joint_4.0 joint_5.0"]
        );
        assert_eq!(named(&[&["a", "b"], &["\u{e9}1", "\u{e8}2"]]), ["finger1: a b", "finger2: \u{e9}1 \u{e8}2"]);
    }
}
