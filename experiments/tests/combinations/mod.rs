//! Every policy with every critic and every objective, as changes to an experiment: small networks.

use learn::LearnConfig;

const POLICIES: [&str; 9] = [
    "Flow(n_blocks: 2, couplings: Mlp(hidden: 8, embedding: 4), partition: Complementary, s_max: 1.0)",
    "Flow(n_blocks: 4, couplings: Token(width: 4, n_heads: 1, n_layers: 1, hidden: 4, n_observation_tokens: 1),
          partition: Complementary, s_max: 1.0)",
    "Gaussian(hidden: 8, n_layers: 1)",
    "Mixture(n_components: 2, hidden: 8, n_layers: 1)",
    "FlowMatching(n_steps: 2, one_step: false, hidden: 8, n_layers: 1)",
    "FlowMatching(n_steps: 2, one_step: true, hidden: 8, n_layers: 1)",
    "Diffusion(n_steps: 2, n_sampling_steps: 2, sampler: Ddim, schedule: Cosine, clip: 3.0, hidden: 8, n_layers: 1)",
    "Diffusion(n_steps: 2, n_sampling_steps: 2, sampler: Ddpm, schedule: Linear, clip: 3.0, hidden: 8, n_layers: 1)",
    "Deterministic(noise: 0.2, hidden: 8, n_layers: 1)",
];
const CRITICS: [[&str; 2]; 3] = [["HlGauss", "Chunk"], ["Mse", "PerStep"], ["Mse", "NStep"]];
const OBJECTIVES: [&str; 8] = [
    "DemoLikelihood(lambda: 0.1)",
    "NormalizedDemoLikelihood(lambda: 1.0)",
    "MaxEntropy(lambda: 0.1, entropy: 0.001)",
    "ReverseKl(target_nats_per_dim: 0.3, beta: 0.003, dual_rate: 0.02, reference: Frozen)",
    "AdvantageWeighted(n: 2, scale: 0.05, max_weight: 20.0)",
    "BestOfN(n: 2, temperature: 0.9, lambda: 0.3)",
    "Imitation",
    "SelfImitation",
];

/// All of them.
pub fn all() -> impl Iterator<Item = [String; 4]> {
    let pairs = || CRITICS.iter().flat_map(|critic| OBJECTIVES.iter().map(move |objective| (critic, objective)));
    let of_policy = move |policy| pairs().map(move |(critic, objective)| (policy, critic, objective));
    POLICIES.iter().flat_map(of_policy).map(|(policy, [head, backup], objective)| {
        [
            format!("learn.policy={policy}"),
            format!("learn.critic.head={head}"),
            format!("learn.critic.backup={backup}"),
            format!("learn.objective={objective}"),
        ]
    })
}

/// Whether the policy has what the objective asks for.
pub fn is_possible(learn: &LearnConfig) -> bool {
    learn.policy.has_density() || !learn.objective.needs_density()
}
