//! The colours.

use crate::viewer::arguments::PictureSize;
use crate::viewer::picture::Picture;
use bevy::color::Mix;
use bevy::prelude::Color;
use sim::PartKind;

/// Behind everything, and what the floor fades into.
pub const BACKDROP: Color = Color::srgb(0.90, 0.885, 0.865);
/// Edges of the cube.
pub const CUBE_BODY: Color = Color::srgb(0.10, 0.10, 0.115);
/// Faces of the cube: +x, -x, +y, -y, +z, -z.
pub const CUBE_FACES: [Color; 6] = [
    Color::srgb(0.83, 0.18, 0.17),
    Color::srgb(0.93, 0.50, 0.10),
    Color::srgb(0.13, 0.36, 0.72),
    Color::srgb(0.16, 0.55, 0.30),
    Color::srgb(0.95, 0.94, 0.90),
    Color::srgb(0.97, 0.80, 0.16),
];
/// Arrows for the forces on the cube.
pub const FORCE: Color = Color::srgb(0.80, 0.05, 0.40);
/// Text over the picture.
pub const INK: Color = Color::srgb(0.20, 0.19, 0.18);

/// Lines of the curves: value, likelihood, effort; and what is behind them, with alpha.
pub const VALUE_LINE: [u8; 3] = [196, 78, 20];
pub const LIKELIHOOD_LINE: [u8; 3] = [38, 92, 150];
pub const EFFORT_LINE: [u8; 3] = [60, 110, 70];
pub const PLOT_GROUND: [u8; 4] = [255, 255, 255, 110];
/// Marks of the time line.
pub const QUARTER_MARK: Color = Color::srgb(0.93, 0.50, 0.10);
pub const RETRIEVED_MARK: Color = Color::srgb(0.13, 0.36, 0.72);
pub const CUT_MARK: Color = Color::srgb(0.16, 0.55, 0.30);
pub const LOST_MARK: Color = Color::srgb(0.83, 0.10, 0.10);

/// Blades of the scissors, and their screw.
pub const STEEL: Color = Color::srgb(0.74, 0.76, 0.79);
pub const SCREW: Color = Color::srgb(0.45, 0.46, 0.49);
/// Joints of the hand.
pub const KNUCKLE: Color = Color::srgb(0.27, 0.265, 0.26);
/// What is seen of the arm.
pub const SLEEVE: Color = Color::srgb(0.34, 0.345, 0.36);

const FLOOR: Color = Color::srgb(0.82, 0.80, 0.775);
const PALM: Color = Color::srgb(0.50, 0.475, 0.45);
const LINK: Color = Color::srgb(0.66, 0.635, 0.605);
/// Handles of the scissors: the finger's half, the thumb's.
const SCISSORS: [Color; 2] = [Color::srgb(0.72, 0.22, 0.20), Color::srgb(0.60, 0.17, 0.16)];
const CASE: Color = Color::srgb(0.33, 0.36, 0.40);
const POST: Color = Color::srgb(0.58, 0.52, 0.44);
const TAPE: Color = Color::srgb(0.98, 0.93, 0.72);
/// Silicone of the finger tips, from index to thumb, again from the start where a hand has more fingers.
const TIPS: [Color; 5] = [
    Color::srgb(0.35, 0.56, 0.67),
    Color::srgb(0.38, 0.60, 0.54),
    Color::srgb(0.62, 0.62, 0.40),
    Color::srgb(0.72, 0.54, 0.42),
    Color::srgb(0.60, 0.45, 0.56),
];
/// How much of its tip's colour a link has.
const LINK_TINT: f32 = 0.3;

/// Values from the lowest to the highest: each step is as visible on the hand as on the backdrop.
const VALUES: [Color; 3] =
    [Color::srgb(0.16, 0.30, 0.62), Color::srgb(0.62, 0.28, 0.62), Color::srgb(0.98, 0.46, 0.04)];

/// Colour of a value that stands at `share` between the lowest (0) and the highest (1).
pub fn value_color(share: f32) -> Color {
    let [low, middle, high] = VALUES;
    if share < 0.5 { low.mix(&middle, 2.0 * share) } else { middle.mix(&high, 2.0 * share - 1.0) }
}

/// Colour of a part.
pub fn part_color(kind: PartKind) -> Color {
    let tip = |finger: usize| TIPS[finger % TIPS.len()];
    match kind {
        PartKind::Floor => FLOOR,
        PartKind::Palm => PALM,
        PartKind::Link { finger } => LINK.mix(&tip(finger), LINK_TINT),
        PartKind::Tip { finger } => tip(finger),
        PartKind::Cube => CUBE_BODY,
        PartKind::Scissors { half } => SCISSORS[half % SCISSORS.len()],
        PartKind::Case => CASE,
        PartKind::Post => POST,
        PartKind::Tape => TAPE,
    }
}

/// A picture of the colours that may turn up while something is filmed, from darker to brighter ones.
pub fn swatch(size: PictureSize) -> Picture {
    const SHADES: [f32; 6] = [0.35, 0.5, 0.65, 0.8, 0.92, 1.05];
    let values = (0..=4).map(|step| value_color(0.25 * step as f32));
    let marks = [FORCE, QUARTER_MARK, RETRIEVED_MARK, CUT_MARK, LOST_MARK];
    let colors: Vec<Color> = CUBE_FACES.into_iter().chain(SCISSORS).chain(TIPS).chain(marks).chain(values).collect();
    let (width, height) = (usize::from(size.width), usize::from(size.height));
    let pixel = |x: usize, y: usize| {
        let (color, shade) = (colors[x * colors.len() / width].to_srgba(), SHADES[y * SHADES.len() / height]);
        let byte = |channel: f32| (255.0 * (channel * shade).min(1.0)) as u8;
        [byte(color.red), byte(color.green), byte(color.blue), 255]
    };
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let rgba = places.flat_map(|(x, y)| pixel(x, y)).collect();
    Picture { width: size.width, height: size.height, rgba }
}
