//! The limits of a real hand: its own, unless a line of the configuration widens one and says why. They are printed at
//! the start as a table.

use crate::number::Finite;
use crate::{BodySpec, GovernorConfig, Limits};
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// The limits under which a real hand moves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoundsConfig {
    /// How tight the governor holds.
    pub governor: GovernorConfig,
    /// One line for every limit that is wider than the hand's own; usually empty.
    pub widened: Vec<Widening>,
}

/// One limit that is wider than the hand's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Widening {
    /// Name of the joint.
    pub joint: String,
    /// Which of its limits.
    pub limit: LimitName,
    /// What it is to be, in the limit's own unit.
    pub value: Finite,
    /// Why. It is printed with the limits.
    pub because: String,
}

/// A limit of a joint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LimitName {
    /// Lowest position, rad.
    LowerRad,
    /// Highest position, rad.
    UpperRad,
    /// Fastest target, rad/s.
    MaxRateRadS,
}

/// A line that widens is none.
#[derive(Debug, Error)]
pub enum BoundsError {
    /// The hand has no such joint.
    #[error("widened limits: the hand {hand} has no joint {joint}; it has {known}")]
    UnknownJoint {
        /// Name of the hand.
        hand: String,
        /// The name that was given.
        joint: String,
        /// The names that it has.
        known: String,
    },
    /// The line narrows, or changes nothing.
    #[error(
        "widened limits: {joint} {limit:?} is {own} by the hand's description, and {value} is not wider; remove the line"
    )]
    NotWider {
        /// The joint.
        joint: String,
        /// Which limit.
        limit: LimitName,
        /// The hand's own.
        own: f32,
        /// What was given.
        value: f64,
    },
    /// A line without a reason.
    #[error("widened limits: {joint} {limit:?} has an empty `because`; say why it is safe")]
    NoReason {
        /// The joint.
        joint: String,
        /// Which limit.
        limit: LimitName,
    },
}

/// The limits in force. Their `Display` is the table that is printed at the start.
#[derive(Clone, Debug)]
pub struct Bounds {
    spec: BodySpec,
    config: BoundsConfig,
}

impl Bounds {
    /// The limits of the hand `own`, widened where `config` says so.
    ///
    /// # Errors
    /// When a line names no joint, does not widen, or gives no reason.
    pub fn new(own: &BodySpec, config: BoundsConfig) -> Result<Self, BoundsError> {
        let mut spec = own.clone();
        for Widening { joint: name, limit, value, because } in &config.widened {
            let Some(joint) = spec.joints.iter_mut().find(|joint| joint.name == *name) else {
                let known: Vec<&str> = own.joints.iter().map(|joint| joint.name.as_str()).collect();
                let (hand, joint, known) = (own.name.clone(), name.clone(), known.join(", "));
                return Err(BoundsError::UnknownJoint { hand, joint, known });
            };
            let (field, is_wider): (&mut f32, fn(f64, f64) -> bool) = match limit {
                LimitName::LowerRad => (&mut joint.lower_rad, |value, own| value < own),
                LimitName::UpperRad => (&mut joint.upper_rad, |value, own| value > own),
                LimitName::MaxRateRadS => (&mut joint.max_rate_rad_s, |value, own| value > own),
            };
            if !is_wider(value.get(), f64::from(*field)) {
                let (joint, limit, own, value) = (name.clone(), *limit, *field, value.get());
                return Err(BoundsError::NotWider { joint, limit, own, value });
            }
            if because.trim().is_empty() {
                return Err(BoundsError::NoReason { joint: name.clone(), limit: *limit });
            }
            *field = value.f32();
        }
        Ok(Self { spec, config })
    }

    /// What the governor applies.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits::new(&self.spec, self.config.governor)
    }

    /// The hand's description with the widened limits in it.
    #[must_use]
    pub const fn spec(&self) -> &BodySpec {
        &self.spec
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BoundsConfig { governor, widened } = &self.config;
        writeln!(
            f,
            "limits of {}: {:.0} % of the rate, position error up to {} times that which saturates the motor",
            self.spec.name,
            100.0 * governor.rate_share.get(),
            governor.windup.get(),
        )?;
        let degrees = |rad: f32| rad.to_degrees();
        writeln!(f, "{:<14} {:>9} {:>9} {:>9} {:>9} {:>9}", "joint", "lower", "upper", "rate", "error", "effort")?;
        writeln!(f, "{:<14} {:>9} {:>9} {:>9} {:>9} {:>9}", "", "deg", "deg", "deg/s", "deg", "N m")?;
        for joint in &self.spec.joints {
            let rate_rad_s = joint.max_rate_rad_s * governor.rate_share.f32();
            let error_rad = governor.windup.f32() * joint.max_effort_nm / joint.stiffness_nm_rad;
            write!(
                f,
                "{:<14} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {:>9.3}",
                joint.name,
                degrees(joint.lower_rad),
                degrees(joint.upper_rad),
                degrees(rate_rad_s),
                degrees(error_rad),
                joint.max_effort_nm,
            )?;
            for line in widened.iter().filter(|line| line.joint == joint.name) {
                write!(f, "  WIDENED {:?}: {}", line.limit, line.because)?;
            }
            writeln!(f)?;
        }
        if let Some(tool) = &self.spec.tool {
            let ([x, y, z], [to_x, to_y, to_z]) = (tool.lower_m, tool.upper_m);
            let share = governor.rate_share.f32();
            writeln!(f, "tool           x {x} to {to_x}, y {y} to {to_y}, z {z} to {to_z} m")?;
            writeln!(
                f,
                "{:<14} {} m/s, {:.1} deg/s; at most {:.1} mm along each axis and {:.1} deg from where it is",
                "",
                share * tool.max_speed_m_s,
                degrees(share * tool.max_rate_rad_s),
                1e3 * tool.max_error_m,
                degrees(tool.max_error_rad),
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::JointSpec;
    use crate::config::parse;

    fn own() -> BodySpec {
        let joint = |name: &str| JointSpec {
            name: name.into(),
            lower_rad: -0.5,
            upper_rad: 1.5,
            max_rate_rad_s: 3.0,
            max_effort_nm: 0.3,
            stiffness_nm_rad: 2.0,
        };
        BodySpec {
            name: "fake".into(),
            joints: vec![joint("a"), joint("b")],
            tool: None,
            objects: vec![],
            signals: vec![],
            servo_hz: 100,
        }
    }

    fn bounds(widened: &str) -> Result<Bounds, Box<dyn std::error::Error>> {
        let text = format!("(governor: (rate_share: 0.5, windup: 2.0), widened: [{widened}])");
        Ok(Bounds::new(&own(), parse("bounds.ron", &text)?)?)
    }

    /// Contract: without a line the limits are the hand's own; a line widens one limit of one joint and is in the table.
    #[test]
    fn only_a_line_widens() {
        let unchanged = bounds("").unwrap();
        assert_eq!(unchanged.spec(), &own());
        assert!(!unchanged.to_string().contains("WIDENED"));

        let line = r#"(joint: "b", limit: UpperRad, value: 1.6, because: "measured stop")"#;
        let wider = bounds(line).unwrap();
        assert_eq!(wider.spec().joints[0], own().joints[0]);
        assert!((wider.spec().joints[1].upper_rad - 1.6).abs() < 1e-6);
        let table = wider.to_string();
        // 0.5 x 3 rad/s, 2 x 0.3 / 2 rad, 1.5 rad and 1.6 rad in degrees
        for expected in ["85.9", "17.2", "91.7", "WIDENED UpperRad: measured stop"] {
            assert!(table.contains(expected), "{table}");
        }
        let mut wanted_rad = [2.0, 2.0];
        wider.limits().apply(&mut wanted_rad, &[1.49, 1.59], &[1.49, 1.59]).unwrap();
        assert_eq!(wanted_rad, [1.5, 1.6]);
    }

    /// Contract: a line that names no joint, does not widen, gives no reason, has a typo or is no number is refused.
    #[test]
    fn other_lines_are_refused() {
        let cases = [
            (r#"(joint: "c", limit: UpperRad, value: 2.0, because: "x")"#, "no joint c; it has a, b"),
            (r#"(joint: "a", limit: UpperRad, value: 1.4, because: "x")"#, "1.4 is not wider"),
            (r#"(joint: "a", limit: LowerRad, value: -0.4, because: "x")"#, "-0.4 is not wider"),
            (r#"(joint: "a", limit: MaxRateRadS, value: 3.0, because: "x")"#, "3 is not wider"),
            (r#"(joint: "a", limit: MaxRateRadS, value: 4.0, because: " ")"#, "empty `because`"),
            (r#"(joint: "a", limit: MaxRateRadS, value: NaN, because: "x")"#, "finite"),
            (r#"(joint: "a", limit: MaxRateRadS, value: 4.0, because: "x", force: true)"#, "force"),
        ];
        for (line, expected) in cases {
            let error = bounds(line).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
