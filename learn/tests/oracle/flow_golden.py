"""Writes flow.safetensors, a parameters file, and golden.safetensors, what the flow with these parameters, the labels and
the optimiser must reproduce.

    python -m venv venv && venv/bin/pip install numpy==2.4.6 safetensors==0.8.0 && venv/bin/python flow_golden.py

Everything is computed in double precision from the definitions; it shares no code with the crate.
"""

import math
import pathlib

import numpy as np
from safetensors.numpy import save_file

rng = np.random.default_rng(20240611)
OBS, D, HIDDEN, EMBEDDING, BLOCKS, S_MAX, ROWS = 5, 6, 16, 8, 4, 1.0, 7
HALF = D // 2
out, flow = {}, {}


def f32(x):
    return np.asarray(x, dtype=np.float32)


def parameter(name, shape, scale):
    flow[name] = f32(rng.normal(0.0, scale, shape))
    return flow[name].astype(np.float64)


# ---- flow: density and samples -------------------------------------------------------------------------------------
p = {}
for name, shape in [("encoder.0", (OBS, HIDDEN)), ("encoder.1", (HIDDEN, EMBEDDING))]:
    p[name] = parameter(name + ".weight", shape, shape[0] ** -0.5), parameter(name + ".bias", shape[1:], 0.1)
for i in range(BLOCKS):
    b = f"block.{i:02}"
    fan_in = HALF + EMBEDDING
    p[b + ".first"] = (
        parameter(b + ".first.weight", (HALF, HIDDEN), fan_in**-0.5),
        parameter(b + ".first.condition_weight", (EMBEDDING, HIDDEN), fan_in**-0.5),
        parameter(b + ".first.bias", (HIDDEN,), 0.1),
    )
    p[b + ".second"] = parameter(b + ".second.weight", (HIDDEN, HIDDEN), HIDDEN**-0.5), parameter(b + ".second.bias", (HIDDEN,), 0.1)
    p[b + ".last"] = parameter(b + ".last.weight", (HIDDEN, D), 0.5), parameter(b + ".last.bias", (D,), 0.3)
shift, log_scale = parameter("act_norm.shift", (D,), 0.5), parameter("act_norm.log_scale", (D,), 0.5)
splits = [rng.permutation(D).astype(np.uint32) for _ in range(BLOCKS // 2)]
for j, split in enumerate(splits):
    flow[f"pair.{j:02}.split"] = split


def silu(x):
    return x / (1.0 + np.exp(-x))


def linear(layer, x):
    return x @ layer[0] + layer[1]


def embed(obs):
    return silu(linear(p["encoder.1"], silu(linear(p["encoder.0"], obs))))


def net(block, passive, e):
    weight, condition_weight, bias = p[f"block.{block:02}.first"]
    h = silu(np.concatenate([passive, e], -1) @ np.concatenate([weight, condition_weight], 0) + bias)
    raw, t = np.split(linear(p[f"block.{block:02}.last"], silu(linear(p[f"block.{block:02}.second"], h))), 2, -1)
    return S_MAX * np.tanh(raw / S_MAX), t


def log_normal(z):
    return -0.5 * (z**2).sum(-1) - 0.5 * D * math.log(2 * math.pi)


def log_prob(obs, u):
    e, x, log_det = embed(obs), (u - shift) * np.exp(-log_scale), -log_scale.sum()
    for j, split in enumerate(splits):
        a, b = split[:HALF], split[HALF:]
        s, t = net(2 * j, x[:, a], e)
        x[:, b] = x[:, b] * np.exp(s) + t
        log_det = log_det + s.sum(-1)
        s, t = net(2 * j + 1, x[:, b], e)
        x[:, a] = x[:, a] * np.exp(s) + t
        log_det = log_det + s.sum(-1)
    return log_normal(x) + log_det, x


def sample(obs, z):
    e, x = embed(obs), z.copy()
    for j, split in reversed(list(enumerate(splits))):
        a, b = split[:HALF], split[HALF:]
        s, t = net(2 * j + 1, x[:, b], e)
        x[:, a] = (x[:, a] - t) * np.exp(-s)
        s, t = net(2 * j, x[:, a], e)
        x[:, b] = (x[:, b] - t) * np.exp(-s)
    return x * np.exp(log_scale) + shift


out["obs"], out["u"], out["z"] = (f32(rng.normal(0, 1, (ROWS, width))) for width in (OBS, D, D))
obs, u, z = (out[name].astype(np.float64) for name in ("obs", "u", "z"))
out["log_prob"], out["latent"] = map(f32, log_prob(obs, u))
sampled = sample(obs, z)
out["sample_u"], out["sample_log_prob"] = f32(sampled), f32(log_prob(obs, sampled)[0])
out["action_log_prob"] = f32(log_prob(obs, u)[0] - np.log1p(-np.tanh(u) ** 2).sum(-1))

# ---- HL-Gauss labels -----------------------------------------------------------------------------------------------
V_MIN, V_MAX, BINS = -0.5, 5.0, 101
targets = np.array([-0.5, 0.0, 0.013, 1.7, 4.9, 5.0, -3.0, 9.0])
edges = np.linspace(V_MIN, V_MAX, BINS + 1)
sigma = 0.75 * (V_MAX - V_MIN) / BINS
targets32 = f32(targets)
cdf = np.array([[math.erf((e - y) / (math.sqrt(2) * sigma)) for e in edges] for y in np.clip(targets32.astype(np.float64), V_MIN, V_MAX)])
out["targets"] = targets32
out["labels"] = f32((cdf[:, 1:] - cdf[:, :-1]) / (cdf[:, -1:] - cdf[:, :1]))

# ---- AdamW with clipping --------------------------------------------------------------------------------------------
STEPS, LR, DECAY, MAX_NORM, B1, B2, EPS = 5, 0.01, 0.1, 1.0, 0.9, 0.999, 1e-8
theta = rng.normal(0, 1, 12)
gradients = rng.normal(0, 1, (STEPS, 12)) * np.array([0.1, 0.1, 2.0, 0.01, 1.0])[:, None]
out["adamw/start"], out["adamw/gradients"] = f32(theta), f32(gradients)
theta, gradients = out["adamw/start"].astype(np.float64), out["adamw/gradients"].astype(np.float64)
m, v, trace, norms = np.zeros(12), np.zeros(12), [], []
for t, g in enumerate(gradients, 1):
    norm = np.sqrt((g**2).sum())
    g = g * min(1.0, MAX_NORM / norm)
    m, v = B1 * m + (1 - B1) * g, B2 * v + (1 - B2) * g**2
    theta = theta * (1 - LR * DECAY) - LR * (m / (1 - B1**t)) / (np.sqrt(v / (1 - B2**t)) + EPS)
    trace.append(theta)
    norms.append(norm)
out["adamw/theta"], out["adamw/norms"] = f32(trace), f32(norms)


def checksum(tensors):
    """FNV-1a, 64 bits, over name, type, shape and bytes of the tensors in the order of their names."""
    value = 0xCBF29CE484222325
    for name, x in sorted(tensors.items()):
        dtype = {"float32": "F32", "uint32": "U32"}[x.dtype.name]
        for byte in f'"{name}" {dtype} {list(x.shape)}'.encode() + x.tobytes():
            value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value:016x}"


here = pathlib.Path(__file__)
save_file(out, here.with_name("golden.safetensors"))
save_file(flow, here.with_name("flow.safetensors"), {"checksum": checksum(flow)})
