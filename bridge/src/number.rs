//! Numbers that cannot be nonsense. RON parses `NaN` and `inf`; these types do not, so that "parsed" means "valid".

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A number was outside of what its field allows.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[error("found {found}, expected {expected}")]
pub struct NumberError {
    /// The value that was given.
    pub found: f64,
    /// What the field allows, in words.
    pub expected: &'static str,
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $allows:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(try_from = "f64", into = "f64")]
        pub struct $name(f64);

        impl $name {
            /// The value.
            #[must_use]
            pub const fn get(self) -> f64 {
                self.0
            }

            /// The value in single precision.
            #[must_use]
            pub const fn f32(self) -> f32 {
                self.0 as f32
            }
        }

        impl TryFrom<f64> for $name {
            type Error = NumberError;

            fn try_from(found: f64) -> Result<Self, NumberError> {
                let allows: fn(f64) -> bool = $allows;
                if allows(found) { Ok(Self(found)) } else { Err(NumberError { found, expected: $expected }) }
            }
        }

        impl From<$name> for f64 {
            fn from(number: $name) -> f64 {
                number.0
            }
        }
    };
}

number!(
    /// Any finite number.
    Finite,
    "a finite number",
    |x| x.is_finite()
);
impl std::ops::Neg for Finite {
    type Output = Self;

    fn neg(self) -> Self {
        Self(-self.0)
    }
}

number!(
    /// A finite number above zero.
    Positive,
    "a finite number above 0",
    |x| x.is_finite() && x > 0.0
);
number!(
    /// A finite number, zero or above.
    NonNegative,
    "a finite number, 0 or above",
    |x| x.is_finite() && x >= 0.0
);
impl NonNegative {
    /// Zero.
    pub const ZERO: Self = Self(0.0);
}

impl Default for NonNegative {
    fn default() -> Self {
        Self::ZERO
    }
}

number!(
    /// A number from 0 to 1, both included.
    UnitInterval,
    "a number from 0 to 1",
    |x| (0.0..=1.0).contains(&x)
);

impl Default for UnitInterval {
    fn default() -> Self {
        Self(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: no spelling of NaN or infinity, and nothing out of range, passes any of the types.
    #[test]
    fn nonsense_is_refused() {
        for found in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(Finite::try_from(found).is_err());
            assert!(Positive::try_from(found).is_err());
            assert!(NonNegative::try_from(found).is_err());
            assert!(UnitInterval::try_from(found).is_err());
        }
        assert!(Positive::try_from(0.0).is_err());
        assert!(NonNegative::try_from(-1e-300).is_err());
        assert!(UnitInterval::try_from(1.0 + 1e-12).is_err());
        for text in ["NaN", "inf", "-inf", "1e999"] {
            assert!(ron::from_str::<Finite>(text).is_err(), "{text} was accepted");
        }
    }

    /// Contract: the boundary values that a field allows are allowed.
    #[test]
    fn boundaries_are_accepted() {
        assert_eq!(UnitInterval::try_from(0.0).map(f64::from), Ok(0.0));
        assert_eq!(UnitInterval::try_from(1.0).map(f64::from), Ok(1.0));
        assert_eq!(NonNegative::try_from(0.0).map(f64::from), Ok(0.0));
        assert_eq!(ron::from_str::<Positive>("5e-324").map(f64::from), Ok(5e-324));
    }
}
