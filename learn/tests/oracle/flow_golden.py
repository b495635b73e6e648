"""Writes flow.safetensors, a parameters file, and flow_golden.safetensors, what the flow with these parameters must
reproduce: density, log-determinant, latents, samples, and gradients.

    python -m venv venv && venv/bin/pip install -r requirements.txt && venv/bin/python flow_golden.py

Everything is computed in double precision from the definitions, gradients by PyTorch; it shares no code with the crate.
"""

import math
import pathlib

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from torch.nn.functional import silu

OBS, D, HIDDEN, EMBEDDING, BLOCKS, S_MAX, ROWS = 5, 6, 16, 8, 4, 1.0, 7
HALF = D // 2
HERE = pathlib.Path(__file__).parent


def f32(x):
    return np.asarray(x.detach() if isinstance(x, torch.Tensor) else x, dtype=np.float32)


def double(x):
    """What a number of the file is to the crate, in double precision."""
    return torch.from_numpy(np.asarray(f32(x), dtype=np.float64))


class Flow:
    """The flow of a dictionary of its tensors; every float one is a leaf that collects gradients."""

    def __init__(self, tensors):
        self.p = {name: double(x).requires_grad_() for name, x in tensors.items() if x.dtype == np.float32}
        self.splits = [torch.from_numpy(x.astype(np.int64)) for name, x in sorted(tensors.items()) if x.dtype == np.uint32]

    def linear(self, name, x):
        return x @ self.p[name + ".weight"] + self.p[name + ".bias"]

    def embed(self, obs):
        return silu(self.linear("encoder.1", silu(self.linear("encoder.0", obs))))

    def net(self, block, passive, e):
        """Log-scale and shift of the active half."""
        name = f"block.{block:02}"
        weight = torch.cat([self.p[name + ".first.weight"], self.p[name + ".first.condition_weight"]])
        h = silu(torch.cat([passive, e], -1) @ weight + self.p[name + ".first.bias"])
        raw, t = self.linear(name + ".last", silu(self.linear(name + ".second", h))).split(HALF, -1)
        return S_MAX * torch.tanh(raw / S_MAX), t

    def to_latent(self, obs, u):
        """z, and ln |det dz/du|."""
        e, log_scale = self.embed(obs), self.p["act_norm.log_scale"]
        columns = list(((u - self.p["act_norm.shift"]) * torch.exp(-log_scale)).unbind(-1))
        log_det = -log_scale.sum()
        for j, split in enumerate(self.splits):
            a, b = split[:HALF].tolist(), split[HALF:].tolist()
            for block, passive, active in [(2 * j, a, b), (2 * j + 1, b, a)]:
                s, t = self.net(block, torch.stack([columns[i] for i in passive], -1), e)
                for k, i in enumerate(active):
                    columns[i] = columns[i] * torch.exp(s[:, k]) + t[:, k]
                log_det = log_det + s.sum(-1)
        return torch.stack(columns, -1), log_det

    def log_prob(self, obs, u):
        z, log_det = self.to_latent(obs, u)
        return -0.5 * (z**2).sum(-1) - 0.5 * D * math.log(2 * math.pi) + log_det

    def sample(self, obs, z):
        e, columns = self.embed(obs), list(z.unbind(-1))
        for j, split in reversed(list(enumerate(self.splits))):
            a, b = split[:HALF].tolist(), split[HALF:].tolist()
            for block, passive, active in [(2 * j + 1, b, a), (2 * j, a, b)]:
                s, t = self.net(block, torch.stack([columns[i] for i in passive], -1), e)
                for k, i in enumerate(active):
                    columns[i] = (columns[i] - t[:, k]) * torch.exp(-s[:, k])
        return torch.stack(columns, -1) * torch.exp(self.p["act_norm.log_scale"]) + self.p["act_norm.shift"]

    def gradient(self, loss, *inputs):
        """Gradients of all parameters, one after the other in the order of their names, then those of the inputs."""
        found = torch.autograd.grad(loss, [*(x for _, x in sorted(self.p.items())), *inputs])
        flat = torch.cat([g.reshape(-1) for g in found[: len(self.p)]])
        return [flat, *found[len(self.p) :]]


def saved_flow():
    return Flow(load_file(HERE / "flow.safetensors"))


def log_det_of_squash(u):
    """sum_j ln |d tanh(u_j) / du_j|"""
    return torch.log1p(-(torch.tanh(u) ** 2)).sum(-1)


def checksum(tensors):
    """FNV-1a, 64 bits, over name, type, shape and bytes of the tensors in the order of their names."""
    value = 0xCBF29CE484222325
    for name, x in sorted(tensors.items()):
        dtype = {"float32": "F32", "uint32": "U32"}[x.dtype.name]
        for byte in f'"{name}" {dtype} {list(x.shape)}'.encode() + x.tobytes():
            value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value:016x}"


def main():
    rng = np.random.default_rng(20240611)
    flow, out = {}, {}

    def parameter(name, shape, scale):
        flow[name] = f32(rng.normal(0.0, scale, shape))

    for name, shape in [("encoder.0", (OBS, HIDDEN)), ("encoder.1", (HIDDEN, EMBEDDING))]:
        parameter(name + ".weight", shape, shape[0] ** -0.5)
        parameter(name + ".bias", shape[1:], 0.1)
    for i in range(BLOCKS):
        b = f"block.{i:02}"
        fan_in = HALF + EMBEDDING
        parameter(b + ".first.weight", (HALF, HIDDEN), fan_in**-0.5)
        parameter(b + ".first.condition_weight", (EMBEDDING, HIDDEN), fan_in**-0.5)
        parameter(b + ".first.bias", (HIDDEN,), 0.1)
        parameter(b + ".second.weight", (HIDDEN, HIDDEN), HIDDEN**-0.5)
        parameter(b + ".second.bias", (HIDDEN,), 0.1)
        parameter(b + ".last.weight", (HIDDEN, D), 0.5)
        parameter(b + ".last.bias", (D,), 0.3)
    parameter("act_norm.shift", (D,), 0.5)
    parameter("act_norm.log_scale", (D,), 0.5)
    for j in range(BLOCKS // 2):
        flow[f"pair.{j:02}.split"] = rng.permutation(D).astype(np.uint32)

    out["obs"], out["u"], out["z"] = (f32(rng.normal(0, 1, (ROWS, width))) for width in (OBS, D, D))
    obs, u, z = (double(out[name]).requires_grad_() for name in ("obs", "u", "z"))
    net = Flow(flow)

    # Density. Its log-determinant is that of the Jacobian, by differentiation and elimination.
    latent, log_det = net.to_latent(obs, u)
    for row in range(ROWS):
        jacobian = torch.autograd.functional.jacobian(lambda x: net.to_latent(obs[row : row + 1], x[None])[0][0], u[row])
        torch.testing.assert_close(torch.linalg.slogdet(jacobian).logabsdet, log_det[row], rtol=1e-12, atol=1e-12)
    log_prob = net.log_prob(obs, u)
    out["latent"], out["log_det"], out["log_prob"] = f32(latent), f32(log_det), f32(log_prob)
    out["action_log_prob"] = f32(log_prob - log_det_of_squash(u))
    gradient, by_u, by_obs = net.gradient(-log_prob.mean(), u, obs)
    out["nll/gradient"], out["nll/by_u"], out["nll/by_obs"] = f32(gradient), f32(by_u), f32(by_obs)

    # Samples, and what an objective does with them: any function of the chunk, and its density.
    sampled = net.sample(obs, z)
    torch.testing.assert_close(net.to_latent(obs, sampled)[0], z, rtol=1e-12, atol=1e-12)
    log_pi = net.log_prob(obs, sampled)
    out["sample_u"], out["sample_log_prob"] = f32(sampled), f32(log_pi)
    out["sample/weights"] = f32(rng.normal(0, 1, (ROWS, D)))
    loss = ((double(out["sample/weights"]) * torch.tanh(sampled)).sum(-1) + 0.3 * log_pi).mean()
    out["sample/loss"] = f32(loss)
    gradient, by_z, by_obs = net.gradient(loss, z, obs)
    out["sample/gradient"], out["sample/by_z"], out["sample/by_obs"] = f32(gradient), f32(by_z), f32(by_obs)

    save_file(out, HERE / "flow_golden.safetensors")
    save_file(flow, HERE / "flow.safetensors", {"checksum": checksum(flow)})


if __name__ == "__main__":
    main()
