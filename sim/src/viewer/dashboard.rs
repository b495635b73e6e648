//! The time line of the episode at the lower edge of the picture and, where a policy tells what it thinks, curves of the last
//! seconds at the left one.

use crate::viewer::chronicle::{CURVE_S, Chronicle, Event, Sample};
use crate::viewer::curve::Curve;
use crate::viewer::overlay::Overlay;
use crate::viewer::paint::{self, INK};
use bevy::asset::RenderAssetUsages;
use bevy::prelude::*;
use bevy::render::render_resource::{Extent3d, TextureDimension, TextureFormat};

/// Sizes over the height of the text.
const STRIP_HEIGHT: f32 = 0.34;
const MARK_WIDTH: f32 = 0.2;
const CURVE_SIZE: (f32, f32) = (9.0, 2.2);
const SMALL_TEXT: f32 = 0.85;
const TINY_TEXT: f32 = 0.65;

/// The curves, from the top.
const CURVES: [Quantity; 3] = [
    Quantity { name: "Q", unit: "", line: paint::VALUE_LINE, of: |sample| Some(sample.value) },
    Quantity {
        name: "ln p",
        unit: " nats per value",
        line: paint::LIKELIHOOD_LINE,
        of: |sample| sample.log_likelihood,
    },
    Quantity { name: "effort", unit: " N m", line: paint::EFFORT_LINE, of: |sample| Some(sample.effort_nm) },
];

/// What a curve is of.
struct Quantity {
    name: &'static str,
    unit: &'static str,
    line: [u8; 3],
    /// What it is in a sample, if that has it.
    of: fn(&Sample) -> Option<f64>,
}

/// How much of the time line has gone.
#[derive(Component)]
struct Elapsed;

/// The time line, whose children its marks are; how many there are.
#[derive(Component)]
struct Strip {
    n_marks: usize,
}

/// The end of the time line, in words.
#[derive(Component)]
struct Horizon;

/// One of [`CURVES`], with its label.
#[derive(Component)]
struct Panel(usize);

/// Words about one of [`CURVES`].
#[derive(Component)]
struct Label(usize, Word);

/// Which number stands where.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Newest,
    Highest,
    Lowest,
}

/// The picture of one of [`CURVES`].
#[derive(Component)]
struct Plot {
    index: usize,
    curve: Curve,
    image: Handle<Image>,
}

/// Adds time line and curves to an app that has an [`Overlay`]; text is `font_px` high.
pub fn lay_out(app: &mut App, font_px: f32) {
    let spawn = move |mut commands: Commands, mut images: ResMut<Assets<Image>>| {
        spawn_strip(&mut commands, font_px);
        spawn_curves(&mut commands, &mut images, font_px);
    };
    app.add_systems(Startup, spawn).add_systems(Update, (update_strip, update_curves));
}

fn spawn_strip(commands: &mut Commands, font_px: f32) {
    let track = Node {
        position_type: PositionType::Absolute,
        left: Val::Px(font_px),
        right: Val::Px(font_px),
        bottom: Val::Px(0.7 * font_px),
        height: Val::Px(STRIP_HEIGHT * font_px),
        ..default()
    };
    let gone = Node { width: Val::Percent(0.0), height: Val::Percent(100.0), ..default() };
    commands.spawn((Strip { n_marks: 0 }, track, BackgroundColor(INK.with_alpha(0.14)))).with_child((
        Elapsed,
        gone,
        BackgroundColor(INK.with_alpha(0.34)),
    ));
    let end = Node {
        position_type: PositionType::Absolute,
        right: Val::Px(font_px),
        bottom: Val::Px(1.3 * font_px),
        ..default()
    };
    let font = TextFont::from_font_size(SMALL_TEXT * font_px);
    commands.spawn((Horizon, end, Text::default(), font, TextColor(INK)));
}

fn spawn_curves(commands: &mut Commands, images: &mut Assets<Image>, font_px: f32) {
    let (width, height) = ((CURVE_SIZE.0 * font_px).round().max(2.0), (CURVE_SIZE.1 * font_px).round().max(2.0));
    let column = Node {
        position_type: PositionType::Absolute,
        left: Val::Px(font_px),
        top: Val::Px(3.2 * font_px),
        flex_direction: FlexDirection::Column,
        row_gap: Val::Px(0.35 * font_px),
        ..default()
    };
    commands.spawn(column).with_children(|column| {
        for (index, Quantity { line, .. }) in CURVES.into_iter().enumerate() {
            let ground = paint::PLOT_GROUND;
            let curve = Curve { width: width as usize, height: height as usize, half_px: 0.06 * font_px, line, ground };
            let size = Extent3d { width: width as u32, height: height as u32, depth_or_array_layers: 1 };
            let (format, usage) = (TextureFormat::Rgba8UnormSrgb, RenderAssetUsages::all());
            let image = images.add(Image::new_fill(size, TextureDimension::D2, &ground, format, usage));
            let panel = Node { flex_direction: FlexDirection::Column, display: Display::None, ..default() };
            column.spawn((Panel(index), panel)).with_children(|panel| {
                let font = TextFont::from_font_size(SMALL_TEXT * font_px);
                panel.spawn((Label(index, Word::Newest), Text::default(), font, TextColor(INK)));
                panel.spawn(Node { column_gap: Val::Px(0.3 * font_px), ..default() }).with_children(|row| {
                    let frame = Node { width: Val::Px(width), height: Val::Px(height), ..default() };
                    row.spawn((Plot { index, curve, image: image.clone() }, ImageNode::new(image), frame));
                    let (flex_direction, justify_content) = (FlexDirection::Column, JustifyContent::SpaceBetween);
                    row.spawn(Node { flex_direction, justify_content, ..default() }).with_children(|bounds| {
                        for word in [Word::Highest, Word::Lowest] {
                            let font = TextFont::from_font_size(TINY_TEXT * font_px);
                            bounds.spawn((Label(index, word), Text::default(), font, TextColor(INK)));
                        }
                    });
                });
            });
        }
    });
}

fn update_strip(
    overlay: Res<Overlay>,
    mut commands: Commands,
    mut strip: Single<(Entity, &mut Strip)>,
    mut elapsed: Single<&mut Node, With<Elapsed>>,
    mut horizon: Single<&mut Text, With<Horizon>>,
    marks: Query<Entity, With<MarkShown>>,
) {
    let chronicle = &overlay.chronicle;
    elapsed.width = percent(chronicle.share(chronicle.time_s()));
    let wanted = format!("{:.0} s", chronicle.horizon_s());
    if horizon.0 != wanted {
        horizon.0 = wanted;
    }
    let (entity, strip) = &mut *strip;
    if strip.n_marks != chronicle.marks().len() {
        strip.n_marks = chronicle.marks().len();
        marks.iter().for_each(|mark| commands.entity(mark).despawn());
        commands.entity(*entity).with_children(|strip| spawn_marks(strip, chronicle));
    }
}

/// A mark on the time line.
#[derive(Component)]
struct MarkShown;

/// Quarter turns are within the strip, what comes once stands out of it.
fn spawn_marks(strip: &mut ChildSpawnerCommands, chronicle: &Chronicle) {
    for mark in chronicle.marks() {
        let (color, rise) = match mark.event {
            Event::Quarter => (paint::QUARTER_MARK, 0.0),
            Event::Retrieved => (paint::RETRIEVED_MARK, 60.0),
            Event::Cut => (paint::CUT_MARK, 60.0),
            Event::Lost => (paint::LOST_MARK, 60.0),
        };
        let node = Node {
            position_type: PositionType::Absolute,
            left: percent(chronicle.share(mark.time_s)),
            top: Val::Percent(-rise),
            height: Val::Percent(100.0 + 2.0 * rise),
            aspect_ratio: Some(MARK_WIDTH / STRIP_HEIGHT / (1.0 + 0.02 * rise)),
            ..default()
        };
        strip.spawn((MarkShown, node, BackgroundColor(color)));
    }
}

fn update_curves(
    overlay: Res<Overlay>,
    mut images: ResMut<Assets<Image>>,
    plots: Query<&Plot>,
    mut panels: Query<(&Panel, &mut Node)>,
    mut labels: Query<(&Label, &mut Text)>,
) {
    let samples = overlay.chronicle.samples();
    let shows = |index: usize| overlay.has_curves && samples.back().and_then(CURVES[index].of).is_some();
    for (Panel(index), mut node) in &mut panels {
        let display = if shows(*index) { Display::Flex } else { Display::None };
        if node.display != display {
            node.display = display;
        }
    }
    for plot in plots.iter().filter(|plot| shows(plot.index)) {
        let Quantity { name, unit, of, .. } = CURVES[plot.index];
        let Some(mut image) = images.get_mut(&plot.image) else { continue };
        let points = samples.iter().filter_map(|sample| Some((sample.time_s, of(sample)?)));
        let bounds = plot.curve.draw(points, CURVE_S, image.data.get_or_insert_default());
        let newest = samples.back().and_then(of).unwrap_or(f64::NAN);
        let Some((lowest, highest)) = bounds else { continue };
        for (Label(_, word), mut text) in labels.iter_mut().filter(|(label, _)| label.0 == plot.index) {
            // As many digits as tell the ends of the curve apart.
            let range = if highest > lowest { highest - lowest } else { 1.0 };
            let digits = (1.0 - range.log10().floor()).clamp(2.0, 5.0) as usize;
            text.0 = match word {
                Word::Newest => format!("{name} {newest:.digits$}{unit}"),
                Word::Highest => format!("{highest:.digits$}"),
                Word::Lowest => format!("{lowest:.digits$}"),
            };
        }
    }
}

fn percent(share: f64) -> Val {
    Val::Percent(100.0 * share as f32)
}
