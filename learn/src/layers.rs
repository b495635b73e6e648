//! Layers: handles to the tensors of a [`Params`], with a forward pass.
//!
//! Weights are stored `[in, out]`: the product with few rows then needs no transposition.

use crate::ops::{self, Activation};
use crate::params::{Params, ParamsBuilder, ParamsError};
use candle_core::{Device, Tensor, Var};

/// Which way gradients may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Track {
    /// To the weights and to the inputs.
    Weights,
    /// To the inputs only: the weights are constants and cost nothing on the way back.
    Frozen,
}

/// A weight as both modes see it.
#[derive(Clone, Debug)]
pub struct Weight {
    variable: Var,
    /// The same values: they change in place. Made once, for it costs as much as a small product.
    constant: Tensor,
}

impl Weight {
    /// The weight of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn new(params: &Params, name: &str) -> Result<Self, ParamsError> {
        let variable = params.var(name)?.clone();
        Ok(Self { constant: variable.as_detached_tensor(), variable })
    }

    /// The tensor.
    #[must_use]
    pub fn seen(&self, track: Track) -> &Tensor {
        match track {
            Track::Weights => self.variable.as_tensor(),
            Track::Frozen => &self.constant,
        }
    }

    /// Gives it other values.
    ///
    /// # Errors
    /// When their shape is another one.
    pub fn set(&self, values: &Tensor) -> candle_core::Result<()> {
        self.variable.set(values)
    }

    /// Where it is.
    #[must_use]
    pub fn device(&self) -> &Device {
        self.variable.device()
    }
}

/// How the weights of a [`Linear`] start; biases start at zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    /// Uniform within one over the root of the number of inputs.
    FanIn,
    /// Zero: the layer puts out zero until it is trained.
    Zero,
}

impl Init {
    fn add(
        self,
        params: &mut ParamsBuilder,
        name: &str,
        shape: [usize; 2],
        n_inputs: usize,
    ) -> Result<(), ParamsError> {
        match self {
            Self::FanIn => params.uniform(name, &shape, 1.0 / (n_inputs as f32).sqrt()),
            Self::Zero => params.constant(name, &shape, 0.0),
        }
    }
}

/// `activation(x w + b)`, `x [r, in]`, `w [in, out]`, `b [out]`.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Weight,
    bias: Weight,
}

impl Linear {
    /// Adds `name.weight` and `name.bias` to the parameters.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn build(params: &mut ParamsBuilder, name: &str, shape: [usize; 2], init: Init) -> Result<(), ParamsError> {
        init.add(params, &format!("{name}.weight"), shape, shape[0])?;
        params.constant(&format!("{name}.bias"), &shape[1..], 0.0)
    }

    /// The layer of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn new(params: &Params, name: &str) -> Result<Self, ParamsError> {
        let weight = |part: &str| Weight::new(params, &format!("{name}.{part}"));
        Ok(Self { weight: weight("weight")?, bias: weight("bias")? })
    }

    /// Where it computes.
    #[must_use]
    pub fn device(&self) -> &Device {
        self.weight.device()
    }

    /// `[r, in]` to `[r, out]`.
    ///
    /// # Errors
    /// When `x` has the wrong shape.
    pub fn forward(&self, x: &Tensor, activation: Activation, track: Track) -> candle_core::Result<Tensor> {
        ops::linear_act(x, self.weight.seen(track), self.bias.seen(track), activation)
    }
}

/// A linear layer on `[x | condition]` whose weight is kept as its two row blocks, so that the part of a condition that
/// many `x` share is computed once: `activation(x w + (condition v + b))`.
#[derive(Clone, Debug)]
pub struct ConditionedLinear {
    weight: Weight,
    condition_weight: Weight,
    bias: Weight,
}

impl ConditionedLinear {
    /// Adds `name.weight [n_x, n_out]`, `name.condition_weight [n_condition, n_out]` and `name.bias [n_out]`; the start
    /// values are those of one layer on all inputs.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn build(
        params: &mut ParamsBuilder,
        name: &str,
        n_x: usize,
        n_condition: usize,
        n_out: usize,
    ) -> Result<(), ParamsError> {
        let n_inputs = n_x + n_condition;
        Init::FanIn.add(params, &format!("{name}.weight"), [n_x, n_out], n_inputs)?;
        Init::FanIn.add(params, &format!("{name}.condition_weight"), [n_condition, n_out], n_inputs)?;
        params.constant(&format!("{name}.bias"), &[n_out], 0.0)
    }

    /// The layer of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn new(params: &Params, name: &str) -> Result<Self, ParamsError> {
        let weight = |part: &str| Weight::new(params, &format!("{name}.{part}"));
        Ok(Self { weight: weight("weight")?, condition_weight: weight("condition_weight")?, bias: weight("bias")? })
    }

    /// `x [r, n_x]` and `condition [r, n_condition]`, or `[1, n_condition]` for all rows, to `[r, n_out]`.
    ///
    /// # Errors
    /// When an input has the wrong shape.
    pub fn forward(
        &self,
        x: &Tensor,
        condition: &Tensor,
        activation: Activation,
        track: Track,
    ) -> candle_core::Result<Tensor> {
        let (weight, bias) = (self.condition_weight.seen(track), self.bias.seen(track));
        let shared = ops::linear_act(condition, weight, bias, Activation::None)?;
        ops::linear_act(x, self.weight.seen(track), &shared, activation)
    }
}

/// Size of an [`Mlp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MlpSize {
    /// Width of the hidden layers.
    pub hidden: usize,
    /// Number of hidden layers, at least 1.
    pub n_layers: usize,
}

/// Hidden layers with SiLU, then a linear one: `[r, in]` to `[r, out]`.
#[derive(Clone, Debug)]
pub struct Mlp {
    hidden: Vec<Linear>,
    last: Linear,
}

impl Mlp {
    /// Adds `name.0` and so on, and `name.last`, to the parameters.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn build(
        params: &mut ParamsBuilder,
        name: &str,
        [n_in, n_out]: [usize; 2],
        size: MlpSize,
        last: Init,
    ) -> Result<(), ParamsError> {
        for i in 0..size.n_layers {
            let width = if i == 0 { n_in } else { size.hidden };
            Linear::build(params, &format!("{name}.{i}"), [width, size.hidden], Init::FanIn)?;
        }
        let width = if size.n_layers == 0 { n_in } else { size.hidden };
        Linear::build(params, &format!("{name}.last"), [width, n_out], last)
    }

    /// The layers of this name.
    ///
    /// # Errors
    /// When there are none.
    pub fn new(params: &Params, name: &str, size: MlpSize) -> Result<Self, ParamsError> {
        Ok(Self {
            hidden: (0..size.n_layers)
                .map(|i| Linear::new(params, &format!("{name}.{i}")))
                .collect::<Result<_, _>>()?,
            last: Linear::new(params, &format!("{name}.last"))?,
        })
    }

    /// `[r, in]` to `[r, out]`.
    ///
    /// # Errors
    /// When `x` has the wrong shape.
    pub fn forward(&self, x: &Tensor, track: Track) -> candle_core::Result<Tensor> {
        let mut x = x.clone();
        for layer in &self.hidden {
            x = layer.forward(&x, Activation::Silu, track)?;
        }
        self.last.forward(&x, Activation::None, track)
    }
}

/// An [`Mlp`] on `[x | condition]` whose first layer is a [`ConditionedLinear`]; the last layer starts at zero.
#[derive(Clone, Debug)]
pub struct ConditionedMlp {
    first: ConditionedLinear,
    rest: Mlp,
}

impl ConditionedMlp {
    /// Adds `name.first` and `name.rest` to the parameters.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn build(
        params: &mut ParamsBuilder,
        name: &str,
        [n_x, n_condition, n_out]: [usize; 3],
        size: MlpSize,
    ) -> Result<(), ParamsError> {
        ConditionedLinear::build(params, &format!("{name}.first"), n_x, n_condition, size.hidden)?;
        Mlp::build(params, &format!("{name}.rest"), [size.hidden, n_out], size.rest(), Init::Zero)
    }

    /// The layers of this name.
    ///
    /// # Errors
    /// When there are none.
    pub fn new(params: &Params, name: &str, size: MlpSize) -> Result<Self, ParamsError> {
        Ok(Self {
            first: ConditionedLinear::new(params, &format!("{name}.first"))?,
            rest: Mlp::new(params, &format!("{name}.rest"), size.rest())?,
        })
    }

    /// `x [r, n_x]` and `condition [r, n_condition]`, or `[1, n_condition]` for all rows, to `[r, n_out]`.
    ///
    /// # Errors
    /// When an input has the wrong shape.
    pub fn forward(&self, x: &Tensor, condition: &Tensor, track: Track) -> candle_core::Result<Tensor> {
        self.rest.forward(&self.first.forward(x, condition, Activation::Silu, track)?, track)
    }
}

impl MlpSize {
    /// What follows the first hidden layer.
    const fn rest(self) -> Self {
        Self { hidden: self.hidden, n_layers: self.n_layers.saturating_sub(1) }
    }
}

/// LayerNorm followed by SiLU.
#[derive(Clone, Debug)]
pub struct LayerNormSilu {
    weight: Weight,
    bias: Weight,
}

impl LayerNormSilu {
    /// Adds `name.weight` (ones) and `name.bias` (zeros).
    ///
    /// # Errors
    /// When a name is taken.
    pub fn build(params: &mut ParamsBuilder, name: &str, width: usize) -> Result<(), ParamsError> {
        params.constant(&format!("{name}.weight"), &[width], 1.0)?;
        params.constant(&format!("{name}.bias"), &[width], 0.0)
    }

    /// The layer of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn new(params: &Params, name: &str) -> Result<Self, ParamsError> {
        let weight = |part: &str| Weight::new(params, &format!("{name}.{part}"));
        Ok(Self { weight: weight("weight")?, bias: weight("bias")? })
    }

    /// `[r, width]` to `[r, width]`.
    ///
    /// # Errors
    /// When `x` has the wrong shape.
    pub fn forward(&self, x: &Tensor, track: Track) -> candle_core::Result<Tensor> {
        ops::layer_norm_silu(x, self.weight.seen(track), self.bias.seen(track))
    }
}

/// `x w` without a bias, `x [r, in]`, `w [in, out]`.
#[derive(Clone, Debug)]
pub struct Projection {
    weight: Weight,
    no_bias: Tensor,
}

impl Projection {
    /// Adds `name.weight` to the parameters.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn build(params: &mut ParamsBuilder, name: &str, shape: [usize; 2]) -> Result<(), ParamsError> {
        Init::FanIn.add(params, &format!("{name}.weight"), shape, shape[0])
    }

    /// The layer of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn new(params: &Params, name: &str) -> Result<Self, ParamsError> {
        let weight = Weight::new(params, &format!("{name}.weight"))?;
        let values = weight.seen(Track::Frozen);
        Ok(Self { no_bias: Tensor::zeros(values.dim(1)?, values.dtype(), values.device())?, weight })
    }

    /// `[r, in]` to `[r, out]`.
    ///
    /// # Errors
    /// When `x` has the wrong shape.
    pub fn forward(&self, x: &Tensor, activation: Activation, track: Track) -> candle_core::Result<Tensor> {
        ops::linear_act(x, self.weight.seen(track), &self.no_bias, activation)
    }
}

/// RMSNorm.
#[derive(Clone, Debug)]
pub struct RmsNorm {
    weight: Weight,
}

impl RmsNorm {
    /// Adds `name.weight` (ones).
    ///
    /// # Errors
    /// When the name is taken.
    pub fn build(params: &mut ParamsBuilder, name: &str, width: usize) -> Result<(), ParamsError> {
        params.constant(&format!("{name}.weight"), &[width], 1.0)
    }

    /// The layer of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn new(params: &Params, name: &str) -> Result<Self, ParamsError> {
        Ok(Self { weight: Weight::new(params, &format!("{name}.weight"))? })
    }

    /// `[r, width]` to `[r, width]`.
    ///
    /// # Errors
    /// When `x` has the wrong shape.
    pub fn forward(&self, x: &Tensor, track: Track) -> candle_core::Result<Tensor> {
        ops::rms_norm(x, self.weight.seen(track))
    }
}
