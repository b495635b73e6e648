//! What both formats come to: a tree of links, in the posture in which all joints are at zero.

use super::error::ImportError;
use crate::inertia::Inertia;
use crate::solid::Solid;
use rapier3d::glamx::{DQuat, DVec3};

/// Density of what does not say it, kg/m^3: that of water and of plastics.
pub(crate) const USUAL_DENSITY: f64 = 1000.0;

/// All links of a file. Parents come before their children.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) name: String,
    pub(crate) links: Vec<Link>,
    /// Pairs of links that something else holds together, with the place where the file says so.
    pub(crate) loops: Vec<(String, [String; 2])>,
    pub(crate) notes: Vec<String>,
}

/// A rigid link behind a joint, or fixed to its parent.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) name: String,
    /// Where errors say that it stands.
    pub(crate) place: String,
    pub(crate) parent: Option<usize>,
    /// Where it is in its parent's frame with its joint at zero.
    pub(crate) pose: Placement,
    pub(crate) joint: Option<Joint>,
    pub(crate) inertia: Option<Inertia>,
    /// What touches things, in the link's frame.
    pub(crate) shapes: Vec<Solid>,
    /// What was approximated in it.
    pub(crate) notes: Vec<String>,
    /// A file that it needs and that could not be read: an error where the link is a part of the hand.
    pub(crate) missing: Option<ImportError>,
}

/// A frame in another: turned, then moved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placement {
    pub(crate) offset_m: DVec3,
    pub(crate) turn: DQuat,
}

/// What a link turns by.
#[derive(Clone, Debug)]
pub(crate) struct Joint {
    pub(crate) name: String,
    pub(crate) place: String,
    pub(crate) kind: Kind,
    /// A point of its axis, in the frame of the link behind it, m.
    pub(crate) anchor_m: DVec3,
    /// A unit vector, in the frame of the link behind it.
    pub(crate) axis: DVec3,
    pub(crate) range_rad: Option<[f64; 2]>,
    pub(crate) damping_nm_s_rad: f64,
    pub(crate) armature_kg_m2: Option<f64>,
    pub(crate) max_effort_nm: Option<f64>,
    pub(crate) max_rate_rad_s: Option<f64>,
    pub(crate) gains: Option<Gains>,
    pub(crate) follows: Option<Follows>,
}

/// What a joint allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Hinge,
    /// Anything else, by the file's word for it.
    Other(&'static str),
}

/// Of a motor that holds positions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gains {
    pub(crate) stiffness_nm_rad: f64,
    pub(crate) damping_nm_s_rad: f64,
}

/// That a joint follows others: position = factor x that of `joint` + offset, where it is so simple.
#[derive(Clone, Debug)]
pub(crate) struct Follows {
    pub(crate) joint: String,
    pub(crate) factor: f64,
    pub(crate) offset_rad: f64,
}

impl Link {
    pub(crate) fn new(name: String, place: String, parent: Option<usize>, pose: Placement) -> Self {
        let (shapes, notes) = (Vec::new(), Vec::new());
        Self { name, place, parent, pose, joint: None, inertia: None, shapes, notes, missing: None }
    }

    /// Adds to its mass.
    pub(crate) fn weigh(&mut self, inertia: Option<Inertia>) {
        self.inertia = match (self.inertia.take(), inertia) {
            (Some(own), Some(more)) => Some(own.joined(&more)),
            (own, more) => own.or(more),
        };
    }
}

impl Placement {
    pub(crate) const HERE: Self = Self { offset_m: DVec3::ZERO, turn: DQuat::IDENTITY };

    /// Where a point of the inner frame is in the outer one, m.
    pub(crate) fn point_m(&self, point_m: DVec3) -> DVec3 {
        self.offset_m + self.turn * point_m
    }

    /// `inner`, which is in this frame, seen from where this frame is seen.
    pub(crate) fn then(&self, inner: &Self) -> Self {
        Self { offset_m: self.point_m(inner.offset_m), turn: (self.turn * inner.turn).normalize() }
    }

    pub(crate) fn inverse(&self) -> Self {
        let turn = self.turn.inverse();
        Self { offset_m: turn * -self.offset_m, turn }
    }

    /// A turn by `angle_rad` about an axis through a point.
    pub(crate) fn hinge(anchor_m: DVec3, axis: DVec3, angle_rad: f64) -> Self {
        let turn = DQuat::from_axis_angle(axis, angle_rad);
        Self { offset_m: anchor_m - turn * anchor_m, turn }
    }
}

impl Joint {
    /// A joint of which nothing is known yet.
    pub(crate) fn new(name: String, place: String, kind: Kind, axis: DVec3) -> Self {
        Self {
            name,
            place,
            kind,
            anchor_m: DVec3::ZERO,
            axis,
            range_rad: None,
            damping_nm_s_rad: 0.0,
            armature_kg_m2: None,
            max_effort_nm: None,
            max_rate_rad_s: None,
            gains: None,
            follows: None,
        }
    }

    /// The position in its range that is nearest to `at_rad`.
    pub(crate) fn nearest_rad(&self, at_rad: f64) -> f64 {
        // Not `clamp`: a range the wrong way round is reported later.
        self.range_rad.map_or(at_rad, |[lower, upper]| at_rad.min(upper).max(lower))
    }
}
