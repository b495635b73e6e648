//! Contracts of the actor's objectives, from the flow through the squash and the critics to the loss.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod oracle;

use candle_core::{Device, Result, Tensor};
use learn::critic::{Backup, ChunkCritic, Combine, CriticConfig, CriticNet, Head, TargetSubset};
use learn::flow::{Couplings, Flow, FlowConfig, Partition};
use learn::hl_gauss::Support;
use learn::layers::Track;
use learn::objectives::{self, advantage_weight};
use learn::squash::{action_log_prob, squash};

const ROWS: usize = 7;

/// Contract: value and gradient of every objective equal an independent computation, to 1e-5 and, for every parameter of the
/// flow, to 3e-5.
#[test]
fn golden_numbers() -> Result<()> {
    let golden = oracle::objectives();
    let couplings = Couplings::Mlp { hidden: 16, embedding: 8 };
    let (partition, s_max) = (Partition::Complementary, 1.0.try_into().unwrap());
    let size = FlowConfig { n_blocks: 4, couplings, partition, s_max };
    let flow = Flow::from_bytes(size, 5, 6, oracle::FLOW_FILE, &Device::Cpu).unwrap();
    let reference = flow.clone_on(&Device::Cpu).unwrap();
    reference.params().copy_from_flat(&golden.values("reference")).unwrap();
    let critic = golden_critic(&golden);

    let [obs, demo_obs, demo_u, replayed_u] =
        ["obs", "demo_obs", "demo_u", "replayed_u"].map(|name| golden.tensor(name));
    let q = |u: &Tensor| critic.value(obs, &squash(u)?, Track::Frozen)? * (1.0 / critic.support().range());
    let embedding = flow.embed(obs, Track::Weights)?;
    let own = (0..3)
        .map(|i| flow.sample(&embedding, &golden.tensor("z").get(i)?, Track::Weights))
        .collect::<Result<Vec<_>>>()?;
    let own_q = own.iter().map(|own| q(&own.u)).collect::<Result<Vec<_>>>()?;
    let (log_pi, q_z) = (&own[0].log_prob, &own_q[0]);
    let log_reference = reference.log_prob(&reference.embed(obs, Track::Frozen)?, &own[0].u, Track::Frozen)?;
    let demo_loss = flow.log_prob(&flow.embed(demo_obs, Track::Weights)?, demo_u, Track::Weights)?.neg()?;
    let loss_of = |u: &Tensor| flow.log_prob(&embedding, u, Track::Weights)?.neg();

    let magnitudes =
        [q_z, &demo_loss].map(|x| f64::from(x.abs().unwrap().mean_all().unwrap().to_scalar::<f32>().unwrap()));
    oracle::assert_near("magnitudes", &magnitudes.map(|x| x as f32), &golden.values("magnitudes"), 1e-5);
    let baseline = (&own_q[0] + &own_q[1] + &own_q[2])? / 3.0;
    let advantages = (q(replayed_u)? - baseline?)?.to_vec1::<f32>()?;
    let weights = advantages.iter().map(|&a| advantage_weight(f64::from(a), 0.02, 1.4) as f32).collect::<Vec<_>>();
    oracle::assert_near("weights", &weights, &golden.values("weights"), 1e-5);
    let weights = Tensor::new(weights, &Device::Cpu)?;

    let u_z = &own[0].u;
    for (name, loss) in [
        ("A0", objectives::demo_likelihood(q_z, &demo_loss, 0.1, ROWS)?),
        ("A1", objectives::normalized_demo_likelihood(q_z, &demo_loss, 0.1, magnitudes, ROWS)?),
        ("A2", objectives::max_entropy(q_z, &demo_loss, &action_log_prob(log_pi, u_z)?, [0.1, 0.02], ROWS)?),
        ("A3", objectives::reverse_kl(q_z, log_pi, &log_reference, 0.05, ROWS)?),
        ("A4", objectives::advantage_weighted(&loss_of(replayed_u)?, &weights, ROWS)?),
        ("A5", objectives::best_of_n(&loss_of(golden.tensor("u_best"))?, &demo_loss, 0.1, ROWS)?),
        ("A6", objectives::imitation(&demo_loss, ROWS)?),
    ] {
        golden.assert_close(&format!("{name}/loss"), &loss, 1e-5);
        let gradient = oracle::gradient(&loss, flow.params());
        golden.assert_gradient(&format!("{name}/gradient"), flow.params(), &gradient, 3e-5);
    }
    Ok(())
}

/// The ensemble of `objectives_golden.py`.
fn golden_critic(golden: &oracle::Golden) -> ChunkCritic {
    let config = CriticConfig {
        ensemble: 2,
        net: CriticNet::Mlp { hidden: 8, n_layers: 3, layer_norm: true },
        support: Support::new(-0.5, 2.0, 31).unwrap(),
        head: Head::HlGauss,
        combine: Combine::Min,
        target_subset: TargetSubset::All,
        backup: Backup::Chunk,
        target_candidates: std::num::NonZeroUsize::MIN,
        behavior_penalty: 0.0.try_into().unwrap(),
    };
    let critic = ChunkCritic::new(config, 5, 6, 0, &Device::Cpu).unwrap();
    for (i, member) in critic.members().iter().enumerate() {
        golden.fill(&format!("critic.{i:02}/"), member.params());
    }
    critic
}
