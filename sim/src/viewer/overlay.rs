//! What is drawn over the picture: texts, force arrows and the objects' axes.

use crate::viewer::paint::{FORCE, INK};
use crate::viewer::studio::{DrawSubject, Subject};
use bevy::prelude::*;

/// Length of the arrow for a force, m/N: the finger tips press with a few newtons.
const ARROW_M_PER_N: f32 = 0.008;
/// Length of an object's axes, m: they reach out of a cube's faces.
const AXIS_LENGTH_M: f32 = 0.05;

/// What is drawn over the picture.
#[derive(Resource, Default)]
pub struct Overlay {
    /// Text in the upper left corner.
    pub title: String,
    /// Text in the upper right corner.
    pub help: &'static str,
    /// Text in the lower left corner.
    pub status: String,
    /// Whether the forces on the objects are drawn.
    pub forces: bool,
    /// Whether the objects' axes are drawn.
    pub axes: bool,
}

/// Where a text is.
#[derive(Component, Clone, Copy)]
enum Corner {
    UpperLeft,
    UpperRight,
    LowerLeft,
}

/// Adds the overlay to an app that has a studio; text is `font_px` high.
pub fn lay_over(app: &mut App, overlay: Overlay, font_px: f32) {
    let write = move |mut commands: Commands| spawn_texts(&mut commands, font_px);
    app.insert_resource(overlay)
        .add_systems(Startup, (write, configure_arrows))
        .add_systems(Update, (update_texts, draw_arrows).after(DrawSubject));
}

fn spawn_texts(commands: &mut Commands, font_px: f32) {
    let margin = Val::Px(font_px);
    let absolute = Node { position_type: PositionType::Absolute, max_width: Val::Percent(94.0), ..default() };
    let nodes = [
        (Corner::UpperLeft, Node { left: margin, top: margin, ..absolute.clone() }),
        (Corner::UpperRight, Node { right: margin, top: margin, ..absolute.clone() }),
        (Corner::LowerLeft, Node { left: margin, bottom: margin, ..absolute }),
    ];
    for (corner, node) in nodes {
        commands.spawn((corner, node, Text::default(), TextFont::from_font_size(font_px), TextColor(INK)));
    }
}

fn update_texts(overlay: Res<Overlay>, mut texts: Query<(&Corner, &mut Text)>) {
    for (corner, mut text) in &mut texts {
        let wanted = match corner {
            Corner::UpperLeft => &overlay.title,
            Corner::UpperRight => overlay.help,
            Corner::LowerLeft => &overlay.status,
        };
        if text.0 != wanted {
            text.0 = wanted.to_owned();
        }
    }
}

/// Arrows are seen through the fingers, which hide the places where they touch.
fn configure_arrows(mut store: ResMut<GizmoConfigStore>) {
    let (config, _) = store.config_mut::<DefaultGizmoConfigGroup>();
    config.depth_bias = -1.0;
    config.line.width = 2.5;
}

fn draw_arrows(overlay: Res<Overlay>, subject: Res<Subject>, mut gizmos: Gizmos) {
    if overlay.forces {
        for contact in &subject.frame.contacts {
            let (at, force) = (Vec3::from(contact.position_m), Vec3::from(contact.force_n));
            gizmos.arrow(at - ARROW_M_PER_N * force, at, FORCE).with_tip_length(0.004);
        }
    }
    if overlay.axes {
        for object in &subject.frame.truth.objects {
            let turn = Quat::from_array(object.orientation);
            gizmos.axes(Transform::from_translation(object.position_m.into()).with_rotation(turn), AXIS_LENGTH_M);
        }
    }
}
