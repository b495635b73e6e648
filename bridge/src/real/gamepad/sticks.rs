//! The sticks of a pad, for whoever steers with them. They are looked at, not listened to: only where they are now counts.

use super::device::{self, PadDevice};
use super::{EV_ABS, GamepadError, PadButton, PadMap, RawEvent};
use std::io;

/// Codes of the axes of two sticks: x and y of the left one, x and y of the right one.
pub(super) const AXES: [u16; 4] = [0x00, 0x01, 0x03, 0x04];
/// Share of a stick's way around its middle that is none of it: sticks do not come back to where they were.
const DEAD_SHARE: f32 = 0.15;

/// Where two sticks are: x to the right and y away, -1 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sticks {
    /// The left one.
    pub left: [f32; 2],
    /// The right one.
    pub right: [f32; 2],
}

/// Lowest and highest value of an axis.
pub type AxisRange = (i32, i32);

/// Events to places.
#[derive(Clone, Debug)]
pub struct StickMap {
    ranges: [AxisRange; 4],
    at: [f32; 4],
}

impl StickMap {
    /// Both in their middle; `ranges` of the left x and y, the right x and y.
    #[must_use]
    pub const fn new(ranges: [AxisRange; 4]) -> Self {
        Self { ranges, at: [0.0; 4] }
    }

    /// Takes in where an axis has come to.
    pub fn take(&mut self, event: RawEvent) {
        let axis = AXES.iter().position(|&code| event.kind == EV_ABS && event.code == code);
        if let Some(axis) = axis {
            let (lowest, highest) = self.ranges[axis];
            let (middle, half) = (0.5 * (lowest as f32 + highest as f32), 0.5 * (highest as f32 - lowest as f32));
            let share = ((event.value as f32 - middle) / half.max(1.0)).clamp(-1.0, 1.0);
            let beyond = (share.abs() - DEAD_SHARE).max(0.0) / (1.0 - DEAD_SHARE);
            self.at[axis] = beyond.copysign(share);
        }
    }

    /// Where they are. The kernel's y points to whoever holds the pad.
    #[must_use]
    pub const fn sticks(&self) -> Sticks {
        let [left_x, left_y, right_x, right_y] = self.at;
        Sticks { left: [left_x, -left_y], right: [right_x, -right_y] }
    }
}

/// A pad that somebody steers with.
#[derive(Debug)]
pub struct StickPad<M> {
    name: String,
    device: PadDevice,
    sticks: StickMap,
    buttons: PadMap<M>,
    events: Vec<RawEvent>,
}

impl<M: Copy> StickPad<M> {
    /// The first pad of this machine that has two sticks, with what its buttons mean; none where there is none.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn find(buttons: &[(PadButton, M)]) -> Result<Option<Self>, GamepadError> {
        let Some((device, name, ranges)) = device::with_sticks()? else { return Ok(None) };
        let (sticks, buttons) = (StickMap::new(ranges), PadMap::new(buttons));
        Ok(Some(Self { name, device, sticks, buttons, events: Vec::new() }))
    }

    /// What it calls itself.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its sticks are now; `on_press` is told every button that was pressed since the last look. Never waits.
    ///
    /// # Errors
    /// When the pad is gone.
    pub fn look(&mut self, mut on_press: impl FnMut(M)) -> io::Result<Sticks> {
        self.device.fetch(&mut self.events)?;
        for event in self.events.drain(..) {
            self.sticks.take(event);
            if let Some(meaning) = self.buttons.take(event) {
                on_press(meaning);
            }
        }
        Ok(self.sticks.sticks())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract: a stick is at the share of its way beyond the dead middle, whatever the range of its axes, with y away from whoever
    /// holds it; what is no axis of a stick moves none.
    #[test]
    fn sticks_are_where_they_are() {
        let mut map = StickMap::new([(-32_768, 32_767), (-32_768, 32_767), (0, 255), (0, 255)]);
        let axis = |code, value| RawEvent { kind: EV_ABS, code, value };
        for (code, value) in [(0x00, 32_767), (0x01, -32_768), (0x03, 140), (0x04, 255), (0x02, 255), (0x11, 1)] {
            map.take(axis(code, value));
        }
        map.take(RawEvent { kind: 1, code: 0x00, value: 0 });
        // 140 is a tenth of the way.
        assert_eq!(map.sticks(), Sticks { left: [1.0, 1.0], right: [0.0, -1.0] });
        map.take(axis(0x03, 0));
        map.take(axis(0x00, -16_384));
        let Sticks { left, right } = map.sticks();
        assert_eq!(right, [-1.0, -1.0]);
        assert!((left[0] - (DEAD_SHARE - 0.5) / (1.0 - DEAD_SHARE)).abs() < 1e-3, "{left:?}");
    }
}
