//! The studio: light, floor and camera around whatever parts a world has, and their poses as the physics has them.
//!
//! Bevy is y-up only by habit: the world keeps its z-up frame.

use crate::viewer::filmed::Frame;
use crate::viewer::orbit::{FIELD_OF_VIEW_RAD, Orbit};
use crate::viewer::paint::BACKDROP;
use crate::viewer::props::pieces;
use bevy::anti_alias::fxaa::Fxaa;
use bevy::camera::Exposure;
use bevy::core_pipeline::tonemapping::{DebandDither, Tonemapping};
use bevy::light::CascadeShadowConfigBuilder;
use bevy::prelude::*;
use sim::{Part, PartKind, Shape};

/// What is in front of the camera.
#[derive(Resource)]
pub struct Subject {
    /// Shapes, in the order of [`Frame::part_poses`].
    pub parts: Vec<Part>,
    /// Poses and contacts.
    pub frame: Frame,
}

impl Subject {
    /// Points that everything but the floor reaches out to.
    pub fn points(&self) -> Vec<Vec3> {
        let parts = self.parts.iter().zip(&self.frame.part_poses).filter(|(part, _)| part.kind != PartKind::Floor);
        let mut points = Vec::new();
        for (part, &(position_m, orientation)) in parts {
            let ends = match part.shape {
                Shape::Cuboid { center_m, half_extents_m } => {
                    let (center, half) = (Vec3::from(center_m), Vec3::from(half_extents_m));
                    [center - half, center + half]
                }
                Shape::Capsule { start_m, end_m, .. } => [start_m.into(), end_m.into()],
                Shape::Ball { center_m, .. } => [center_m.into(); 2],
            };
            points.extend(ends.map(|end| Vec3::from(position_m) + Quat::from_array(orientation) * end));
        }
        points
    }
}

/// Draws the subject; whatever changes it comes before.
#[derive(SystemSet, Clone, Debug, PartialEq, Eq, Hash)]
pub struct DrawSubject;

/// Index of the part that an entity draws.
#[derive(Component)]
struct Drawn(usize);

/// Puts the studio around `subject`. The camera is left to whoever films.
pub fn furnish(app: &mut App, subject: Subject) {
    app.insert_resource(ClearColor(BACKDROP))
        .insert_resource(GlobalAmbientLight { color: Color::srgb(1.0, 0.98, 0.96), brightness: 430.0, ..default() })
        .insert_resource(subject)
        .add_systems(Startup, light)
        .add_systems(Update, (build, pose).chain().in_set(DrawSubject));
}

/// What is far behind the subject of `view` fades into the backdrop.
pub fn fog(view: &Orbit) -> DistanceFog {
    let distance_m = view.distance_m();
    let falloff = FogFalloff::Linear { start: 1.4 * distance_m, end: 3.2 * distance_m };
    DistanceFog { color: BACKDROP, falloff, ..default() }
}

/// The camera that films from `view`, with a fill light beside it.
pub fn camera(view: &Orbit) -> impl Bundle {
    let projection = PerspectiveProjection { fov: FIELD_OF_VIEW_RAD, near: 0.01, far: 10.0, ..default() };
    let fill = DirectionalLight { illuminance: 1100.0, color: Color::srgb(1.0, 0.97, 0.93), ..default() };
    let forwards_and_down = Transform::default().looking_to(Vec3::new(-0.3, -0.2, -1.0), Vec3::Y);
    (
        Camera3d::default(),
        // Colours stay as they are painted, so that the floor fades into the backdrop without an edge.
        Tonemapping::None,
        DebandDither::Disabled,
        // Smooths edges in one pass over the picture: multisampling costs a software renderer more than twice the time.
        Msaa::Off,
        Fxaa::default(),
        Exposure::BLENDER,
        Projection::from(projection),
        view.transform(),
        fog(view),
        children![(fill, forwards_and_down)],
    )
}

/// A key light that casts the shadows, and one from below for the cube's faces, which the palm would else leave dark.
fn light(mut commands: Commands) {
    let shadows = CascadeShadowConfigBuilder { num_cascades: 1, maximum_distance: 1.5, ..default() }.build();
    let towards = |x, y, z| Transform::default().looking_to(Vec3::new(x, y, z), Vec3::Z);
    let key = DirectionalLight { illuminance: 3800.0, shadow_maps_enabled: true, ..default() };
    commands.spawn((key, shadows, towards(-0.8, -0.6, -1.0)));
    let bounce = DirectionalLight { illuminance: 900.0, color: Color::srgb(0.93, 0.96, 1.0), ..default() };
    commands.spawn((bounce, towards(-0.3, 0.4, 1.0)));
}

/// Builds what is to be drawn anew when the parts have changed: a new episode may have another cube.
fn build(
    mut commands: Commands,
    subject: Res<Subject>,
    mut built: Local<Vec<Part>>,
    drawn: Query<Entity, With<Drawn>>,
    mut meshes: ResMut<Assets<Mesh>>,
    mut materials: ResMut<Assets<StandardMaterial>>,
) {
    if *built == subject.parts {
        return;
    }
    drawn.iter().for_each(|entity| commands.entity(entity).despawn());
    for index in 0..subject.parts.len() {
        let mut parent = commands.spawn((Drawn(index), Transform::default(), Visibility::default()));
        for piece in pieces(&subject, index) {
            let material = StandardMaterial {
                base_color: piece.color,
                perceptual_roughness: if piece.is_steel { 0.28 } else { 0.55 },
                reflectance: if piece.is_steel { 0.8 } else { 0.35 },
                ..default()
            };
            parent.with_child((
                Mesh3d(meshes.add(piece.mesh)),
                MeshMaterial3d(materials.add(material)),
                piece.local_from_mesh,
            ));
        }
    }
    built.clone_from(&subject.parts);
}

/// Puts every part where the physics has it.
fn pose(subject: Res<Subject>, mut drawn: Query<(&Drawn, &mut Transform)>) {
    for (Drawn(index), mut transform) in &mut drawn {
        if let Some(&(position_m, orientation)) = subject.frame.part_poses.get(*index) {
            transform.translation = position_m.into();
            transform.rotation = Quat::from_array(orientation);
        }
    }
}
