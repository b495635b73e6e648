//! A hand in the mirror: the plane y = 0 of its frame, M = diag(1, -1, 1).
//!
//! A point p goes to M p. A turn by q about the axis a becomes one by q about -M a: M R(a, q) M = R(-M a, q). So joint positions,
//! their ranges and their names stay as they are: the same numbers are the same posture, seen in the mirror.

use crate::hand::{Finger, Form, Hand, Joint, Link, Tip};
use crate::solid::Solid;
use rapier3d::glamx::{DMat3, DQuat, DVec3};

impl Hand {
    /// Its mirror image. The motors keep their ids and turn the other way, as the image of a shaft does.
    #[must_use]
    pub fn mirrored(mut self) -> Self {
        self.is_mirrored = !self.is_mirrored;
        self.palm = self.palm.iter().map(Solid::mirrored).collect();
        self.wrist = self.wrist.map(Joint::mirrored);
        self.fingers = self.fingers.into_iter().map(Finger::mirrored).collect();
        for motor in self.motors.iter_mut().flat_map(|table| &mut table.motors) {
            motor.turns = motor.turns.reversed();
        }
        self
    }
}

impl Finger {
    fn mirrored(self) -> Self {
        let tip = Tip { center_m: point(self.tip.center_m), ..self.tip };
        Self { tip, joints: self.joints.into_iter().map(Joint::mirrored).collect(), ..self }
    }
}

impl Joint {
    fn mirrored(self) -> Self {
        Self { axis: -point(self.axis), offset_m: point(self.offset_m), link: self.link.mirrored(), ..self }
    }
}

impl Link {
    fn mirrored(self) -> Self {
        Self { end_m: point(self.end_m), form: self.form.map(Form::mirrored), ..self }
    }
}

impl Form {
    fn mirrored(self) -> Self {
        Self {
            center_of_mass_m: point(self.center_of_mass_m),
            inertia_kg_m2: MIRROR * self.inertia_kg_m2 * MIRROR,
            shapes: self.shapes.iter().map(Solid::mirrored).collect(),
        }
    }
}

impl Solid {
    fn mirrored(&self) -> Self {
        match *self {
            // A box looks alike from both sides, so its frame may stay right-handed.
            Self::Box { center_m, half_extents_m, turn: DQuat { x, y, z, w } } => {
                Self::Box { center_m: point(center_m), half_extents_m, turn: DQuat::from_xyzw(-x, y, -z, w) }
            }
            Self::Capsule { from_m, to_m, radius_m } => {
                Self::Capsule { from_m: point(from_m), to_m: point(to_m), radius_m }
            }
            Self::Ball { center_m, radius_m } => Self::Ball { center_m: point(center_m), radius_m },
        }
    }
}

const MIRROR: DMat3 = DMat3::from_diagonal(DVec3::new(1.0, -1.0, 1.0));

fn point(p: DVec3) -> DVec3 {
    DVec3::new(p.x, -p.y, p.z)
}
