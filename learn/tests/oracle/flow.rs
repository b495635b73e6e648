//! The density direction of the flow, row by row in double precision, from the definition in `learn::flow`.

use learn::flow::Flow;
use std::collections::BTreeMap;

/// The parameters of a flow in double precision.
pub struct DoubleFlow {
    tensors: BTreeMap<String, (Vec<usize>, Vec<f64>)>,
    splits: Vec<Vec<usize>>,
    s_max: f64,
}

impl DoubleFlow {
    pub fn of(flow: &Flow) -> Self {
        let to_double = |values: Vec<f32>| values.into_iter().map(f64::from).collect();
        let tensors = flow.params().iter().map(|(name, var)| {
            (name.to_owned(), (var.dims().to_vec(), to_double(var.flatten_all().unwrap().to_vec1().unwrap())))
        });
        let split = |pair: usize| flow.params().fixed(&format!("pair.{pair:02}.split")).unwrap();
        Self {
            tensors: tensors.collect(),
            splits: (0..flow.config().n_blocks / 2)
                .map(|j| split(j).iter().map(|&dim| dim as usize).collect())
                .collect(),
            s_max: flow.config().s_max.get(),
        }
    }

    /// Latent and log-determinant of one `u`.
    pub fn latent(&self, obs: &[f64], u: &[f64]) -> (Vec<f64>, f64) {
        let hidden = silu(self.affine(&[("encoder.0.weight", obs)], "encoder.0.bias"));
        let embedding = silu(self.affine(&[("encoder.1.weight", &hidden)], "encoder.1.bias"));
        let (shift, log_scale) = (&self.tensors["act_norm.shift"].1, &self.tensors["act_norm.log_scale"].1);
        let mut x: Vec<f64> = (0..u.len()).map(|i| (u[i] - shift[i]) * (-log_scale[i]).exp()).collect();
        let mut log_det = -log_scale.iter().sum::<f64>();
        for (pair, split) in self.splits.iter().enumerate() {
            let (first, second) = split.split_at(x.len() / 2);
            for (block, passive, active) in [(2 * pair, first, second), (2 * pair + 1, second, first)] {
                let passive: Vec<f64> = passive.iter().map(|&dim| x[dim]).collect();
                let net_out = self.net(block, &passive, &embedding);
                for (i, &dim) in active.iter().enumerate() {
                    let s = self.s_max * (net_out[i] / self.s_max).tanh();
                    x[dim] = x[dim] * s.exp() + net_out[active.len() + i];
                    log_det += s;
                }
            }
        }
        (x, log_det)
    }

    fn net(&self, block: usize, passive: &[f64], embedding: &[f64]) -> Vec<f64> {
        let name = |part: &str| format!("block.{block:02}.{part}");
        let (weight, condition) = (name("first.weight"), name("first.condition_weight"));
        let hidden = silu(self.affine(&[(&weight, passive), (&condition, embedding)], &name("first.bias")));
        let hidden = silu(self.affine(&[(&name("second.weight"), &hidden)], &name("second.bias")));
        self.affine(&[(&name("last.weight"), &hidden)], &name("last.bias"))
    }

    /// `sum x w + b`.
    fn affine(&self, products: &[(&str, &[f64])], bias: &str) -> Vec<f64> {
        let mut y = self.tensors[bias].1.clone();
        for (weight, x) in products {
            let (shape, weight) = &self.tensors[*weight];
            assert_eq!(shape, &[x.len(), y.len()]);
            for (x, row) in x.iter().zip(weight.chunks_exact(y.len())) {
                y.iter_mut().zip(row).for_each(|(y, w)| *y += x * w);
            }
        }
        y
    }
}

fn silu(mut x: Vec<f64>) -> Vec<f64> {
    x.iter_mut().for_each(|x| *x /= 1.0 + (-*x).exp());
    x
}

/// `ln N(z; 0, I)`.
pub fn log_normal(z: &[f64]) -> f64 {
    z.iter().map(|z| -0.5 * (z * z + (2.0 * std::f64::consts::PI).ln())).sum()
}

/// `ln |det df/du|` by central differences with a step of 1e-5 (error about 1e-10).
pub fn log_abs_det_jacobian(f: impl Fn(&[f64]) -> Vec<f64>, u: &[f64]) -> f64 {
    const STEP: f64 = 1e-5;
    let shifted = |i: usize, by: f64| {
        let mut u = u.to_vec();
        u[i] += by;
        f(&u)
    };
    let slope = |i| shifted(i, STEP).iter().zip(shifted(i, -STEP)).map(|(a, b)| (a - b) / (2.0 * STEP)).collect();
    log_abs_det((0..u.len()).map(slope).collect())
}

/// `ln |det|` of a square matrix, by elimination with pivots.
pub fn log_abs_det(mut rows: Vec<Vec<f64>>) -> f64 {
    let mut log_det = 0.0;
    for k in 0..rows.len() {
        let pivot = (k..rows.len()).max_by(|&a, &b| rows[a][k].abs().total_cmp(&rows[b][k].abs())).unwrap();
        rows.swap(k, pivot);
        log_det += rows[k][k].abs().ln();
        let (done, rest) = rows.split_at_mut(k + 1);
        for row in rest {
            let factor = row[k] / done[k][k];
            row.iter_mut().zip(&done[k]).for_each(|(x, pivot)| *x -= factor * pivot);
        }
    }
    log_det
}
