"""Writes policy_net_golden.safetensors: densities, losses, gradients and samples of the policy networks besides the flow.

    python -m venv venv && venv/bin/pip install -r requirements.txt && venv/bin/python policy_net_golden.py

All are laws of x = (u - mean) / (std + 0.02), mean and std those of the data. From the definitions, in double precision:
densities by torch.distributions, flow matching by Lipman et al. 2023 (the straight path) with the student of Park et al.
2025, diffusion by Ho et al. 2020, its schedules by them and by Nichol and Dhariwal 2021 (eq. 17), its sampling by Song et
al. 2021 (eq. 12 with sigma = 0), the clipped noise by Fujimoto et al. 2018; gradients by PyTorch. It shares no code with
the crate.
"""

import math
import pathlib

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import distributions as law
from torch.nn.functional import silu

OBS, D, HIDDEN, ROWS, DATA = 3, 4, 8, 9, 50
K, N_EULER, N_CHAIN, N_DDIM, CLIP, EXPLORATION = 5, 10, 20, 5, 10.0, 0.2
HARMONICS = 1 + 2 * 4

rng = np.random.default_rng(20240631)


def f32(x):
    return np.asarray(x.detach() if isinstance(x, torch.Tensor) else x, dtype=np.float32)


def double(x):
    """What a number of the file is to the crate, in double precision."""
    return torch.from_numpy(np.asarray(f32(x), dtype=np.float64))


out = {
    "data": f32(rng.normal(0.3, 0.4, (DATA, D)) * [1.0, 0.5, 2.0, 0.1]),
    "obs": f32(rng.normal(0, 1, (ROWS, OBS))),
    "u": f32(rng.normal(0.3, 0.3, (ROWS, D)) * [1.0, 0.5, 2.0, 0.1]),
    "weights": f32(rng.normal(0, 1, (ROWS, D))),
}
obs, u = double(out["obs"]), double(out["u"])
mean, std = double(out["data"]).mean(0), double(out["data"]).std(0, correction=0) + 0.02
x_data = (u - mean) / std


class Net:
    """Tensors of one network, and its results under its name."""

    def __init__(self, name):
        self.name, self.p = name, {}

    def parameter(self, name, shape, scale):
        x = f32(rng.normal(0.0, scale, shape))
        out[f"{self.name}/param/{name}"] = x
        self.p[name] = double(x).requires_grad_()

    def mlp(self, name, n_in, n_out, last_scale):
        """Two hidden layers."""
        for layer, a, b in [("0", n_in, HIDDEN), ("1", HIDDEN, HIDDEN), ("last", HIDDEN, n_out)]:
            self.parameter(f"{name}.{layer}.weight", (a, b), last_scale if layer == "last" else a**-0.5)
            self.parameter(f"{name}.{layer}.bias", (b,), 0.2)
        p = self.p

        def forward(x):
            for layer in ("0", "1"):
                x = silu(x @ p[f"{name}.{layer}.weight"] + p[f"{name}.{layer}.bias"])
            return x @ p[f"{name}.last.weight"] + p[f"{name}.last.bias"]

        return forward

    def conditioned_mlp(self, name, n_x):
        """Two hidden layers of [x | observation], to a chunk."""
        self.parameter(f"{name}.first.weight", (n_x, HIDDEN), (n_x + OBS) ** -0.5)
        self.parameter(f"{name}.first.condition_weight", (OBS, HIDDEN), (n_x + OBS) ** -0.5)
        self.parameter(f"{name}.first.bias", (HIDDEN,), 0.2)
        for layer, b in [("0", HIDDEN), ("last", D)]:
            self.parameter(f"{name}.rest.{layer}.weight", (HIDDEN, b), HIDDEN**-0.5)
            self.parameter(f"{name}.rest.{layer}.bias", (b,), 0.2)
        p = self.p

        def forward(x):
            weight = torch.cat([p[f"{name}.first.weight"], p[f"{name}.first.condition_weight"]])
            h = silu(torch.cat([x, obs], -1) @ weight + p[f"{name}.first.bias"])
            h = silu(h @ p[f"{name}.rest.0.weight"] + p[f"{name}.rest.0.bias"])
            return h @ p[f"{name}.rest.last.weight"] + p[f"{name}.rest.last.bias"]

        return forward

    def put(self, **results):
        out.update({f"{self.name}/{name}": f32(x) for name, x in results.items()})

    def put_loss(self, noise, loss):
        """The loss of every row, and the gradients of its mean, in the order of the parameters' names."""
        found = torch.autograd.grad(loss.mean(), [x for _, x in sorted(self.p.items())], retain_graph=True)
        self.put(imitation_noise=noise, loss=loss, gradient=torch.cat([g.reshape(-1) for g in found]))

    def put_sample(self, noise, x):
        """Samples, and the gradients of a function of them."""
        chunk = mean + std * x
        p = {name: x for name, x in sorted(self.p.items())}
        loss = (double(out["weights"]) * torch.tanh(chunk)).sum()
        found = torch.autograd.grad(loss, list(p.values()), allow_unused=True)
        found = [torch.zeros_like(x) if g is None else g for g, x in zip(found, p.values())]
        self.put(noise=noise, sample_u=chunk, sample_gradient=torch.cat([g.reshape(-1) for g in found]))
        return chunk


def log_std(raw):
    """Within [-5, 2], 0 for 0."""
    return -5.0 + 3.5 * (torch.tanh(raw + math.atanh(3.0 / 7.0)) + 1.0)


# ---- Gaussian; squashed, the tanh-Gaussian -------------------------------------------------------------------------
net = Net("gaussian")
mu, raw = net.mlp("net", OBS, 2 * D, 0.1)(obs).split(D, -1)
of_u = law.Independent(law.Normal(mean + std * mu, std * torch.exp(log_std(raw))), 1)
log_prob = of_u.log_prob(u)
squashed = law.TransformedDistribution(of_u, [law.TanhTransform(cache_size=1)])
net.put(log_prob=log_prob, action_log_prob=squashed.log_prob(squashed.transforms[0](u)))
net.put_loss(np.zeros((ROWS, 0)), -log_prob)
z = f32(rng.normal(0, 1, (ROWS, D)))
chunk = net.put_sample(z, mu + torch.exp(log_std(raw)) * double(z))
net.put(sample_log_prob=of_u.log_prob(chunk))

# ---- mixture of five -----------------------------------------------------------------------------------------------
net = Net("mixture")
output = net.mlp("net", OBS, K * (2 * D + 1), 0.2)(obs)
net.parameter("centres", (K, D), 0.7)
logits, mu, raw = output.split([K, K * D, K * D], -1)
mu, scale = mu.reshape(ROWS, K, D) + net.p["centres"], torch.exp(log_std(raw.reshape(ROWS, K, D)))
components = law.Independent(law.Normal(mean + std * mu, std * scale), 1)
of_u = law.MixtureSameFamily(law.Categorical(logits=logits), components)
log_prob = of_u.log_prob(u)
squashed_components = law.TransformedDistribution(components, [law.TanhTransform(cache_size=1)])
squashed = law.MixtureSameFamily(law.Categorical(logits=logits), squashed_components)
net.put(log_prob=log_prob, action_log_prob=squashed.log_prob(torch.tanh(u)))
net.put_loss(np.zeros((ROWS, 0)), -log_prob)
noise = f32(np.concatenate([rng.normal(0, 1, (ROWS, D)), rng.uniform(0, 1, (ROWS, 1))], -1))
cumulated = torch.softmax(logits, -1).cumsum(-1)
assert (cumulated - double(noise)[:, -1:]).abs().min() > 1e-3, "rounding must not choose"
chosen = torch.searchsorted(cumulated.detach(), double(noise)[:, -1:].contiguous())[:, 0]
assert len(set(chosen.tolist())) >= 3
rows = torch.arange(ROWS)
chunk = net.put_sample(noise, mu[rows, chosen] + scale[rows, chosen] * double(noise)[:, :D])
net.put(sample_log_prob=of_u.log_prob(chunk))


# ---- what a network sees of time -----------------------------------------------------------------------------------
def with_time(x, t):
    """[x | t | sin pi t, cos pi t, sin 2 pi t, cos 2 pi t, sin 4 pi t, ..]"""
    t = t.expand(ROWS, 1)
    waves = [wave(2**j * math.pi * t) for j in range(4) for wave in (torch.sin, torch.cos)]
    return torch.cat([x, t, *waves], -1)


def time(value):
    return torch.full((1, 1), value, dtype=torch.float64)


# ---- flow matching, with and without a student ---------------------------------------------------------------------
for name in ("flow_matching", "one_step"):
    net = Net(name)
    velocity = net.conditioned_mlp("velocity", D + HARMONICS)
    student = net.conditioned_mlp("student", D) if name == "one_step" else None

    def integrate(x):
        for i in range(N_EULER):
            x = x + velocity(with_time(x, time(i / N_EULER))) / N_EULER
        return x

    parts = [rng.normal(0, 1, (ROWS, D)), rng.uniform(0, 1, (ROWS, 1)), rng.normal(0, 1, (ROWS, D))]
    noise = f32(np.concatenate(parts if student else parts[:2], -1))
    x_0, t, z = double(noise).tensor_split([D, D + 1], -1)
    x_t = (1 - t) * x_0 + t * x_data
    loss = ((velocity(with_time(x_t, t)) - (x_data - x_0)) ** 2).sum(-1)
    if student:
        loss = loss + ((student(z) - integrate(z).detach()) ** 2).sum(-1)
    net.put_loss(noise, loss)
    z = f32(rng.normal(0, 1, (ROWS, D)))
    net.put_sample(z, student(double(z)) if student else integrate(double(z)))

# ---- diffusion -----------------------------------------------------------------------------------------------------
def put_diffusion(name, schedule, n_sampling, is_noisy):
    """Sampling is that of Song et al., eq. 12, with their sigma of DDPM (eq. 16, eta = 1) or with sigma = 0."""
    net = Net(name)
    epsilon = net.conditioned_mlp("net", D + HARMONICS)

    def f(k):
        return math.cos((k / N_CHAIN + 0.008) / 1.008 * math.pi / 2) ** 2

    if schedule == "linear":
        # 1e-4 to 0.02 in a thousand steps, as much in all in fewer.
        betas = np.linspace(1e-4, 0.02, N_CHAIN) * 1000 / N_CHAIN
    else:
        betas = np.array([1 - f(k) / f(k - 1) for k in range(1, N_CHAIN + 1)])
    kept = np.concatenate([[1.0], np.cumprod(1 - np.minimum(betas, 0.999))])

    steps = np.array([1, 2, 5, 9, 12, 15, 18, 19, 20])[:, None]
    noise = f32(np.concatenate([rng.normal(0, 1, (ROWS, D)), steps], -1))
    eps, a = double(noise)[:, :D], torch.from_numpy(kept[steps])
    x_k = torch.sqrt(a) * x_data + torch.sqrt(1 - a) * eps
    net.put_loss(noise, ((epsilon(with_time(x_k, torch.from_numpy(steps / N_CHAIN))) - eps) ** 2).sum(-1))

    z = f32(rng.normal(0, 1, (ROWS, D * (n_sampling if is_noisy else 1))))
    fresh = iter(double(z).split(D, -1))
    x, stride, n_free = next(fresh), N_CHAIN // n_sampling, 0
    for k in range(N_CHAIN, 0, -stride):
        now, then = kept[k], kept[k - stride]
        x_0 = (x - math.sqrt(1 - now) * epsilon(with_time(x, time(k / N_CHAIN)))) / math.sqrt(now)
        n_free += int((x_0.abs() < CLIP).sum())
        x_0 = x_0.clamp(-CLIP, CLIP)
        eps = (x - math.sqrt(now) * x_0) / math.sqrt(1 - now)
        sigma = math.sqrt((1 - then) / (1 - now)) * math.sqrt(1 - now / then) if is_noisy else 0.0
        x = math.sqrt(then) * x_0 + math.sqrt(max(1 - then - sigma**2, 0.0)) * eps
        if sigma > 0:
            x = x + sigma * next(fresh)
    assert next(fresh, None) is None, "all noise is used"
    assert 0.1 < n_free / (n_sampling * ROWS * D) < 0.999, "both sides of the clip"
    net.put_sample(z, x)


put_diffusion("diffusion_linear", "linear", N_DDIM, False)
put_diffusion("diffusion_cosine", "cosine", N_DDIM, False)

# ---- deterministic -------------------------------------------------------------------------------------------------
net = Net("deterministic")
mu = net.mlp("net", OBS, D, 0.5)(obs)
net.put_loss(np.zeros((ROWS, 0)), ((x_data - mu) ** 2).sum(-1))
z = f32(rng.normal(0, 2, (ROWS, D)))
assert (np.abs(z) > 2.5).any()
net.put_sample(z, mu + EXPLORATION * double(z).clamp(-2.5, 2.5))

# ---- diffusion, sampled along its chain ------------------------------------------------------------------------------
put_diffusion("diffusion_ddpm", "cosine", N_CHAIN, True)

assert all(np.isfinite(x).all() for x in out.values())
save_file(out, pathlib.Path(__file__).with_suffix(".safetensors"))
