//! The Cartesian impedance that carries the hand, as the controller of a robot arm does it.
//!
//! force = k clip(x_target - x) - d v + weight of the fingers; torque likewise with the rotation vector of the error. The
//! clip along each axis bounds the force whatever the target is. What the surroundings do to the tool is what is left of
//! the change of the hand's momentum: F = dP/dt - force, over the time between two looks at it, P summed over its bodies. The
//! torque likewise, of the angular momentum about the origin of the base frame, then about the tool.

use super::parameters::WristParameters;
use crate::engine::{Engine, Mount};
use bridge::{ToolPose, ToolState};
use rapier3d::prelude::{Pose, RigidBodyHandle, Rotation, Vector};

const GRAVITY_M_S2: f32 = 9.81;

/// The controller of the hand's base. What changes is in [`WristState`].
pub(crate) struct Wrist {
    /// The palm, or the forearm of a hand with a wrist of its own.
    base: RigidBodyHandle,
    /// Roots of the fingers, and their links.
    roots: Vec<RigidBodyHandle>,
    links: Vec<RigidBodyHandle>,
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
    /// When the tool was looked at last.
    momentum: Momentum,
    /// What was done to the hand since then.
    impulse: Momentum,
    elapsed_s: f32,
}

/// Momentum or impulse.
#[derive(Clone, Copy, Debug, Default)]
struct Momentum {
    /// N s.
    linear: Vector,
    /// About the origin of the base frame, N m s.
    angular: Vector,
}

impl WristState {
    pub(crate) fn new(target: ToolPose) -> Self {
        Self { target, momentum: Momentum::default(), impulse: Momentum::default(), elapsed_s: 0.0 }
    }
}

/// The body that a hand's base on this wrist is.
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
        let carried = bodies.iter().filter(|&(handle, body)| body.is_dynamic() && handle != engine.base);
        let (links, roots): (Vec<_>, Vec<_>) = carried.partition(|(_, body)| body.gravity_scale() > 0.0);
        let (mass_kg, moment) = links.iter().fold((0.0, Vector::ZERO), |(mass, moment), (_, link)| {
            (mass + link.mass(), moment + link.center_of_mass() * link.mass())
        });
        let fingers_center_m = bodies[engine.base].position().inverse_transform_point(moment / mass_kg);
        let fingers_weight_n = mass_kg * GRAVITY_M_S2;
        Self {
            base: engine.base,
            roots: roots.into_iter().map(|(root, _)| root).collect(),
            links: links.into_iter().map(|(link, _)| link).collect(),
            parameters,
            stiffness_scale: stiffness_scale as f32,
            fingers_weight_n,
            fingers_center_m,
        }
    }

    /// Pushes the base towards the target for the next `dt_s`.
    pub(crate) fn drive(&self, engine: &mut Engine, state: &mut WristState, dt_s: f32) {
        let base = &mut engine.physics.bodies[self.base];
        let (parameters, tool) = (&self.parameters, &self.parameters.tool);
        let target = pose(&state.target);
        let clip = |v: Vector, most: f32| v.clamp(Vector::splat(-most), Vector::splat(most));
        let error = clip(target.translation - base.translation(), tool.max_error_m);
        let mut turn = target.rotation * base.rotation().inverse();
        if turn.w < 0.0 {
            turn = -turn;
        }
        let turn = clip(turn.to_scaled_axis(), tool.max_error_rad);
        let force = error * (parameters.stiffness_n_m.f32() * self.stiffness_scale)
            - base.linvel() * parameters.damping_n_s_m.f32();
        let torque = turn * (parameters.stiffness_nm_rad.f32() * self.stiffness_scale)
            - base.angvel() * parameters.damping_nm_s_rad.f32();
        let weight = Vector::Z * self.fingers_weight_n;
        let arm = *base.rotation() * self.fingers_center_m;
        base.reset_forces(false);
        base.reset_torques(false);
        base.add_force(force + weight, true);
        base.add_torque(torque + arm.cross(weight), true);
        state.impulse.linear += force * dt_s;
        state.impulse.angular += (torque + base.translation().cross(force)) * dt_s;
        state.elapsed_s += dt_s;
    }

    /// Where the tool is.
    pub(crate) fn tool_pose(&self, engine: &Engine) -> ToolPose {
        let base = &engine.physics.bodies[self.base];
        ToolPose { position_m: base.translation().into(), orientation: (*base.rotation()).normalize().into() }
    }

    /// Looks at the tool. The forces are means since the last look.
    pub(crate) fn look(&self, engine: &Engine, state: &mut WristState) -> ToolState {
        let measured = self.tool_pose(engine);
        let per_s = if state.elapsed_s > 0.0 { 1.0 / state.elapsed_s } else { 0.0 };
        let momentum = self.momentum(engine);
        let force = (momentum.linear - state.momentum.linear - state.impulse.linear) * per_s;
        let moment = (momentum.angular - state.momentum.angular - state.impulse.angular) * per_s;
        let target = state.target;
        *state = WristState { momentum, ..WristState::new(target) };
        ToolState {
            measured,
            commanded: target,
            force_n: force.into(),
            torque_nm: (moment - Vector::from_array(measured.position_m).cross(force)).into(),
        }
    }

    /// Of the hand.
    fn momentum(&self, engine: &Engine) -> Momentum {
        let bodies = &engine.physics.bodies;
        let base = &bodies[self.base];
        // What Rapier says of a root's velocity is of the substep before: it moves as the base does.
        let welded = std::iter::once(self.base).chain(self.roots.iter().copied()).map(|body| (&bodies[body], base));
        let moving = self.links.iter().map(|&link| (&bodies[link], &bodies[link]));
        let mut sum = Momentum::default();
        for (body, mover) in welded.chain(moving) {
            let momentum = mover.linvel() * body.mass();
            let inertia = body.mass_properties().local_mprops.reconstruct_inertia_matrix();
            let spin = *body.rotation() * (inertia * (body.rotation().inverse() * mover.angvel()));
            sum.linear += momentum;
            sum.angular += body.center_of_mass().cross(momentum) + spin;
        }
        sum
    }
}
