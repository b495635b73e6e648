//! Who touches whom. Explicit, because a pair that overlaps for good (palm and knuckles do) makes a multibody explode.
//!
//! The hand touches objects, always. Palm and fingers do not touch, nor do the links of one finger. Links of different
//! fingers do, as far as [`FingerContacts`] says. Measured: `Distal` costs nothing with ORCA (its gaits turn at 0.583 and
//! 1.41 rad/s with and without) and 8 % of the steps/s with the reference hand, whose first gait needed fingers that pass
//! through each other (0.841 rad/s without, 0.324 with); `All` drops the slow ORCA gait's cube after 12 s.

use crate::hand::Link;
use rapier3d::prelude::{Group, InteractionGroups, InteractionTestMode};
use serde::{Deserialize, Serialize};

/// Which parts of different fingers touch each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FingerContacts {
    /// None: fingers pass through each other.
    Off,
    /// Last links and tips.
    Distal,
    /// Last links, tips, and the links before them that collide at all.
    All,
}

/// Builds interaction groups: group 1 is objects, 2 the palm, 3 is links that touch objects only, 4 + i finger i.
#[derive(Clone, Copy)]
pub(crate) struct Groups {
    finger_contacts: FingerContacts,
}

const OBJECT: Group = Group::GROUP_1;
const PALM: Group = Group::GROUP_2;
const ALOOF: Group = Group::GROUP_3;
const FIRST_FINGER: u32 = 3;
/// As many as there are groups left.
pub(crate) const MAX_FINGERS: usize = (u32::BITS - FIRST_FINGER) as usize;
const ALL_FINGERS: Group = Group::ALL.difference(OBJECT).difference(PALM).difference(ALOOF);

impl Groups {
    pub(crate) const fn new(finger_contacts: FingerContacts) -> Self {
        Self { finger_contacts }
    }

    pub(crate) const fn object(self) -> InteractionGroups {
        both(OBJECT, Group::ALL)
    }

    pub(crate) const fn palm(self) -> InteractionGroups {
        both(PALM, OBJECT)
    }

    pub(crate) const fn distal(self, finger: usize) -> InteractionGroups {
        match self.finger_contacts {
            FingerContacts::Off => both(ALOOF, OBJECT),
            FingerContacts::Distal | FingerContacts::All => among_fingers(finger),
        }
    }

    /// Those of a link of finger `finger`.
    pub(crate) const fn link(self, link: &Link, finger: usize, is_distal: bool) -> InteractionGroups {
        match (link.collides, is_distal) {
            (false, _) => InteractionGroups::none(),
            (true, false) => self.proximal(finger),
            (true, true) => self.distal(finger),
        }
    }

    const fn proximal(self, finger: usize) -> InteractionGroups {
        match self.finger_contacts {
            FingerContacts::Off | FingerContacts::Distal => both(ALOOF, OBJECT),
            FingerContacts::All => among_fingers(finger),
        }
    }
}

const fn among_fingers(finger: usize) -> InteractionGroups {
    let own = Group::from_bits_truncate(1 << (FIRST_FINGER + finger as u32));
    both(own, ALL_FINGERS.difference(own).union(OBJECT))
}

/// Both sides must agree.
const fn both(memberships: Group, filter: Group) -> InteractionGroups {
    InteractionGroups::new(memberships, filter, InteractionTestMode::And)
}
