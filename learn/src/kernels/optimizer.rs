//! Updates of flat parameter vectors.

use super::LANES;

/// The scalars of one AdamW step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdamWStep {
    /// Factor on the gradient, 1 unless it is clipped.
    pub(crate) gradient_scale: f32,
    /// Learning rate.
    pub(crate) learning_rate: f32,
    /// `1 - learning_rate weight_decay`.
    pub(crate) decay: f32,
    /// Decay rate of the first moment.
    pub(crate) beta1: f32,
    /// Decay rate of the second moment.
    pub(crate) beta2: f32,
    /// `1 / (1 - beta1^t)`.
    pub(crate) correction1: f32,
    /// `1 / (1 - beta2^t)`.
    pub(crate) correction2: f32,
    /// Added to the root of the second moment.
    pub(crate) epsilon: f32,
}

dispatched! {
    /// One AdamW step in place (Loshchilov and Hutter 2019, algorithm 2).
    fn adamw(theta: &mut [f32], m: &mut [f32], v: &mut [f32], gradient: &[f32], step: &AdamWStep) {
        for (((theta, m), v), &gradient) in theta.iter_mut().zip(m).zip(v).zip(gradient) {
            let gradient = gradient * step.gradient_scale;
            *m = step.beta1 * *m + (1.0 - step.beta1) * gradient;
            *v = step.beta2 * *v + (1.0 - step.beta2) * gradient * gradient;
            let update = (*m * step.correction1) / ((*v * step.correction2).sqrt() + step.epsilon);
            *theta = *theta * step.decay - step.learning_rate * update;
        }
    }
}

dispatched! {
    /// `target += tau (source - target)`.
    fn polyak(target: &mut [f32], source: &[f32], tau: f32) {
        for (target, &source) in target.iter_mut().zip(source) {
            *target += tau * (source - *target);
        }
    }
}

dispatched! {
    /// `target += source`.
    fn add_assign(target: &mut [f32], source: &[f32]) {
        for (target, &source) in target.iter_mut().zip(source) {
            *target += source;
        }
    }
}

dispatched! {
    /// `sum x_i^2` in double precision, in a fixed order.
    fn sum_of_squares(x: &[f32]) -> f64 {
        let mut lanes = [0.0_f64; LANES];
        let (chunks, rest) = x.as_chunks::<LANES>();
        for chunk in chunks {
            for (lane, &x) in lanes.iter_mut().zip(chunk) {
                *lane += f64::from(x) * f64::from(x);
            }
        }
        for (lane, &x) in lanes.iter_mut().zip(rest) {
            *lane += f64::from(x) * f64::from(x);
        }
        lanes.iter().sum()
    }
}
