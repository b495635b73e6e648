//! The actor's objectives: pure functions of tensors that the networks computed.
//!
//! | symbol | here | meaning |
//! |---|---|---|
//! | Q | `q` | the critics' value of the policy's own chunk, `[r]` |
//! | log pi(a_z) | `log_pi` | density of that chunk under the policy, from the sampling pass, `[r]` |
//! | log pi_0(a_z) | `log_reference` | its density under the frozen imitation policy, `[r]` |
//! | l(a_D) | `demo_loss` | imitation loss of a demonstrated chunk, `[r]`: `-log pi(a_D)` where the policy has a density |
//! | l(a_R) | `replayed_loss` | the same of a chunk from the replay, `[r]` |
//! | l(a_best) | `best_loss` | the same of the policy's own chunk that the critic scores best of N, `[r]` |
//!
//! Densities are those of u = atanh(a): the squash is the same on both sides of every difference, so it cancels. The
//! entropy of A2 is no difference: it takes the density of the action.
//! Every function returns the *sum* over the rows it was given, divided by `n_rows`, the rows of the whole batch: shards
//! of a batch add up to the batch's mean.

use candle_core::{Result, Tensor};

/// Where an adapted weight stays, Q ranges per nat.
pub const WEIGHT_RANGE: [f64; 2] = [1e-5, 1e-1];

/// A0 (SOFT-FLOW, the displayed objective): minimize `-E[Q] + lambda E[l(a_D)]`.
///
/// # Errors
/// When the tensors do not fit each other.
pub fn demo_likelihood(q: &Tensor, demo_loss: &Tensor, lambda: f64, n_rows: usize) -> Result<Tensor> {
    ((q.sum_all()?.neg()? + (demo_loss.sum_all()? * lambda)?)? * (1.0 / n_rows as f64))?.contiguous()
}

/// A1: minimize `-E[Q] / |Q| + lambda E[l(a_D)] / |l|`, the magnitudes `[|Q|, |l|]` those of the batch and constants here
/// (TD3+BC, Fujimoto and Gu 2021, eq. 5, for both terms).
///
/// # Errors
/// When the tensors do not fit each other.
pub fn normalized_demo_likelihood(
    q: &Tensor,
    demo_loss: &Tensor,
    lambda: f64,
    [q_scale, loss_scale]: [f64; 2],
    n_rows: usize,
) -> Result<Tensor> {
    demo_likelihood(&(q * (1.0 / q_scale))?, demo_loss, lambda / loss_scale, n_rows)
}

/// A2: minimize `-E[Q] + lambda E[l(a_D)] + alpha E[log pi(a_z)]`, here with the density of the action, not of u.
///
/// # Errors
/// When the tensors do not fit each other.
pub fn max_entropy(
    q: &Tensor,
    demo_loss: &Tensor,
    log_pi_action: &Tensor,
    [lambda, alpha]: [f64; 2],
    n_rows: usize,
) -> Result<Tensor> {
    let entropy_term = (log_pi_action.sum_all()? * (alpha / n_rows as f64))?;
    (demo_likelihood(q, demo_loss, lambda, n_rows)? + entropy_term)?.contiguous()
}

/// A3: minimize `-E[Q] + beta E[log pi(a_z) - log pi_0(a_z)]`, the reverse KL estimated on the policy's own samples.
/// In place of the frozen pi_0 there may be an average of the policy.
///
/// # Errors
/// When the tensors do not fit each other.
pub fn reverse_kl(q: &Tensor, log_pi: &Tensor, log_reference: &Tensor, beta: f64, n_rows: usize) -> Result<Tensor> {
    let kl = (log_pi - log_reference)?.sum_all()?;
    (((kl * beta)? - q.sum_all()?)? * (1.0 / n_rows as f64))?.contiguous()
}

/// A4: minimize `E[w l(a_R)]` with constant weights `[r]` of [`advantage_weight`] (Peng et al. 2019, "AWR").
///
/// # Errors
/// When the tensors do not fit each other.
pub fn advantage_weighted(replayed_loss: &Tensor, weights: &Tensor, n_rows: usize) -> Result<Tensor> {
    ((replayed_loss * weights.detach())?.sum_all()? * (1.0 / n_rows as f64))?.contiguous()
}

/// A4: `w = min(exp(A / scale), max)`, A the advantage of a replayed chunk over the mean of the policy's own, Q ranges.
#[must_use]
pub fn advantage_weight(advantage: f64, scale: f64, max: f64) -> f64 {
    let weight = (advantage / scale).exp();
    // Not `min`, which would make a NaN the largest weight.
    if weight > max { max } else { weight }
}

/// A5: minimize `E[l(a_best)] + lambda E[l(a_D)]`.
///
/// # Errors
/// When the tensors do not fit each other.
pub fn best_of_n(best_loss: &Tensor, demo_loss: &Tensor, lambda: f64, n_rows: usize) -> Result<Tensor> {
    ((best_loss.sum_all()? + (demo_loss.sum_all()? * lambda)?)? * (1.0 / n_rows as f64))?.contiguous()
}

/// A6: minimize `E[l(a_D)]`.
///
/// # Errors
/// When the tensor is not one of floats.
pub fn imitation(demo_loss: &Tensor, n_rows: usize) -> Result<Tensor> {
    (demo_loss.sum_all()? * (1.0 / n_rows as f64))?.contiguous()
}

/// Dual ascent on beta: `log beta += rate * clip(KL / target - 1)`, so that the KL meets its target whatever the scale
/// of Q. At rate 0 beta is what it was.
#[must_use]
pub fn adapt_beta(beta: f64, kl: f64, target: f64, rate: f64) -> f64 {
    if rate == 0.0 { beta } else { adapt_weight(beta, kl / target - 1.0, rate) }
}

/// Dual ascent on the weight of what has to be held: `log weight += rate * clip(missed)`, within [`WEIGHT_RANGE`]. For the entropy
/// of A2 `missed` is what it is below its target.
#[must_use]
pub fn adapt_weight(weight: f64, missed: f64, rate: f64) -> f64 {
    (weight.ln() + rate * missed.clamp(-1.0, 1.0)).exp().clamp(WEIGHT_RANGE[0], WEIGHT_RANGE[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    fn tensor(values: &[f32]) -> Result<Var> {
        Var::new(values, &Device::Cpu)
    }

    /// Contract: a weight ends at its maximum, and no number is no weight.
    #[test]
    fn weights_of_advantages() {
        assert_eq!(advantage_weight(0.0, 0.1, 20.0), 1.0);
        assert_eq!(advantage_weight(1.0, 0.1, 20.0), 20.0);
        assert!(advantage_weight(f64::NAN, 0.1, 20.0).is_nan());
    }

    /// Contract: values worked by hand, and the sign of every gradient: Q ascends, imitation losses and the KL descend.
    #[test]
    fn objectives_by_hand() -> Result<()> {
        let (q, log_pi) = (tensor(&[1.0, 3.0])?, tensor(&[-10.0, -12.0])?);
        let (log_reference, demo_loss) = (tensor(&[-11.0, -16.0])?, tensor(&[20.0, 22.0])?);
        let (best_loss, weights) = (tensor(&[10.0, 12.0])?, tensor(&[3.0, 3.0])?);
        let cases = [
            (demo_likelihood(&q, &demo_loss, 0.1, 2)?, -2.0 + 2.1, vec![(&q, -0.5), (&demo_loss, 0.05)]),
            (
                reverse_kl(&q, &log_pi, &log_reference, 0.1, 2)?,
                -2.0 + 0.25,
                vec![(&q, -0.5), (&log_pi, 0.05), (&log_reference, -0.05)],
            ),
            (
                normalized_demo_likelihood(&q, &demo_loss, 0.1, [2.0, 21.0], 2)?,
                -1.0 + 0.1,
                vec![(&q, -0.25), (&demo_loss, 0.05 / 21.0)],
            ),
            (
                max_entropy(&q, &demo_loss, &log_pi, [0.1, 0.2], 2)?,
                -2.0 + 2.1 - 2.2,
                vec![(&q, -0.5), (&demo_loss, 0.05), (&log_pi, 0.1)],
            ),
            (advantage_weighted(&best_loss, &weights, 2)?, 0.5 * (30.0 + 36.0), vec![(&best_loss, 1.5)]),
            (imitation(&demo_loss, 2)?, 21.0, vec![(&demo_loss, 0.5)]),
            (best_of_n(&best_loss, &demo_loss, 0.5, 2)?, 11.0 + 10.5, vec![(&best_loss, 0.5), (&demo_loss, 0.25)]),
        ];
        for (loss, value, gradients) in cases {
            assert!((f64::from(loss.to_scalar::<f32>()?) - value).abs() < 1e-5, "{loss}, expected {value}");
            let store = loss.backward()?;
            for (variable, expected) in gradients {
                let gradient = store.get(variable).unwrap().to_vec1::<f32>()?;
                assert!(gradient.iter().all(|&g| (f64::from(g) - expected).abs() < 1e-6), "{gradient:?}");
            }
        }
        Ok(())
    }

    /// Contract: a chunk as good as the policy's own weighs 1, one that is better by the scale weighs e, one that is worse
    /// by it 1/e, no one more than the bound; the weights themselves get no gradient.
    #[test]
    fn advantage_weights_by_hand() -> Result<()> {
        let e = std::f64::consts::E;
        for (advantage, expected) in [(0.0, 1.0), (0.02, e), (-0.02, 1.0 / e), (0.2, 20.0), (f64::INFINITY, 20.0)] {
            assert!((advantage_weight(advantage, 0.02, 20.0) - expected).abs() < 1e-9, "{advantage}");
        }
        let (loss, weights) = (tensor(&[1.0, 2.0])?, tensor(&[0.5, 4.0])?);
        let store = advantage_weighted(&loss, &weights, 2)?.backward()?;
        assert_eq!(store.get(&loss).unwrap().to_vec1::<f32>()?, [0.25, 2.0]);
        assert!(store.get(&weights).is_none());
        Ok(())
    }

    /// Contract: shards add up to the batch.
    #[test]
    fn shards_add_up() -> Result<()> {
        let (q, kl) = (tensor(&[1.0, 3.0, -2.0])?, tensor(&[0.5, 1.5, 2.5])?);
        let zero = kl.zeros_like()?;
        let whole = reverse_kl(&q, &kl, &zero, 0.3, 3)?.to_scalar::<f32>()?;
        let parts = [(0, 1), (1, 2)].map(|(from, len)| {
            let part = |t: &Tensor| t.narrow(0, from, len);
            reverse_kl(&part(&q)?, &part(&kl)?, &part(&zero)?, 0.3, 3)?.to_scalar::<f32>()
        });
        let [first, second] = parts;
        assert!((whole - (first? + second?)).abs() < 1e-6);
        Ok(())
    }

    /// Contract: beta rises when the KL is above its target, falls below it, rests on it, and stays in its bounds; the weight of
    /// the entropy rises when that is below its target, and falls above it.
    #[test]
    fn beta_follows_the_kl() {
        assert!(adapt_beta(1e-3, 9.0, 6.0, 0.01) > 1e-3);
        assert!(adapt_beta(1e-3, 3.0, 6.0, 0.01) < 1e-3);
        assert!((adapt_beta(1e-3, 6.0, 6.0, 0.01) - 1e-3).abs() < 1e-12);
        for held in [0.0018, 0.5] {
            assert_eq!(adapt_beta(held, 1e12, 6.0, 0.0), held);
        }
        // An entropy of -7 nats where -6 are wanted is missed by 1.
        assert!(adapt_weight(1e-3, -6.0 - -7.0, 0.01) > 1e-3 && adapt_weight(1e-3, -6.0 - -5.0, 0.01) < 1e-3);
        assert!((1..10_000).fold(1e-3, |beta, _| adapt_beta(beta, 1e12, 6.0, 0.1)) <= 0.1 + 1e-12);
    }
}
