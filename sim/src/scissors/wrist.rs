//! The Cartesian impedance that carries the hand, as the controller of a robot arm does it.
//!
//! force = k clip(x_target - x) - d v + weight of the fingers; torque likewise with the rotation vector of the error. The
//! clip along each axis bounds the force whatever the target is. What the surroundings do to the tool is what is left of
//! the change of momentum: F = m dv/dt - force, over the time between two looks at it.

use super::parameters::WristParameters;
use crate::engine::{Engine, Mount};
use bridge::{ToolPose, ToolState};
use rapier3d::prelude::{Pose, RigidBodyHandle, Rotation, Vector};

const GRAVITY_M_S2: f32 = 9.81;

/// The palm's controller. What changes is in [`WristState`].
pub(crate) struct Wrist {
    palm: RigidBodyHandle,
    parameters: WristParameters,
    stiffness_scale: f32,
    /// Weight of the fingers, N, and its arm in the hand frame, m: they are held up by feeding it forward.
    fingers_weight_n: f32,
    fingers_center_m: Vector,
}

/// What changes of a wrist while the world is stepped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WristState {
    pub(crate) target: ToolPose,
    velocity: Vector,
    spin: Vector,
    impulse: Vector,
    turning_impulse: Vector,
    elapsed_s: f32,
}

impl WristState {
    pub(crate) fn new(target: ToolPose) -> Self {
        let none = Vector::ZERO;
        Self { target, velocity: none, spin: none, impulse: none, turning_impulse: none, elapsed_s: 0.0 }
    }
}

/// The body that a palm on this wrist is.
pub(crate) fn mount(parameters: &WristParameters, at: &ToolPose) -> Mount {
    Mount::Moving { pose: pose(at), mass_kg: parameters.mass_kg.f32(), inertia_kg_m2: parameters.inertia_kg_m2.f32() }
}

pub(crate) fn pose(tool: &ToolPose) -> Pose {
    Pose::from_parts(Vector::from_array(tool.position_m), Rotation::from_array(tool.orientation))
}

impl Wrist {
    /// The wrist of the hand in `engine`, as the hand is now.
    pub(crate) fn new(engine: &Engine, parameters: WristParameters, stiffness_scale: f64) -> Self {
        let bodies = &engine.physics.bodies;
        let links = bodies.iter().map(|(_, body)| body).filter(|body| body.is_dynamic() && body.gravity_scale() > 0.0);
        let (mass_kg, moment) = links.fold((0.0, Vector::ZERO), |(mass, moment), link| {
            (mass + link.mass(), moment + link.center_of_mass() * link.mass())
        });
        let fingers_center_m = bodies[engine.palm].position().inverse_transform_point(moment / mass_kg);
        let fingers_weight_n = mass_kg * GRAVITY_M_S2;
        Self {
            palm: engine.palm,
            parameters,
            stiffness_scale: stiffness_scale as f32,
            fingers_weight_n,
            fingers_center_m,
        }
    }

    /// Pushes the palm towards the target for the next `dt_s`.
    pub(crate) fn drive(&self, engine: &mut Engine, state: &mut WristState, dt_s: f32) {
        let palm = &mut engine.physics.bodies[self.palm];
        let (parameters, tool) = (&self.parameters, &self.parameters.tool);
        let target = pose(&state.target);
        let clip = |v: Vector, most: f32| v.clamp(Vector::splat(-most), Vector::splat(most));
        let error = clip(target.translation - palm.translation(), tool.max_error_m);
        let mut turn = target.rotation * palm.rotation().inverse();
        if turn.w < 0.0 {
            turn = -turn;
        }
        let turn = clip(turn.to_scaled_axis(), tool.max_error_rad);
        let force = error * (parameters.stiffness_n_m.f32() * self.stiffness_scale)
            - palm.linvel() * parameters.damping_n_s_m.f32();
        let torque = turn * (parameters.stiffness_nm_rad.f32() * self.stiffness_scale)
            - palm.angvel() * parameters.damping_nm_s_rad.f32();
        let weight = Vector::Z * self.fingers_weight_n;
        let arm = *palm.rotation() * self.fingers_center_m;
        palm.reset_forces(false);
        palm.reset_torques(false);
        palm.add_force(force + weight, true);
        palm.add_torque(torque + arm.cross(weight), true);
        state.impulse += force * dt_s;
        state.turning_impulse += torque * dt_s;
        state.elapsed_s += dt_s;
    }

    /// Where the tool is.
    pub(crate) fn tool_pose(&self, engine: &Engine) -> ToolPose {
        let palm = &engine.physics.bodies[self.palm];
        ToolPose { position_m: palm.translation().into(), orientation: (*palm.rotation()).normalize().into() }
    }

    /// Looks at the tool. The forces are means since the last look.
    pub(crate) fn look(&self, engine: &Engine, state: &mut WristState) -> ToolState {
        let palm = &engine.physics.bodies[self.palm];
        let measured = self.tool_pose(engine);
        let mass_kg = self.parameters.mass_kg.f32() + self.fingers_weight_n / GRAVITY_M_S2;
        let per_s = if state.elapsed_s > 0.0 { 1.0 / state.elapsed_s } else { 0.0 };
        let momentum = (palm.linvel() - state.velocity) * mass_kg - state.impulse;
        let turning = (palm.angvel() - state.spin) * self.parameters.inertia_kg_m2.f32() - state.turning_impulse;
        let target = state.target;
        *state = WristState { velocity: palm.linvel(), spin: palm.angvel(), ..WristState::new(target) };
        ToolState {
            measured,
            commanded: target,
            force_n: (momentum * per_s).into(),
            torque_nm: (turning * per_s).into(),
        }
    }
}
