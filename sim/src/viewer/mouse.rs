//! What the mouse does: it turns the camera, or pulls on the object under it.

use crate::viewer::orbit::Orbit;
use crate::viewer::pull::Pull;
use crate::viewer::ray::{hit, on_plane};
use crate::viewer::studio::{self, Subject};
use crate::viewer::window::Show;
use bevy::input::mouse::{AccumulatedMouseScroll, MouseScrollUnit};
use bevy::prelude::*;

/// Pixels of a touch pad that are one click of a wheel.
const PIXELS_PER_CLICK: f32 = 40.0;

/// What the left button holds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Grip {
    /// Nothing: it is up, or an episode has begun since it was pressed.
    #[default]
    Nothing,
    /// The camera.
    Camera,
    /// An object.
    Object(Pull),
}

impl Grip {
    /// The pull on the object, if it holds one.
    pub const fn pull(self) -> Option<Pull> {
        match self {
            Self::Object(pull) => Some(pull),
            Self::Nothing | Self::Camera => None,
        }
    }
}

/// Drags what the left button was pressed on, in the plane that faces the camera; beside everything, or with the right button,
/// it drags the camera.
pub fn obey_mouse(
    window: Single<&Window>,
    camera: Single<(&Camera, &Transform), With<Camera3d>>,
    mut orbit: ResMut<Orbit>,
    mut show: ResMut<Show>,
    subject: Res<Subject>,
    buttons: Res<ButtonInput<MouseButton>>,
    mut moves: MessageReader<CursorMoved>,
) {
    let (camera, &place) = *camera;
    let ray = window.cursor_position().and_then(|at| camera.viewport_to_world(&GlobalTransform::from(place), at).ok());
    if buttons.just_pressed(MouseButton::Left) {
        show.grip = ray.and_then(|ray| hit(ray, &subject)).map_or(Grip::Camera, |hit| {
            Grip::Object(Pull {
                object_idx: hit.object_idx,
                local_m: hit.local.to_array(),
                target_m: hit.point.to_array(),
            })
        });
    } else if !buttons.pressed(MouseButton::Left) {
        show.grip = Grip::Nothing;
    }
    let moved: Vec2 = moves.read().filter_map(|cursor| cursor.delta).sum();
    match &mut show.grip {
        Grip::Object(pull) => {
            let target = ray.and_then(|ray| on_plane(ray, pull.target_m.into(), *place.forward()));
            pull.target_m = target.map_or(pull.target_m, |target| target.to_array());
        }
        Grip::Camera => orbit.drag(moved),
        Grip::Nothing if buttons.pressed(MouseButton::Right) => orbit.drag(moved),
        Grip::Nothing => {}
    }
    let pull = show.grip.pull();
    show.rollout.pull(pull);
}

/// Zooms, and puts the camera where it is to be.
pub fn place_camera(
    mut camera: Single<(&mut Transform, &mut DistanceFog), With<Camera3d>>,
    mut orbit: ResMut<Orbit>,
    scroll: Res<AccumulatedMouseScroll>,
) {
    let clicks = match scroll.unit {
        MouseScrollUnit::Line => scroll.delta.y,
        MouseScrollUnit::Pixel => scroll.delta.y / PIXELS_PER_CLICK,
    };
    orbit.zoom(clicks);
    let (place, fog) = &mut *camera;
    (**place, **fog) = (orbit.transform(), studio::fog(&orbit));
}
