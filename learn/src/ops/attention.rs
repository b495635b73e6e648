//! Fused attention and rotary positions.

use super::slices::{read, stored, tensor, values};
use crate::kernels::{self, AttentionRow};
use candle_core::{CpuStorage, CustomOp1, CustomOp3, Device, Layout, Result, Shape, Tensor, bail};
use std::sync::{Arc, OnceLock};

/// Which keys a query sees: always the first so many.
#[derive(Clone, Debug)]
pub enum Visible {
    /// All of them.
    All,
    /// Those up to its own place: query `t` sees keys `0..=t`.
    Causal,
    /// The first so many of its row of the batch, at least one.
    PerRow(Arc<[usize]>),
}

/// Shape of an attention: `W = n_heads d_h` columns, `T` queries and `S` keys in every row of the batch.
#[derive(Clone, Debug)]
pub struct AttentionShape {
    /// Heads.
    pub n_heads: usize,
    /// T.
    pub n_queries: usize,
    /// S.
    pub n_keys: usize,
    /// Which keys a query sees.
    pub visible: Visible,
}

impl AttentionShape {
    /// Rows of the batch of queries and of keys.
    pub(super) fn check(&self, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<[usize; 2]> {
        let Self { n_heads, n_queries, n_keys, visible } = self;
        let ((queries, width), (keys, key_width)) = (q.dims2()?, k.dims2()?);
        let fits = [*n_heads, *n_queries, *n_keys, queries, width].iter().all(|&size| size > 0)
            && width.is_multiple_of(*n_heads)
            && width == key_width
            && k.dims() == v.dims()
            && queries.is_multiple_of(*n_queries)
            && keys.is_multiple_of(*n_keys);
        if !fits {
            bail!("attention: q {:?}, k {:?} and v {:?} do not fit {self:?}", q.dims(), k.dims(), v.dims());
        }
        let (r, key_rows) = (queries / n_queries, keys / n_keys);
        let is_visible = match visible {
            Visible::All => true,
            Visible::Causal => n_queries == n_keys,
            Visible::PerRow(counts) => counts.len() == r && counts.iter().all(|count| (1..=*n_keys).contains(count)),
        };
        if !is_visible || (key_rows != 1 && key_rows != r) {
            bail!("attention: {r} rows of queries and {key_rows} of keys do not fit {self:?}");
        }
        Ok([r, key_rows])
    }

    /// Number of keys that the queries of a row see.
    pub(super) fn visible(&self, row: usize, counts: &mut [usize]) {
        match &self.visible {
            Visible::All => counts.fill(self.n_keys),
            Visible::Causal => (1..).zip(counts).for_each(|(n, count)| *count = n),
            Visible::PerRow(of_rows) => counts.fill(of_rows[row]),
        }
    }
}

/// Arguments: queries, keys, values. One object per call, it keeps the softmax.
pub(super) struct Attention {
    shape: AttentionShape,
    probabilities: OnceLock<Vec<f32>>,
}

impl Attention {
    pub(super) fn new(shape: AttentionShape) -> Self {
        Self { shape, probabilities: OnceLock::new() }
    }

    /// Calls `f` for every row of the batch with its number, the keys' row, and the counts of visible keys.
    fn each_row(&self, r: usize, key_rows: usize, mut f: impl FnMut(usize, usize, &[usize])) {
        let mut counts = vec![0; self.shape.n_queries];
        for row in 0..r {
            self.shape.visible(row, &mut counts);
            f(row, if key_rows == 1 { 0 } else { row }, &counts);
        }
    }
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        k: &CpuStorage,
        k_layout: &Layout,
        v: &CpuStorage,
        v_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let AttentionShape { n_heads, n_queries, n_keys, .. } = self.shape;
        let (q, k, v) = (values(q, q_layout)?, values(k, k_layout)?, values(v, v_layout)?);
        let width = q_layout.shape().dims2()?.1;
        let (row_len, key_len, p_len) = (n_queries * width, n_keys * width, n_heads * n_queries * n_keys);
        let r = q.len() / row_len;
        let (mut probabilities, mut out) = (vec![0.0; r * p_len], vec![0.0; q.len()]);
        self.each_row(r, k.len() / key_len, |row, key_row, visible| {
            kernels::attention(
                AttentionRow {
                    q: &q[row * row_len..][..row_len],
                    k: &k[key_row * key_len..][..key_len],
                    v: &v[key_row * key_len..][..key_len],
                    visible,
                    n_heads,
                },
                &mut probabilities[row * p_len..][..p_len],
                &mut out[row * row_len..][..row_len],
            );
        });
        if self.probabilities.set(probabilities).is_err() {
            bail!("attention: one object serves one call");
        }
        Ok(stored(out, q_layout.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _out: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let Some(probabilities) = self.probabilities.get() else {
            bail!("attention: the way back comes after the way there");
        };
        let AttentionShape { n_heads, n_queries, n_keys, .. } = self.shape;
        let width = q.dim(1)?;
        let (row_len, key_len, p_len) = (n_queries * width, n_keys * width, n_heads * n_queries * n_keys);
        let (r, key_rows) = (q.elem_count() / row_len, k.elem_count() / key_len);
        let mut grads = [q, k, v].map(|of| vec![0.0; of.elem_count()]);
        let [grad_q, grad_k, grad_v] = &mut grads;
        let mut slopes = vec![0.0; n_keys];
        read(q, |q| {
            read(k, |k| {
                read(v, |v| {
                    read(grad, |grad| {
                        self.each_row(r, key_rows, |row, key_row, visible| {
                            let (of_row, of_keys) = (row * row_len, key_row * key_len);
                            kernels::attention_backward(
                                AttentionRow {
                                    q: &q[of_row..][..row_len],
                                    k: &k[of_keys..][..key_len],
                                    v: &v[of_keys..][..key_len],
                                    visible,
                                    n_heads,
                                },
                                &probabilities[row * p_len..][..p_len],
                                &grad[of_row..][..row_len],
                                &mut slopes,
                                &mut grad_q[of_row..][..row_len],
                                &mut grad_k[of_keys..][..key_len],
                                &mut grad_v[of_keys..][..key_len],
                            );
                        });
                        Ok(())
                    })
                })
            })
        })?;
        let [grad_q, grad_k, grad_v] = grads;
        let of =
            |argument: &Tensor, grad: Vec<f32>| argument.track_op().then(|| tensor(grad, argument.shape())).transpose();
        Ok((of(q, grad_q)?, of(k, grad_k)?, of(v, grad_v)?))
    }
}

/// The angles of rotary positions (Su et al. 2021, "RoFormer", eq. 15): pair `i` of a head's `2 l` columns turns by
/// `position 10000^(-i / l)`.
#[derive(Clone, Debug)]
pub struct Rotary {
    cosines: Arc<[f32]>,
    sines: Arc<[f32]>,
    half: usize,
}

impl Rotary {
    /// For tokens at `positions`, again and again, in heads of `head_len` columns.
    ///
    /// # Errors
    /// When there is no position, or `head_len` is odd or zero.
    pub fn new(positions: &[usize], head_len: usize) -> Result<Self> {
        if positions.is_empty() || head_len == 0 || !head_len.is_multiple_of(2) {
            bail!("rotary positions: {} of them in heads of {head_len}, expected some and even", positions.len());
        }
        let half = head_len / 2;
        let angle = |&position: &usize, i: usize| position as f64 * 10_000_f64.powf(-(i as f64) / half as f64);
        let angles: Vec<f64> =
            positions.iter().flat_map(|position| (0..half).map(move |i| angle(position, i))).collect();
        let of = |f: fn(f64) -> f64| angles.iter().map(|&angle| f(angle) as f32).collect();
        Ok(Self { cosines: of(f64::cos), sines: of(f64::sin), half })
    }

    pub(super) fn check(&self, x: &Tensor) -> Result<()> {
        let (rows, width) = x.dims2()?;
        let n_positions = self.cosines.len() / self.half;
        if width == 0 || !width.is_multiple_of(2 * self.half) || !rows.is_multiple_of(n_positions) {
            bail!("rotary: x {:?} does not fit {n_positions} positions in heads of {}", x.dims(), 2 * self.half);
        }
        Ok(())
    }

    /// Cosines and sines, `[T, 1, l]` each.
    pub(super) fn to_tensors(&self, device: &Device) -> Result<[Tensor; 2]> {
        let shape = (self.cosines.len() / self.half, 1, self.half);
        let to_tensor = |values: &[f32]| Tensor::from_slice(values, shape, device);
        Ok([to_tensor(&self.cosines)?, to_tensor(&self.sines)?])
    }

    pub(super) const fn half(&self) -> usize {
        self.half
    }

    fn turn(&self, x: &[f32], width: usize, sign: f32) -> Vec<f32> {
        let mut out = vec![0.0; x.len()];
        kernels::rotate(x, &self.cosines, &self.sines, self.half, width, sign, &mut out);
        out
    }
}

pub(super) struct Rotate(pub(super) Rotary);

impl CustomOp1 for Rotate {
    fn name(&self) -> &'static str {
        "rotate"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let width = layout.shape().dims2()?.1;
        Ok(stored(self.0.turn(values(x, layout)?, width, 1.0), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _out: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let back = read(grad, |grad| Ok(self.0.turn(grad, x.dim(1)?, -1.0)))?;
        Ok(Some(tensor(back, x.shape())?))
    }
}
