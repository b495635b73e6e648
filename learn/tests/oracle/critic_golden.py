"""Writes critic_golden.safetensors: what the critic's labels, losses, values and targets must be.

    python -m venv venv && venv/bin/pip install -r requirements.txt && venv/bin/python critic_golden.py

- Labels and the loss of a histogram: Farebrother et al. 2024, "Stop Regressing", sec. 3.1, sigma 0.75 bins.
- Targets: y = sum_{h<L} gamma^h r_{t+h} + gamma^L (1 - d) Q(o_{t+L}, a'), L the steps of a chunk that the episode still
  has, d whether it terminated in them; Q the lowest or the mean of the members.

Everything is computed in double precision from the definitions, gradients by PyTorch; it shares no code with the crate.
"""

import math
import pathlib

import numpy as np
import torch
from safetensors.numpy import save_file
from torch.nn.functional import layer_norm, log_softmax, silu

V_MIN, V_MAX, BINS = -0.5, 5.0, 101
OBS, CHUNK, HIDDEN, LAYERS, MEMBERS, ROWS = 5, 6, 8, 3, 3, 7
# Of a network: a support that its values leave room for, with a number of bins that fits no vector of the machine.
NET_MIN, NET_MAX, NET_BINS = -0.5, 2.0, 31
CHUNK_LEN, GAMMA = 4, 0.97


def f32(x):
    return np.asarray(x.detach() if isinstance(x, torch.Tensor) else x, dtype=np.float32)


def double(x):
    """What a number of the file is to the crate, in double precision."""
    return torch.from_numpy(np.asarray(f32(x), dtype=np.float64))


class Support:
    def __init__(self, low, high, n_bins):
        self.low, self.high, self.width = low, high, (high - low) / n_bins
        self.edges = torch.linspace(low, high, n_bins + 1, dtype=torch.float64)
        self.centers = 0.5 * (self.edges[1:] + self.edges[:-1])

    def labels(self, targets):
        """Mass of N(y, 0.75 bins) in every bin, of what is within the support."""
        normal = torch.distributions.Normal(targets.clamp(self.low, self.high)[:, None], 0.75 * self.width)
        cdf = normal.cdf(self.edges)
        return (cdf[:, 1:] - cdf[:, :-1]) / (cdf[:, -1:] - cdf[:, :1])

    def value(self, logits):
        return (torch.softmax(logits, -1) * self.centers).sum(-1)


NET_SUPPORT = Support(NET_MIN, NET_MAX, NET_BINS)


def cross_entropy(logits, labels):
    return -(labels * log_softmax(logits, -1)).sum(-1)


def random_member(rng, n_outputs):
    """Tensors of one critic, none of them zero."""
    tensors = {}

    def parameter(name, shape, mean, scale):
        tensors[name] = f32(rng.normal(mean, scale, shape))

    parameter("layer.0.weight", (CHUNK, HIDDEN), 0.0, (CHUNK + OBS) ** -0.5)
    parameter("layer.0.condition_weight", (OBS, HIDDEN), 0.0, (CHUNK + OBS) ** -0.5)
    for i in range(LAYERS):
        if i > 0:
            parameter(f"layer.{i}.weight", (HIDDEN, HIDDEN), 0.0, HIDDEN**-0.5)
        parameter(f"layer.{i}.bias", (HIDDEN,), 0.0, 0.2)
        parameter(f"norm.{i}.weight", (HIDDEN,), 1.0, 0.2)
        parameter(f"norm.{i}.bias", (HIDDEN,), 0.0, 0.2)
    parameter("last.weight", (HIDDEN, n_outputs), 0.0, 0.7)
    parameter("last.bias", (n_outputs,), 0.0, 0.3)
    return tensors


class Member:
    """One critic; LayerNorm divides by sqrt(variance + 1e-5), as Ba et al. and PyTorch do."""

    def __init__(self, tensors):
        self.p = {name: double(x).requires_grad_() for name, x in tensors.items()}

    def output(self, obs, action):
        p = self.p
        x = action @ p["layer.0.weight"] + obs @ p["layer.0.condition_weight"] + p["layer.0.bias"]
        for i in range(LAYERS):
            if i > 0:
                x = x @ p[f"layer.{i}.weight"] + p[f"layer.{i}.bias"]
            x = silu(layer_norm(x, (HIDDEN,), p[f"norm.{i}.weight"], p[f"norm.{i}.bias"], 1e-5))
        return x @ p["last.weight"] + p["last.bias"]

    def q(self, obs, action):
        return NET_SUPPORT.value(self.output(obs, action))

    def gradient(self, loss):
        """Gradients of all parameters, one after the other in the order of their names."""
        found = torch.autograd.grad(loss, [x for _, x in sorted(self.p.items())])
        return torch.cat([g.reshape(-1) for g in found])


def chunk_targets(rewards, terminated, n_steps, next_q):
    """y of every step of an episode; `next_q` are the values at the ends of their targets."""
    targets = []
    for t in range(len(rewards)):
        length = min(n_steps, len(rewards) - t)
        y = sum(GAMMA**h * rewards[t + h] for h in range(length))
        ended = terminated and t + length == len(rewards)
        targets.append(y if ended else y + GAMMA**length * next_q[t])
    return targets


def main():
    rng = np.random.default_rng(20240616)
    out = {}

    # Histograms. Targets on both ends, beyond them, on an edge between two bins, in a bin's middle and anywhere.
    support = Support(V_MIN, V_MAX, BINS)
    edge, middle = V_MIN + 40 * support.width, V_MIN + 60.5 * support.width
    out["targets"] = f32([-0.5, 0.0, 0.013, 1.7, 4.9, 5.0, -3.0, 9.0, edge, middle, -0.49, 4.97])
    labels = support.labels(double(out["targets"]))
    out["labels"], out["centers"] = f32(labels), f32(support.centers)
    out["logits"] = f32(rng.normal(0, 3, labels.shape))
    out["weights"] = f32(rng.normal(0, 1, len(labels)))
    logits, weights = double(out["logits"]).requires_grad_(), double(out["weights"])
    losses, values = cross_entropy(logits, labels), support.value(logits)
    out["cross_entropy"], out["value"] = f32(losses), f32(values)
    (out["cross_entropy/by_logits"],) = map(f32, torch.autograd.grad((weights * losses).sum(), logits))
    (out["value/by_logits"],) = map(f32, torch.autograd.grad((weights * values).sum(), logits))

    # Networks: an ensemble of histograms, and one critic with a squared error.
    out["obs"], out["action"] = f32(rng.normal(0, 1, (ROWS, OBS))), f32(np.tanh(rng.normal(0, 1, (ROWS, CHUNK))))
    out["y"] = f32(rng.uniform(NET_MIN - 0.2, NET_MAX + 0.2, ROWS))
    out["q_weights"] = f32(rng.normal(0, 1, ROWS))
    obs, action, y = double(out["obs"]), double(out["action"]).requires_grad_(), double(out["y"])
    members = []
    for i in range(MEMBERS):
        tensors = random_member(rng, NET_BINS)
        out |= {f"critic.{i:02}/{name}": x for name, x in tensors.items()}
        members.append(Member(tensors))
        loss = cross_entropy(members[i].output(obs, action), NET_SUPPORT.labels(y)).mean()
        out[f"loss.{i:02}"], out[f"gradient.{i:02}"] = f32(loss), f32(members[i].gradient(loss))
    q = torch.stack([member.q(obs, action) for member in members])
    assert len(set(q.argmin(0).tolist())) == MEMBERS, "every member should be the lowest somewhere"
    out["q"] = f32(q)
    for name, combined in [("min", q.amin(0)), ("mean", q.mean(0))]:
        out[name] = f32(combined)
        (by_action,) = torch.autograd.grad((double(out["q_weights"]) * combined).sum(), action, retain_graph=True)
        out[f"{name}/by_action"] = f32(by_action)

    tensors = random_member(rng, 1)
    out |= {f"mse/{name}": x for name, x in tensors.items()}
    member = Member(tensors)
    output = member.output(obs, action)[:, 0]
    unit, zero = NET_MAX - NET_MIN, 0.5 * (NET_MAX + NET_MIN)
    loss = ((output - (y - zero) / unit) ** 2).mean()
    out["mse.q"], out["mse.loss"], out["mse.gradient"] = f32(zero + unit * output), f32(loss), f32(member.gradient(loss))

    # Targets of three episodes: whole chunks and partial ones at a failure, at a timeout, and nothing but partial ones.
    episodes = [(7, True), (6, False), (2, True)]
    n_steps = sum(n for n, _ in episodes)
    out["next_obs"] = f32(rng.normal(0, 1, (n_steps, OBS)))
    out["next_action"] = f32(np.tanh(rng.normal(0, 1, (n_steps, CHUNK))))
    next_q = torch.stack([member.q(double(out["next_obs"]), double(out["next_action"])) for member in members])
    rewards = [f32(rng.normal(0.1, 0.3, n)) for n, _ in episodes]
    out["rewards"] = np.concatenate(rewards)
    for name, combined in [("min", next_q.amin(0)), ("mean", next_q.mean(0))]:
        for backup_len in [1, CHUNK_LEN]:
            targets, first = [], 0
            for (n, terminated), of_episode in zip(episodes, rewards):
                values = combined[first : first + n].tolist()
                targets += chunk_targets(of_episode.astype(np.float64).tolist(), terminated, backup_len, values)
                first += n
            out[f"targets/{name}/{backup_len}"] = f32(targets)

    assert all(math.isfinite(x) for tensor in out.values() for x in tensor.reshape(-1))
    save_file(out, pathlib.Path(__file__).with_suffix(".safetensors"))


if __name__ == "__main__":
    main()
