//! The physics of the scissors task: a hand on a wrist, scissors in a case, a tape between posts, a table.

use super::case::{Case, seat_height_m};
use super::domain::{Placement, ScissorsDraw};
use super::parameters::ScissorsParameters;
use super::shears::Shears;
use super::tape::{Tape, TapeState};
use super::wrist::{Wrist, WristState, mount};
use crate::collision::{FingerContacts, Groups};
use crate::contact::Contact;
use crate::engine::{Engine, PGS_ITERATIONS, PHYSICS_HZ, Surroundings, WorldSnapshot};
use crate::fault::PhysicsFault;
use crate::hand::Hand;
use bridge::{ObjectPose, ScissorsObject, ToolPose, ToolState};
use rapier3d::prelude::{Pose, RigidBodyHandle, Rotation, SpringCoefficients, Vector};

/// Natural frequency (Hz) and damping ratio of contacts with case, table and posts. They are springs on the masses that they
/// hold: with 60 Hz, as between other things, the 20 N of the wrist push the point of a blade of 12 g through a wall. With half of
/// the damping, pulling at a tape of fourfold strength ends in a fault.
const FIXED_CONTACT_SOFTNESS: (f32, f32) = (480.0, 10.0);
/// A tool that meets more than this rams what it meets with the 3 kg of its hand, N: it is what the wrist presses with along an axis, and
/// ends an episode of the task.
const RAMMED_N: f32 = 20.0;
/// Iterations of the solver in a tick after one in which the tool rammed something. What is enough for a cube leaves scissors of 20 g 7 mm
/// deep in a wall of their case. With more of them at all times the tape's joints, which hold half a gram each, would take up more than
/// they are pulled with.
const RAMMED_PGS_ITERATIONS: usize = 32;

/// A hand on a wrist with scissors and tape.
pub struct ScissorsWorld {
    engine: Engine,
    wrist: Wrist,
    shears: Shears,
    case: Case,
    tape: Tape,
    state: State,
}

#[derive(Clone)]
struct State {
    wrist: WristState,
    tape: TapeState,
    /// In the last tick the tool met more than [`RAMMED_N`].
    is_ramming: bool,
}

/// Everything that changes while the world is stepped.
#[derive(Clone)]
pub(crate) struct ScissorsWorldSnapshot {
    engine: WorldSnapshot,
    state: State,
}

impl ScissorsWorld {
    /// Builds the world with the tool at `tool`, the hand at joint positions `q_rad`, case and tape at `placement`.
    pub(crate) fn new(
        hand: &Hand,
        q_rad: &[f32],
        tool: ToolPose,
        parameters: &ScissorsParameters,
        placement: &Placement,
        draw: &ScissorsDraw,
        finger_contacts: FingerContacts,
    ) -> Self {
        let surroundings = Surroundings {
            friction: draw.friction,
            motor_gain_scale: draw.motor_gain_scale,
            slack_rad: draw.slack_rad,
            finger_contacts,
        };
        let groups = Groups::new(finger_contacts);
        let mut engine = Engine::new(hand, q_rad, mount(&parameters.wrist, &tool), 0.0, &surroundings);
        let (frequency_hz, damping_ratio) = FIXED_CONTACT_SOFTNESS;
        engine.physics.integration_parameters.static_contact_softness =
            SpringCoefficients::new(frequency_hz, damping_ratio);
        let wrist = Wrist::new(&engine, parameters.wrist, draw.wrist_gain_scale);
        let standing = |[x, y, z]: [f64; 3], yaw_rad: f64| {
            Pose::from_parts(Vector::new(x as f32, y as f32, z as f32), Rotation::from_rotation_z(yaw_rad as f32))
        };
        let [x, y] = placement.case_xy_m;
        let seat_m = f64::from(seat_height_m(&parameters.case, &parameters.shears));
        let seat = standing([x, y, seat_m], placement.case_yaw_rad);
        let case = Case::insert(&mut engine, &parameters.case, seat, draw.detent_scale, groups);
        let shears = Shears::insert(
            &mut engine,
            &parameters.shears,
            seat,
            draw.friction as f32,
            draw.scissors_mass_scale,
            draw.pivot_friction_scale,
            groups,
        );
        let strip = standing(placement.tape_m, placement.tape_yaw_rad);
        let (tape, tape_state) = Tape::insert(&mut engine, &parameters.tape, strip, draw.tape_strength_scale, groups);
        Self {
            engine,
            wrist,
            shears,
            case,
            tape,
            state: State { wrist: WristState::new(tool), tape: tape_state, is_ramming: false },
        }
    }

    /// Lets 1 / [`PHYSICS_HZ`] s pass.
    ///
    /// # Errors
    /// When a body is not where it can be. The world must then be built anew.
    pub(crate) fn step(&mut self) -> Result<(), PhysicsFault> {
        self.wrist.drive(&mut self.engine, &mut self.state.wrist, 1.0 / PHYSICS_HZ as f32);
        self.case.detain(&mut self.engine, &self.shears);
        self.tape.meet(&mut self.engine, &self.shears, &mut self.state.tape);
        self.engine.physics.integration_parameters.num_internal_pgs_iterations =
            if self.state.is_ramming { RAMMED_PGS_ITERATIONS } else { PGS_ITERATIONS };
        self.engine.step()?;
        self.tape.tear(&mut self.engine, &mut self.state.tape);
        Ok(())
    }

    /// Sets where the wrist pulls the tool.
    pub(crate) fn set_tool_target(&mut self, target: ToolPose) {
        self.state.wrist.target = target;
    }

    /// Sets what the motors hold, rad.
    pub(crate) fn set_targets(&mut self, targets_rad: &[f32]) {
        self.engine.set_targets(targets_rad);
    }

    /// The physics, to look at.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) const fn engine_mut(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// Where the tool is.
    pub(crate) fn tool_pose(&self) -> ToolPose {
        self.wrist.tool_pose(&self.engine)
    }

    /// Ends a servo tick. The forces of the tool are means over it; whether it rammed something decides how the next is solved.
    pub(crate) fn end_tick(&mut self) -> ToolState {
        let tool = self.wrist.look(&self.engine, &mut self.state.wrist);
        self.state.is_ramming = Vector::from_array(tool.force_n).length() > RAMMED_N;
        tool
    }

    /// Pose and velocity of an object, at `time_s`.
    #[must_use]
    pub fn object_pose(&self, object: ScissorsObject, time_s: f64) -> ObjectPose {
        self.engine.object_pose(self.handle(object), time_s)
    }

    /// Where the scissors are touched, and the forces on them in the last substep of the last step.
    #[must_use]
    pub fn scissors_contacts(&self) -> Vec<Contact> {
        let mut contacts = Vec::new();
        for half in self.shears.halves {
            self.engine.contacts_on(half, &mut contacts);
        }
        contacts
    }

    /// How far the scissors are open, rad.
    #[must_use]
    pub fn opening_rad(&self) -> f32 {
        self.shears.opening(&self.engine).0
    }

    /// Whether the tape was cut through by the blades.
    #[must_use]
    pub const fn is_tape_cut(&self) -> bool {
        self.state.tape.is_cut
    }

    /// Whether the tape was torn.
    #[must_use]
    pub const fn is_tape_torn(&self) -> bool {
        self.state.tape.is_torn
    }

    /// Gives an object a push through its origin, N s. What is fixed does not move.
    pub(crate) fn push(&mut self, object: ScissorsObject, impulse_n_s: [f32; 3]) {
        let body = self.handle(object);
        self.engine.physics.bodies[body].apply_impulse(Vector::from_array(impulse_n_s), true);
    }

    pub(crate) fn snapshot(&self) -> ScissorsWorldSnapshot {
        ScissorsWorldSnapshot { engine: self.engine.snapshot(), state: self.state.clone() }
    }

    pub(crate) fn restore(&mut self, snapshot: &ScissorsWorldSnapshot) {
        self.engine.restore(&snapshot.engine);
        self.state.clone_from(&snapshot.state);
    }

    fn handle(&self, object: ScissorsObject) -> RigidBodyHandle {
        match object {
            ScissorsObject::FingerHalf => self.shears.halves[0],
            ScissorsObject::ThumbHalf => self.shears.halves[1],
            ScissorsObject::Case => self.case.body,
            ScissorsObject::Tape => self.tape.posts(),
        }
    }
}

#[cfg(test)]
mod tests;
