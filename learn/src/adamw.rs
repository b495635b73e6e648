//! AdamW (Loshchilov and Hutter 2019) with clipping by the global norm, on the flat layout of a [`Params`].
//!
//! ```text
//! g <- g min(1, max_norm / |g|)
//! m <- b1 m + (1 - b1) g          v <- b2 v + (1 - b2) g^2
//! theta <- theta (1 - lr wd) - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
//! ```

use crate::kernels::{self, AdamWStep};
use crate::params::{Params, ParamsError};
use crate::tensor_file::{TensorFileError, TensorFileReader, TensorFileWriter};
use bridge::number::{NonNegative, Positive};
use serde::{Deserialize, Serialize};
use thiserror::Error;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// What stays the same over a training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdamWConfig {
    /// Decoupled weight decay, per unit of learning rate. 1e-4.
    pub weight_decay: NonNegative,
    /// Longest gradient that is not shortened. 1.
    pub max_gradient_norm: Positive,
}

/// A step could not be made.
#[derive(Debug, Error)]
pub enum AdamWError {
    /// The parameters could not be changed.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// A saved state cannot be used.
    #[error("optimiser file: {0}")]
    File(#[from] TensorFileError),
    /// A gradient is not a number. Nothing has been changed.
    #[error("the gradient of tensor {name:?} is {found} at element {index}, expected finite numbers")]
    NotFinite {
        /// The tensor.
        name: String,
        /// Flat index in the tensor, from 0.
        index: usize,
        /// The value.
        found: f32,
    },
    /// The learning rate is not a number above or equal to 0. Nothing has been changed.
    #[error("the learning rate is {found}, expected a finite number, 0 or above")]
    LearningRate {
        /// Its value.
        found: f64,
    },
    /// Every number of the gradient is finite, but they are too big to be squared.
    #[error("the norm of the gradient is {found}")]
    Norm {
        /// Its value.
        found: f64,
    },
    /// Two flat vectors do not belong together.
    #[error("the {what} has {found} elements, the optimiser {expected}")]
    Length {
        /// Which vector.
        what: &'static str,
        /// Its length.
        found: usize,
        /// Length of the state.
        expected: usize,
    },
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// Norm of the gradient before it was clipped.
    pub gradient_norm: f64,
    /// Factor on the gradient, 1 if it was not clipped.
    pub gradient_scale: f64,
}

/// The optimiser and its state.
#[derive(Clone, Debug, PartialEq)]
pub struct AdamW {
    config: AdamWConfig,
    m: Vec<f32>,
    v: Vec<f32>,
    n_steps: u32,
}

impl AdamW {
    /// A fresh state for `params`.
    #[must_use]
    pub fn new(config: AdamWConfig, params: &Params) -> Self {
        let n_elements = params.n_elements();
        Self { config, m: vec![0.0; n_elements], v: vec![0.0; n_elements], n_steps: 0 }
    }

    /// Number of steps that were made.
    #[must_use]
    pub fn n_steps(&self) -> u32 {
        self.n_steps
    }

    /// Changes `params` in place by one step along `gradient`, which is in their flat layout.
    ///
    /// # Errors
    /// When a length is wrong or a number not finite; neither parameters nor state are changed then.
    pub fn step(&mut self, params: &Params, gradient: &[f32], learning_rate: f64) -> Result<StepReport, AdamWError> {
        let expected = self.m.len();
        for (what, found) in [("gradient", gradient.len()), ("parameter vector", params.n_elements())] {
            if found != expected {
                return Err(AdamWError::Length { what, found, expected });
            }
        }
        if !(learning_rate.is_finite() && learning_rate >= 0.0) {
            return Err(AdamWError::LearningRate { found: learning_rate });
        }
        let gradient_norm = norm(params, gradient)?;
        let max_norm = self.config.max_gradient_norm.get();
        let gradient_scale = if gradient_norm > max_norm { max_norm / gradient_norm } else { 1.0 };

        self.n_steps = self.n_steps.saturating_add(1);
        let t = f64::from(self.n_steps);
        let step = AdamWStep {
            gradient_scale: gradient_scale as f32,
            learning_rate: learning_rate as f32,
            decay: (1.0 - learning_rate * self.config.weight_decay.get()) as f32,
            beta1: BETA1 as f32,
            beta2: BETA2 as f32,
            correction1: (1.0 / (1.0 - BETA1.powf(t))) as f32,
            correction2: (1.0 / (1.0 - BETA2.powf(t))) as f32,
            epsilon: EPSILON as f32,
        };
        params.update(|range, values| {
            let (m, v) = (&mut self.m[range.clone()], &mut self.v[range.clone()]);
            kernels::adamw(values, m, v, &gradient[range], &step);
        })?;
        Ok(StepReport { gradient_norm, gradient_scale })
    }

    /// The state as the bytes of a file; `params` names its parts.
    ///
    /// # Errors
    /// When `params` are not those of this state.
    pub fn to_bytes(&self, params: &Params) -> Result<Vec<u8>, AdamWError> {
        self.check_length(params)?;
        let mut file = TensorFileWriter::default();
        for (name, var, range) in params.layout() {
            file.add_f32(&format!("m/{name}"), var.dims(), &self.m[range.clone()]);
            file.add_f32(&format!("v/{name}"), var.dims(), &self.v[range]);
        }
        file.add_u32("n_steps", &[self.n_steps]);
        Ok(file.finish()?)
    }

    /// Takes the state from the bytes of a file.
    ///
    /// # Errors
    /// When the file is damaged or belongs to other parameters. Nothing is changed then.
    pub fn load_bytes(&mut self, params: &Params, bytes: &[u8]) -> Result<(), AdamWError> {
        self.check_length(params)?;
        let mut file = TensorFileReader::new(bytes)?;
        let (mut m, mut v) = (Vec::with_capacity(self.m.len()), Vec::with_capacity(self.v.len()));
        for (name, var) in params.iter() {
            m.extend(file.take_f32(&format!("m/{name}"), var.dims())?);
            v.extend(file.take_f32(&format!("v/{name}"), var.dims())?);
        }
        let [n_steps] = *file.take_u32("n_steps")?.as_slice() else {
            return Err(TensorFileError::Missing { name: "n_steps".to_owned() }.into());
        };
        file.finish()?;
        (self.m, self.v, self.n_steps) = (m, v, n_steps);
        Ok(())
    }

    fn check_length(&self, params: &Params) -> Result<(), AdamWError> {
        let (found, expected) = (params.n_elements(), self.m.len());
        if found != expected {
            return Err(AdamWError::Length { what: "parameter vector", found, expected });
        }
        Ok(())
    }
}

/// Global norm of a gradient, in double precision; names the tensor that is not finite.
fn norm(params: &Params, gradient: &[f32]) -> Result<f64, AdamWError> {
    let norm = kernels::sum_of_squares(gradient).sqrt();
    if norm.is_finite() {
        return Ok(norm);
    }
    for (name, _, range) in params.layout() {
        let part = &gradient[range];
        if let Some(index) = part.iter().position(|value| !value.is_finite()) {
            return Err(AdamWError::NotFinite { name: name.to_owned(), index, found: part[index] });
        }
    }
    Err(AdamWError::Norm { found: norm })
}
