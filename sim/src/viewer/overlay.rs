//! What is drawn over the picture: texts, force arrows, the objects' axes, what pulls on them, and what a policy weighs.

use crate::viewer::chronicle::Chronicle;
use crate::viewer::dashboard;
use crate::viewer::paint::{BACKDROP, FORCE, INK, value_color};
use crate::viewer::studio::{DrawSubject, Subject};
use crate::viewer::thought::{Candidate, Thought};
use bevy::prelude::*;
use std::sync::Arc;

/// Length of the arrow for a force, m/N: the finger tips press with a few newtons.
const ARROW_M_PER_N: f32 = 0.008;
/// Length of an object's axes, m: they reach out of a cube's faces.
const AXIS_LENGTH_M: f32 = 0.05;
/// Width of lines over the height of the text: candidates, everything else, the chosen one.
const LINE_WIDTHS: (f32, f32, f32) = (0.07, 0.17, 0.34);

/// What is drawn over the picture.
#[derive(Resource, Clone, Default)]
pub struct Overlay {
    /// Text in the upper left corner.
    pub title: String,
    /// Text in the upper right corner.
    pub help: String,
    /// Text in the lower left corner.
    pub status: String,
    /// What the lower edge tells.
    pub chronicle: Chronicle,
    /// What the policy weighed last.
    pub thought: Option<Arc<Thought>>,
    /// What an object is pulled by: where it is held, and where to.
    pub pull_m: Option<[Vec3; 2]>,
    /// Whether the forces on the objects are drawn.
    pub has_forces: bool,
    /// Whether the objects' axes are drawn.
    pub has_axes: bool,
    /// Whether the traces of candidates are drawn.
    pub has_traces: bool,
    /// Whether curves are drawn.
    pub has_curves: bool,
}

impl Overlay {
    /// Whether there may be lines in the picture.
    pub const fn has_lines(&self) -> bool {
        self.has_forces || self.has_axes || self.pull_m.is_some() || (self.has_traces && self.thought.is_some())
    }
}

/// Where a text is.
#[derive(Component, Clone, Copy)]
enum Corner {
    UpperLeft,
    UpperRight,
    LowerLeft,
}

/// Lines of candidates that were not chosen.
#[derive(Default, Reflect, GizmoConfigGroup)]
struct Fine;

/// Lines of the chosen one.
#[derive(Default, Reflect, GizmoConfigGroup)]
struct Bold;

/// Adds the overlay to an app that has a studio; text is `font_px` high.
pub fn lay_over(app: &mut App, overlay: Overlay, font_px: f32) {
    // Lines are seen through the fingers, which hide the places where they touch.
    let lines = |share: f32, depth_bias| GizmoConfig {
        depth_bias,
        line: GizmoLineConfig { width: share * font_px, ..default() },
        ..default()
    };
    let write = move |mut commands: Commands| spawn_texts(&mut commands, font_px);
    app.insert_resource(overlay)
        .insert_gizmo_config(Fine, lines(LINE_WIDTHS.0, -0.99))
        .insert_gizmo_config(DefaultGizmoConfigGroup, lines(LINE_WIDTHS.1, -1.0))
        .insert_gizmo_config(Bold, lines(LINE_WIDTHS.2, -1.0))
        .add_systems(Startup, write)
        .add_systems(Update, (update_texts, draw_lines, draw_traces).after(DrawSubject));
    dashboard::lay_out(app, font_px);
}

fn spawn_texts(commands: &mut Commands, font_px: f32) {
    let margin = Val::Px(font_px);
    let absolute = Node { position_type: PositionType::Absolute, max_width: Val::Percent(94.0), ..default() };
    let nodes = [
        (Corner::UpperLeft, Node { left: margin, top: margin, ..absolute.clone() }),
        (Corner::UpperRight, Node { right: margin, top: margin, ..absolute.clone() }),
        // Above the time line.
        (Corner::LowerLeft, Node { left: margin, bottom: Val::Px(1.3 * font_px), ..absolute }),
    ];
    for (corner, node) in nodes {
        let font = TextFont::from_font_size(font_px);
        let ground = BackgroundColor(BACKDROP.with_alpha(if matches!(corner, Corner::UpperRight) { 0.8 } else { 0.0 }));
        commands.spawn((corner, node, Text::default(), font, TextColor(INK), ground));
    }
}

fn update_texts(overlay: Res<Overlay>, mut texts: Query<(&Corner, &mut Text)>) {
    for (corner, mut text) in &mut texts {
        let wanted = match corner {
            Corner::UpperLeft => &overlay.title,
            Corner::UpperRight => &overlay.help,
            Corner::LowerLeft => &overlay.status,
        };
        if text.0 != *wanted {
            text.0.clone_from(wanted);
        }
    }
}

fn draw_lines(overlay: Res<Overlay>, subject: Res<Subject>, mut gizmos: Gizmos) {
    if overlay.has_forces {
        for contact in &subject.frame.contacts {
            let (at, force) = (Vec3::from(contact.position_m), Vec3::from(contact.force_n));
            gizmos.arrow(at - ARROW_M_PER_N * force, at, FORCE).with_tip_length(0.004);
        }
    }
    if overlay.has_axes {
        for object in &subject.frame.truth.objects {
            let turn = Quat::from_array(object.orientation);
            gizmos.axes(Transform::from_translation(object.position_m.into()).with_rotation(turn), AXIS_LENGTH_M);
        }
    }
    if let Some([held, to]) = overlay.pull_m {
        gizmos.line(held, to, FORCE);
        gizmos.sphere(to, 0.002, FORCE);
    }
}

/// All candidates from the lowest value to the highest, the chosen one boldly over them.
fn draw_traces(overlay: Res<Overlay>, mut fine: Gizmos<Fine>, mut bold: Gizmos<Bold>) {
    let Some(thought) = overlay.thought.as_ref().filter(|_| overlay.has_traces) else { return };
    let points = |trace: &[[f32; 3]]| trace.iter().copied().map(Vec3::from).collect::<Vec<_>>();
    let color = |candidate: &Candidate| value_color(thought.share(candidate.value));
    for (index, candidate) in thought.candidates.iter().enumerate() {
        for trace in &candidate.traces_m {
            if index == thought.chosen_idx {
                bold.linestrip(points(trace), color(candidate));
            } else {
                fine.linestrip(points(trace), color(candidate));
            }
        }
    }
}
