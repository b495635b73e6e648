//! From a tree of links to a hand: which link is the palm, which chains are fingers, and what has to be folded or held for that.
//!
//! The palm is where the fingers meet: of the links from which at least two chains of hinges start, the one from which most do.

use super::error::ImportError;
use super::table::{self, Chain, Part, Wrist};
use super::tree::{Joint, Kind, Placement, Tree};
use super::{Coupled, Imported, Options};
use rapier3d::glamx::DQuat;

/// More than any robot has.
const MAX_LINKS: usize = 1000;
/// An axis that passes the origin this close goes through it, m.
const NEAR_M: f64 = 1e-9;

/// Makes a hand of what was read from `source_name`.
pub(crate) fn build(mut tree: Tree, source_name: &str, options: &Options) -> Result<Imported, ImportError> {
    if tree.links.len() > MAX_LINKS {
        let reason =
            format!("found {} links, expected at most {MAX_LINKS}: leave out what is no hand", tree.links.len());
        return Err(ImportError::invalid(source_name, reason));
    }
    check_names(&tree)?;
    let tree = &mut tree;
    let wanted = options.palm.as_deref().map(|name| find_link(tree, name, source_name)).transpose()?;
    let groups = Groups::new(tree);
    let root = groups.palm(tree, wanted, source_name)?;
    // What is beyond the palm decides what has to be said of joints; so they are settled once it is known.
    let mut beyond: Vec<usize> = (0..tree.links.len()).filter(|&link| groups.is_beyond(link, root)).collect();
    beyond.retain(|&link| tree.links[link].joint.is_some());
    settle(tree, &beyond, options.coupled)?;
    let groups = Groups::new(tree);
    let palm = wanted.unwrap_or_else(|| groups.meeting_point(tree, root));
    let mut to_table = groups.in_leader(tree, palm).inverse();
    let wrist = options.has_wrist.then(|| wrist(tree, root, palm, &mut to_table)).transpose()?;

    let mut chains = Vec::new();
    for first in groups.followers(tree, root) {
        chains.push(chain(tree, &groups, first, &to_table)?);
    }
    if chains.is_empty() {
        return Err(ImportError::invalid(&tree.links[palm].place, "found no finger on this palm, expected a hinge"));
    }
    for (place, names) in &tree.loops {
        let is_hand = |name: &String| {
            tree.links
                .iter()
                .position(|link| &link.name == name)
                .is_some_and(|link| groups.leader[link] == root && root != 0 || groups.is_beyond(link, root))
        };
        if names.iter().all(is_hand) {
            return Err(ImportError::invalid(place, "found a closed loop of links, expected a tree: leave it out"));
        }
        tree.notes.push(format!("{place}: left out, the palm is held by whatever carries the hand"));
    }
    note_what_is_before(tree, &groups, root, palm, wrist.as_ref());
    let members = groups.members(root).filter(|&link| is_at_or_below(tree, link, palm));
    let palm_part = Part::gather(tree, members, |link| to_table.then(&groups.in_leader(tree, link)))?;
    let palm_name = tree.links[palm].name.clone();
    table::write(tree, &palm_part, wrist, chains, palm_name, source_name, options)
}

/// Names stand for links and joints: no two may share one.
fn check_names(tree: &Tree) -> Result<(), ImportError> {
    let mut seen = std::collections::BTreeSet::new();
    for joint in tree.links.iter().filter_map(|link| link.joint.as_ref()) {
        if !seen.insert(&joint.name) {
            return Err(ImportError::invalid(&joint.place, "found two joints of this name, expected distinct ones"));
        }
    }
    Ok(())
}

fn find_link(tree: &Tree, name: &str, source_name: &str) -> Result<usize, ImportError> {
    tree.links.iter().position(|link| link.name == name).ok_or_else(|| {
        let names: Vec<&str> = tree.links.iter().take(60).map(|link| link.name.as_str()).collect();
        ImportError::invalid(source_name, format!("palm: no link is called `{name}`; known are {}", names.join(", ")))
    })
}

fn is_at_or_below(tree: &Tree, mut link: usize, above: usize) -> bool {
    while link != above {
        match tree.links[link].parent {
            Some(parent) => link = parent,
            None => return false,
        }
    }
    true
}

/// Links that are fixed to each other: each has a leader, the one with the joint, or the root.
struct Groups {
    leader: Vec<usize>,
    /// Leader of the group that a group hangs on, by leader.
    before: Vec<Option<usize>>,
}

impl Groups {
    fn new(tree: &Tree) -> Self {
        let mut groups = Self { leader: Vec::new(), before: Vec::new() };
        for (index, link) in tree.links.iter().enumerate() {
            let parent = link.parent.map(|parent| groups.leader[parent]);
            let is_fixed = link.joint.is_none();
            groups.leader.push(parent.filter(|_| is_fixed).unwrap_or(index));
            groups.before.push(parent);
        }
        groups
    }

    fn members(&self, leader: usize) -> impl Iterator<Item = usize> + '_ {
        self.leader.iter().enumerate().filter(move |&(_, &own)| own == leader).map(|(link, _)| link)
    }

    /// Leaders of the groups that hang on a group.
    fn followers(&self, tree: &Tree, leader: usize) -> Vec<usize> {
        let hangs_on = |&link: &usize| self.leader[link] == link && self.before[link] == Some(leader);
        let all: Vec<usize> = (0..self.leader.len()).filter(hangs_on).collect();
        // Things that lie about in the world are no fingers.
        all.into_iter().filter(|&link| leader != 0 || self.has_hinge(tree, link)).collect()
    }

    /// Whether something turns in a group or beyond it.
    fn has_hinge(&self, tree: &Tree, leader: usize) -> bool {
        let is_hinge = |link: usize| tree.links[link].joint.as_ref().is_some_and(|joint| joint.kind == Kind::Hinge);
        (0..tree.links.len()).any(|link| is_hinge(link) && (link == leader || self.is_beyond(link, leader)))
    }

    /// Whether a link hangs on a group, but is not in it.
    fn is_beyond(&self, link: usize, leader: usize) -> bool {
        let mut group = self.leader[link];
        while let Some(before) = self.before[group] {
            group = before;
            if group == leader {
                return true;
            }
        }
        false
    }

    /// Where a link is in its leader's frame.
    fn in_leader(&self, tree: &Tree, mut link: usize) -> Placement {
        let mut pose = Placement::HERE;
        while link != self.leader[link] {
            pose = tree.links[link].pose.then(&pose);
            link = tree.links[link].parent.unwrap_or(0);
        }
        pose
    }

    /// How many fingers start at a group: chains of hinges, without branches.
    fn n_chains(&self, tree: &Tree, leader: usize) -> usize {
        let is_chain = |&first: &usize| {
            let mut group = first;
            loop {
                if tree.links[group].joint.as_ref().is_none_or(|joint| joint.kind != Kind::Hinge) {
                    return false;
                }
                match self.followers(tree, group)[..] {
                    [] => return true,
                    [next] => group = next,
                    _ => return false,
                }
            }
        };
        self.followers(tree, leader).iter().filter(|&first| is_chain(first)).count()
    }

    fn palm(&self, tree: &Tree, wanted: Option<usize>, source_name: &str) -> Result<usize, ImportError> {
        if let Some(link) = wanted {
            return Ok(self.leader[link]);
        }
        let leaders = (0..tree.links.len()).filter(|&link| self.leader[link] == link);
        let counted: Vec<(usize, usize)> = leaders.map(|leader| (self.n_chains(tree, leader), leader)).collect();
        let most = counted.iter().map(|&(n_chains, _)| n_chains).max().unwrap_or(0);
        let best: Vec<usize> = counted.iter().filter(|&&(n, _)| n == most).map(|&(_, leader)| leader).collect();
        let name = |&leader: &usize| tree.links[self.meeting_point(tree, leader)].name.as_str();
        match best[..] {
            [palm] if most >= 2 => Ok(palm),
            _ if most >= 2 => {
                let names: Vec<&str> = best.iter().map(name).collect();
                let reason =
                    format!("palm: found {} with {most} fingers each, expected one: name it", names.join(", "));
                Err(ImportError::invalid(source_name, reason))
            }
            _ => {
                let joints = || tree.links.iter().filter_map(|link| link.joint.as_ref());
                let n_joints = joints().count();
                let others = joints().filter_map(|joint| match joint.kind {
                    Kind::Hinge => None,
                    Kind::Other(kind) => Some(format!("; {} is a {kind}", joint.name)),
                });
                let others: String = others.take(5).collect();
                let reason = format!(
                    "palm: found {n_joints} joints, but no link from which two fingers of hinges start, expected a hand: name its palm{others}"
                );
                Err(ImportError::invalid(source_name, reason))
            }
        }
    }

    /// The link of a group that all fingers hang on and that is farthest from its leader.
    fn meeting_point(&self, tree: &Tree, leader: usize) -> usize {
        let bases: Vec<usize> =
            self.followers(tree, leader).iter().filter_map(|&first| tree.links[first].parent).collect();
        let holds_all = |&link: &usize| bases.iter().all(|&base| is_at_or_below(tree, base, link));
        // Children come after their parents.
        self.members(leader).filter(holds_all).last().filter(|_| !bases.is_empty()).unwrap_or(leader)
    }
}

/// Decides on every joint beyond the palm: a hinge that turns, one that is frozen, or an error.
fn settle(tree: &mut Tree, beyond: &[usize], coupled: Coupled) -> Result<(), ImportError> {
    let mut refused = Vec::new();
    for &index in beyond {
        let Some(joint) = tree.links[index].joint.clone() else { continue };
        if let Kind::Other(kind) = joint.kind {
            let reason =
                format!("found a {kind}, expected a hinge: a finger here turns only; fix it, or name another palm");
            return Err(ImportError::invalid(joint.place, reason));
        }
        let at_rad = joint.follows.as_ref().map(|follows| {
            let joints = tree.links.iter().filter_map(|link| link.joint.as_ref());
            let leader = joints.into_iter().find(|joint| joint.name == follows.joint);
            let leader_rad = leader.map_or(0.0, |leader| leader.nearest_rad(0.0));
            joint.nearest_rad(follows.factor * leader_rad + follows.offset_rad)
        });
        let leader = joint.follows.as_ref().map(|follows| follows.joint.as_str()).unwrap_or_default();
        match (at_rad, coupled) {
            (Some(_), Coupled::Refuse) => refused.push(format!("{} follows {leader}", joint.name)),
            (Some(at_rad), Coupled::Frozen) => freeze(tree, index, at_rad, "it follows another joint"),
            _ if width_rad(&joint)? == 0.0 => {
                freeze(tree, index, joint.nearest_rad(0.0), "its range has no width");
            }
            (Some(_), Coupled::Free) => {
                tree.notes.push(format!("{}: turns on its own, in the file it follows {leader}", joint.place));
            }
            (None, _) => (),
        }
    }
    if refused.is_empty() {
        return Ok(());
    }
    let reason = format!(
        "found joints that follow others ({}), expected each to have a motor: --coupled free gives them one, --coupled \
         frozen holds them",
        refused.join(", ")
    );
    Err(ImportError::invalid(format!("joints of {}", tree.name), reason))
}

/// Of its range.
fn width_rad(joint: &Joint) -> Result<f64, ImportError> {
    let Some([lower, upper]) = joint.range_rad else {
        let reason = "found a hinge without a range, expected one, rad: give it limits in the file";
        return Err(ImportError::invalid(&joint.place, reason));
    };
    let width_rad = upper - lower;
    if (0.0..100.0).contains(&width_rad) {
        Ok(width_rad)
    } else {
        let reason = format!("range: found {:?} rad, expected lower before upper", [lower, upper]);
        Err(ImportError::invalid(&joint.place, reason))
    }
}

/// The joint that turns the palm. Its axis goes through the table's origin, which is moved there: as little as it takes.
fn wrist(tree: &mut Tree, root: usize, palm: usize, to_table: &mut Placement) -> Result<Wrist, ImportError> {
    let name = &tree.links[palm].name;
    let Some(joint) = tree.links[root].joint.clone() else {
        let reason = format!("found no joint that turns the palm {name}, expected a hinge: leave out --wrist");
        return Err(ImportError::invalid(&tree.links[root].place, reason));
    };
    let found = match (joint.kind, &joint.follows) {
        (Kind::Other(kind), _) => Some(format!("a {kind}")),
        (Kind::Hinge, Some(follows)) => Some(format!("a hinge that follows {}", follows.joint)),
        (Kind::Hinge, None) if width_rad(&joint)? == 0.0 => Some("a range without width".into()),
        (Kind::Hinge, None) => None,
    };
    if let Some(found) = found {
        let reason = format!("found {found} before the palm {name}, expected a hinge that turns: leave out --wrist");
        return Err(ImportError::invalid(joint.place, reason));
    }
    let axis = to_table.turn * joint.axis;
    let off_m = to_table.point_m(joint.anchor_m).reject_from(axis);
    if off_m.length() > NEAR_M {
        let off_mm = 1e3 * off_m;
        let note =
            format!("origin: moved by {:.1} {:.1} {:.1} mm, onto the axis of the wrist", off_mm.x, off_mm.y, off_mm.z);
        tree.notes.push(note);
        *to_table = Placement { offset_m: -off_m, turn: DQuat::IDENTITY }.then(to_table);
    }
    tree.notes.push(format!("{}: turns the palm", joint.place));
    Ok(Wrist { joint, axis })
}

/// Makes a joint fixed.
fn freeze(tree: &mut Tree, index: usize, at_rad: f64, why: &str) {
    let link = &mut tree.links[index];
    if let Some(joint) = link.joint.take() {
        link.pose = link.pose.then(&Placement::hinge(joint.anchor_m, joint.axis, at_rad));
        tree.notes.push(format!("{}: held at {at_rad:.4} rad: {why}", joint.place));
    }
}

/// The finger that begins with the group `first`.
fn chain(tree: &Tree, groups: &Groups, first: usize, to_table: &Placement) -> Result<Chain, ImportError> {
    let mut chain = Chain { joints: Vec::new(), parts: Vec::new(), links: Vec::new() };
    let mut next = Some(first);
    // Where the group that the next one hangs on is in the table.
    let mut base = *to_table;
    while let Some(leader) = next {
        let link = &tree.links[leader];
        let Some(joint) = link.joint.clone() else { break };
        let on = link.parent.map_or(Placement::HERE, |parent| groups.in_leader(tree, parent));
        let at = base.then(&on).then(&link.pose);
        let axis = at.turn * joint.axis;
        chain.joints.push((joint.clone(), at.point_m(joint.anchor_m), axis));
        let members = groups.members(leader);
        chain.parts.push(Part::gather(tree, members, |link| at.then(&groups.in_leader(tree, link)))?);
        chain.links.push(link.name.clone());
        next = match groups.followers(tree, leader)[..] {
            [] => None,
            [only] => Some(only),
            _ => {
                let names: Vec<&str> =
                    groups.followers(tree, leader).iter().map(|&link| tree.links[link].name.as_str()).collect();
                let reason = format!(
                    "found a finger that branches here into {}, expected a chain: name a palm from which no finger \
                     branches, or make a joint fixed",
                    names.join(" and ")
                );
                return Err(ImportError::invalid(&link.place, reason));
            }
        };
        base = at;
    }
    Ok(chain)
}

/// Tells what of the file is not in the hand.
fn note_what_is_before(tree: &mut Tree, groups: &Groups, root: usize, palm: usize, wrist: Option<&Wrist>) {
    let joints: Vec<&str> = (0..tree.links.len())
        .filter(|&link| !groups.is_beyond(link, root))
        .filter_map(|link| tree.links[link].joint.as_ref())
        .map(|joint| joint.name.as_str())
        .filter(|&name| wrist.is_none_or(|wrist| wrist.joint.name != name))
        .collect();
    let is_palm = |link: usize| groups.leader[link] == root && is_at_or_below(tree, link, palm);
    let is_hand = |link: usize| groups.is_beyond(link, root) || is_palm(link);
    let left_out: Vec<&str> = (0..tree.links.len())
        .filter(|&link| !is_hand(link))
        .filter(|&link| !tree.links[link].shapes.is_empty())
        .map(|link| tree.links[link].name.as_str())
        .collect();
    let mut notes = Vec::new();
    if !joints.is_empty() {
        notes.push(format!("joints that do not belong to a finger, held at zero: {}", joints.join(", ")));
    }
    if !left_out.is_empty() {
        notes.push(format!("links with shapes that do not belong to the hand, left out: {}", left_out.join(", ")));
    }
    tree.notes.extend(notes);
}
