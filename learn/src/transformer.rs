//! Transformers over tokens, a row of `T` of them lying as `T` rows of a matrix `[r T, W]`.
//!
//! ```text
//! x <- x + A(N x, N x)                          self-attention, rotary positions
//! x <- x + A'(N x, c)                           cross-attention to a context c, where there is one; no positions
//! x <- x + (silu(N x W_g) * (N x W_u)) W_d      SwiGLU (Shazeer 2020)
//! A(x, y) = attention(x W_q, y W_k, y W_v) W_o,   N: RMSNorm
//! ```
//! No layer in here has a bias: that of a key without position would change no softmax, and so get no gradient.
//!
//! **Observation tokens.** The values of a state observation are dealt out in their order to `n` groups of equal size, within
//! one; each group is a token by a linear layer of its own, the bias of which tells which it is. A context is not normalised: of
//! a group of one value nothing but its sign would be left.

use crate::layers::{Init, Linear, Projection, RmsNorm, Track};
use crate::ops::{self, Activation, AttentionShape, Rotary};
use crate::params::{Params, ParamsBuilder, ParamsError};
use candle_core::{Result, Tensor};
use std::ops::Range;

/// Size of a transformer and of the tokens that it sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransformerSize {
    /// W: width of a token.
    pub width: usize,
    /// Heads of every attention.
    pub n_heads: usize,
    /// Blocks.
    pub n_layers: usize,
    /// Width of the hidden layers.
    pub hidden: usize,
    /// n.
    pub n_observation_tokens: usize,
}

impl TransformerSize {
    /// Every size: its name, its value, what is allowed, and whether it is.
    #[must_use]
    pub fn checks(&self, obs_dim: usize) -> [(&'static str, usize, &'static str, bool); 5] {
        let &Self { width, n_heads, n_layers, hidden, n_observation_tokens: n } = self;
        let even_heads = width > 0 && n_heads > 0 && width.is_multiple_of(2 * n_heads);
        [
            ("n_heads", n_heads, "at least 1", n_heads > 0),
            ("width", width, "a multiple of twice n_heads", even_heads),
            ("n_layers", n_layers, "at least 1", n_layers > 0),
            ("hidden", hidden, "at least 1", hidden > 0),
            ("n_observation_tokens", n, "1 to the number of observed values", (1..=obs_dim).contains(&n)),
        ]
    }
}

/// Observations as tokens; see the module.
#[derive(Clone, Debug)]
pub struct ObservationTokens {
    groups: Vec<(Range<usize>, Linear)>,
}

impl ObservationTokens {
    /// Adds `observation.00` and so on to the parameters.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn build(
        params: &mut ParamsBuilder,
        size: &TransformerSize,
        obs_dim: usize,
    ) -> std::result::Result<(), ParamsError> {
        groups(size, obs_dim)
            .try_for_each(|(name, group)| Linear::build(params, &name, [group.len(), size.width], Init::FanIn))
    }

    /// The layers for observations of `obs_dim` values.
    ///
    /// # Errors
    /// When there are none.
    pub fn new(params: &Params, size: &TransformerSize, obs_dim: usize) -> std::result::Result<Self, ParamsError> {
        let groups = groups(size, obs_dim).map(|(name, group)| Ok((group, Linear::new(params, &name)?)));
        Ok(Self { groups: groups.collect::<std::result::Result<_, ParamsError>>()? })
    }

    /// `[r, O]` to `[r, n W]`, token after token.
    ///
    /// # Errors
    /// When `obs` has the wrong shape.
    pub fn forward(&self, obs: &Tensor, track: Track) -> Result<Tensor> {
        let token = |(group, linear): &(Range<usize>, Linear)| {
            linear.forward(&obs.narrow(1, group.start, group.len())?, Activation::None, track)
        };
        Tensor::cat(&self.groups.iter().map(token).collect::<Result<Vec<_>>>()?, 1)
    }
}

/// Names and values of the tokens.
fn groups(size: &TransformerSize, obs_dim: usize) -> impl Iterator<Item = (String, Range<usize>)> {
    let n = size.n_observation_tokens;
    (0..n).map(move |i| (format!("observation.{i:02}"), i * obs_dim / n..(i + 1) * obs_dim / n))
}

/// One block; see the module.
#[derive(Clone, Debug)]
pub struct Block {
    to_itself: Attention,
    across: Option<Attention>,
    norm: RmsNorm,
    gate: Projection,
    up: Projection,
    down: Projection,
}

impl Block {
    /// Adds the layers below `name` to the parameters.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn build(
        params: &mut ParamsBuilder,
        name: &str,
        size: &TransformerSize,
        has_context: bool,
    ) -> std::result::Result<(), ParamsError> {
        let &TransformerSize { width, hidden, .. } = size;
        Attention::build(params, &format!("{name}.self"), width)?;
        if has_context {
            Attention::build(params, &format!("{name}.cross"), width)?;
        }
        RmsNorm::build(params, &format!("{name}.norm"), width)?;
        Projection::build(params, &format!("{name}.gate"), [width, hidden])?;
        Projection::build(params, &format!("{name}.up"), [width, hidden])?;
        Projection::build(params, &format!("{name}.down"), [hidden, width])
    }

    /// The block of this name, for tokens at `positions`.
    ///
    /// # Errors
    /// When there is none, or the sizes are not allowed.
    pub fn new(
        params: &Params,
        name: &str,
        size: &TransformerSize,
        positions: &[usize],
        has_context: bool,
    ) -> std::result::Result<Self, ParamsError> {
        let rotary = Rotary::new(positions, size.width / size.n_heads.max(1))?;
        let across = || Attention::new(params, &format!("{name}.cross"), None);
        Ok(Self {
            to_itself: Attention::new(params, &format!("{name}.self"), Some(rotary))?,
            across: has_context.then(across).transpose()?,
            norm: RmsNorm::new(params, &format!("{name}.norm"))?,
            gate: Projection::new(params, &format!("{name}.gate"))?,
            up: Projection::new(params, &format!("{name}.up"))?,
            down: Projection::new(params, &format!("{name}.down"))?,
        })
    }

    /// Tokens `[r T, W]` to tokens; `context` is `[r n, W]`, or `[n, W]` for all rows.
    ///
    /// # Errors
    /// When the shapes do not fit together.
    pub fn forward(
        &self,
        x: &Tensor,
        shape: &AttentionShape,
        context: Option<(&Tensor, &AttentionShape)>,
        track: Track,
    ) -> Result<Tensor> {
        let mut x = (x + self.to_itself.forward(x, None, shape, track)?)?;
        if let (Some(across), Some((context, shape))) = (&self.across, context) {
            x = (&x + across.forward(&x, Some(context), shape, track)?)?;
        }
        let normed = self.norm.forward(&x, track)?;
        let gate = self.gate.forward(&normed, Activation::Silu, track)?;
        let hidden = (gate * self.up.forward(&normed, Activation::None, track)?)?;
        x + self.down.forward(&hidden, Activation::None, track)?
    }
}

/// Attention of normalised tokens, to themselves or to a context.
#[derive(Clone, Debug)]
struct Attention {
    norm: RmsNorm,
    query: Projection,
    key: Projection,
    value: Projection,
    out: Projection,
    rotary: Option<Rotary>,
}

impl Attention {
    fn build(params: &mut ParamsBuilder, name: &str, width: usize) -> std::result::Result<(), ParamsError> {
        RmsNorm::build(params, &format!("{name}.norm"), width)?;
        ["query", "key", "value", "out"]
            .iter()
            .try_for_each(|part| Projection::build(params, &format!("{name}.{part}"), [width, width]))
    }

    fn new(params: &Params, name: &str, rotary: Option<Rotary>) -> std::result::Result<Self, ParamsError> {
        let projection = |part: &str| Projection::new(params, &format!("{name}.{part}"));
        Ok(Self {
            norm: RmsNorm::new(params, &format!("{name}.norm"))?,
            query: projection("query")?,
            key: projection("key")?,
            value: projection("value")?,
            out: projection("out")?,
            rotary,
        })
    }

    fn forward(&self, x: &Tensor, context: Option<&Tensor>, shape: &AttentionShape, track: Track) -> Result<Tensor> {
        let x = self.norm.forward(x, track)?;
        let seen = context.unwrap_or(&x);
        let mut query = self.query.forward(&x, Activation::None, track)?;
        let mut key = self.key.forward(seen, Activation::None, track)?;
        if let Some(rotary) = &self.rotary {
            query = ops::rotate(&query, rotary)?;
            key = ops::rotate(&key, rotary)?;
        }
        let value = self.value.forward(seen, Activation::None, track)?;
        self.out.forward(&ops::attention(&query, &key, &value, shape)?, Activation::None, track)
    }
}
