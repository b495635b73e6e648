//! What turns when a servo drives: the physics behind the shafts.

/// What a servo asks of its shaft.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Drive {
    /// Whether there is torque at all.
    pub is_on: bool,
    /// Where the shaft shall be, rad; any number of turns.
    pub goal_rad: f64,
    /// The most current, mA.
    pub current_limit_ma: f64,
}

/// A shaft.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shaft {
    /// Angle, rad; any number of turns.
    pub position_rad: f64,
    /// Speed, rad/s.
    pub velocity_rad_s: f64,
    /// Current that the servo measures, mA; its sign is that of the torque.
    pub current_ma: f64,
}

/// Physics behind all shafts of a bus.
pub trait Plant: Send {
    /// Lets `dt_s` pass and says where the shafts are then; `dt_s` of 0 only says where they are.
    fn advance(&mut self, drives: &[Drive], dt_s: f64, shafts: &mut [Shaft]);
}

/// Shafts that do not know of each other and follow their goals with a lag, between hard stops.
///
/// `dq/dt = (goal - q) / lag`, at most `max_speed`; `current = spring (goal - q)` at a stop, at most the limit.
#[derive(Clone, Debug)]
pub struct FirstOrderPlant {
    shafts: Vec<FirstOrderShaft>,
}

/// One of its shafts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FirstOrderShaft {
    /// Where it is, rad.
    pub position_rad: f64,
    /// Its lower stop, rad.
    pub lower_rad: f64,
    /// Its upper stop, rad.
    pub upper_rad: f64,
}

impl FirstOrderPlant {
    const LAG_S: f64 = 0.03;
    const MAX_SPEED_RAD_S: f64 = 6.0;
    const SPRING_MA_RAD: f64 = 1000.0;

    /// These shafts, in the order of the servos.
    #[must_use]
    pub const fn new(shafts: Vec<FirstOrderShaft>) -> Self {
        Self { shafts }
    }
}

impl Plant for FirstOrderPlant {
    fn advance(&mut self, drives: &[Drive], dt_s: f64, shafts: &mut [Shaft]) {
        for ((state, drive), shaft) in self.shafts.iter_mut().zip(drives).zip(shafts) {
            let before_rad = state.position_rad;
            let error_rad = if drive.is_on && drive.current_limit_ma > 0.0 { drive.goal_rad - before_rad } else { 0.0 };
            let speed_rad_s = (error_rad / Self::LAG_S).clamp(-Self::MAX_SPEED_RAD_S, Self::MAX_SPEED_RAD_S);
            state.position_rad = (before_rad + speed_rad_s * dt_s).clamp(state.lower_rad, state.upper_rad);
            shaft.position_rad = state.position_rad;
            shaft.velocity_rad_s = if dt_s > 0.0 { (state.position_rad - before_rad) / dt_s } else { 0.0 };
            let limit_ma = drive.current_limit_ma.max(0.0);
            shaft.current_ma = (Self::SPRING_MA_RAD * error_rad).clamp(-limit_ma, limit_ma);
        }
    }
}
