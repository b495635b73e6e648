//! Where a ray from the eye meets what is handled.

use crate::viewer::studio::Subject;
use bevy::prelude::*;
use sim::{PartKind, Shape};

/// Where a ray meets an object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Index of the object in the body's spec.
    pub object_idx: usize,
    /// Where, m.
    pub point: Vec3,
    /// The same, in the frame of the object.
    pub local: Vec3,
}

/// The nearest place at which `ray` meets something that is handled; fingers do not hide it.
pub fn hit(ray: Ray3d, subject: &Subject) -> Option<Hit> {
    let parts = subject.parts.iter().zip(&subject.frame.part_poses);
    let hits = parts.filter_map(|(part, &(position_m, orientation))| {
        // The objects of both tasks come in this order: the cube, or the halves of the scissors.
        let object_idx = match part.kind {
            PartKind::Cube => 0,
            PartKind::Scissors { half } => half,
            _ => return None,
        };
        let (origin, turn) = (Vec3::from(position_m), Quat::from_array(orientation));
        let back = turn.inverse();
        let (from, along) = (back * (ray.origin - origin), back * *ray.direction);
        let distance_m = distance_m(part.shape, from, along)?;
        let point = ray.get_point(distance_m);
        let object = subject.frame.truth.objects.get(object_idx)?;
        let local = Quat::from_array(object.orientation).inverse() * (point - Vec3::from(object.position_m));
        Some((distance_m, Hit { object_idx, point, local }))
    });
    hits.min_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, hit)| hit)
}

/// Where `ray` meets the plane through `point` that faces it along `normal`.
pub fn on_plane(ray: Ray3d, point: Vec3, normal: Vec3) -> Option<Vec3> {
    let distance_m = (point - ray.origin).dot(normal) / ray.direction.dot(normal);
    (distance_m.is_finite() && distance_m > 0.0).then(|| ray.get_point(distance_m))
}

/// How far along the unit vector `along` the shape is from `from`, m.
fn distance_m(shape: Shape, from: Vec3, along: Vec3) -> Option<f32> {
    match shape {
        Shape::Cuboid { center_m, half_extents_m } => {
            let (from, half) = (from - Vec3::from(center_m), Vec3::from(half_extents_m));
            // Between the planes of each pair: where the ray is inside of all three. A parallel ray divides by zero: it is
            // inside always or never.
            let (one, other) = ((-half - from) / along, (half - from) / along);
            let (enters, leaves) = (one.min(other).max_element(), one.max(other).min_element());
            (enters <= leaves && enters > 0.0).then_some(enters)
        }
        Shape::Ball { center_m, radius_m } => distance_to_capsule_m(from, along, [center_m.into(); 2], radius_m),
        Shape::Capsule { start_m, end_m, radius_m } => {
            distance_to_capsule_m(from, along, [start_m.into(), end_m.into()], radius_m)
        }
    }
}

/// Where the ray comes nearest to the axis, if that is within the radius: deep enough in the capsule to hold it there.
fn distance_to_capsule_m(from: Vec3, along: Vec3, [start, end]: [Vec3; 2], radius_m: f32) -> Option<f32> {
    let (axis, to_start) = (end - start, start - from);
    let across = axis - axis.dot(along) * along;
    let share = if across.length_squared() > 0.0 {
        (-(to_start - to_start.dot(along) * along).dot(across) / across.length_squared()).clamp(0.0, 1.0)
    } else {
        0.0
    };
    let nearest = to_start + share * axis;
    let distance_m = nearest.dot(along);
    ((nearest - distance_m * along).length() <= radius_m && distance_m > 0.0).then_some(distance_m)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::viewer::filmed::Frame;
    use bridge::ObjectPose;
    use sim::Part;

    fn ray(origin: [f32; 3], towards: [f32; 3]) -> Ray3d {
        let origin = Vec3::from(origin);
        Ray3d::new(origin, Dir3::new(Vec3::from(towards) - origin).unwrap())
    }

    /// Contract: the nearest object is held at the point that is seen, told in its own frame; the hand in front of it and
    /// what is behind the eye are not in the way.
    #[test]
    fn what_is_seen_is_held() {
        let cuboid = Shape::Cuboid { center_m: [0.0; 3], half_extents_m: [0.02, 0.03, 0.04] };
        let rod = Shape::Capsule { start_m: [0.0, 0.0, -0.1], end_m: [0.0, 0.0, 0.1], radius_m: 0.01 };
        let kinds = [PartKind::Scissors { half: 0 }, PartKind::Scissors { half: 1 }, PartKind::Palm];
        let parts = kinds.into_iter().zip([cuboid, rod, cuboid]).map(|(kind, shape)| Part { kind, shape }).collect();
        // A quarter turn about z: the box is 6 cm wide along x.
        let half = std::f32::consts::FRAC_1_SQRT_2;
        let poses = [
            ([0.0; 3], [0.0, 0.0, half, half]),
            ([0.2, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]),
            ([-0.5, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]),
        ];
        let object = |(position_m, orientation)| ObjectPose {
            time_s: 0.0,
            position_m,
            orientation,
            velocity_m_s: [0.0; 3],
            angular_velocity_rad_s: [0.0; 3],
        };
        let mut frame = Frame { part_poses: poses.into(), ..Frame::default() };
        frame.truth.objects = poses[..2].iter().copied().map(object).collect();
        let subject = Subject { parts, frame };

        let box_hit = hit(ray([-1.0, 0.01, 0.0], [0.0, 0.01, 0.0]), &subject).unwrap();
        assert_eq!(box_hit.object_idx, 0);
        assert!(box_hit.point.distance(Vec3::new(-0.03, 0.01, 0.0)) < 1e-5, "{box_hit:?}");
        assert!(box_hit.local.distance(Vec3::new(0.01, 0.03, 0.0)) < 1e-5, "{box_hit:?}");
        let rod_hit = hit(ray([0.2, -1.0, 0.08], [0.2, 0.0, 0.08]), &subject).unwrap();
        assert!(rod_hit.object_idx == 1 && rod_hit.local.distance(Vec3::new(0.0, 0.0, 0.08)) < 1e-5, "{rod_hit:?}");
        assert_eq!(hit(ray([0.2, -1.0, 0.12], [0.2, 0.0, 0.12]), &subject), None);
        assert_eq!(hit(ray([-1.0, 0.05, 0.0], [0.0, 0.05, 0.0]), &subject), None);
        assert_eq!(hit(ray([0.5, 0.0, 0.0], [1.0, 0.0, 0.0]), &subject), None);
    }

    /// Contract: the point under the pointer stays in the plane; a ray that goes along it or away from it has none.
    #[test]
    fn a_plane_is_met_or_not() {
        let seen = ray([0.0, 0.0, 1.0], [0.3, 0.0, 0.0]);
        let found = on_plane(seen, Vec3::new(5.0, 5.0, 0.5), Vec3::Z).unwrap();
        assert!(found.distance(Vec3::new(0.15, 0.0, 0.5)) < 1e-5, "{found}");
        assert_eq!(on_plane(seen, Vec3::new(0.0, 0.0, 2.0), Vec3::Z), None);
        assert_eq!(on_plane(ray([0.0, 0.0, 1.0], [1.0, 0.0, 1.0]), Vec3::ZERO, Vec3::Z), None);
    }
}
