"""Writes objectives_golden.safetensors: value and gradient of every objective of the actor, for the flow of
flow.safetensors, a fixed imitation policy, and a fixed ensemble of two critics.

    python -m venv venv && venv/bin/pip install -r requirements.txt && venv/bin/python objectives_golden.py

With a_z = tanh(u_z), u_z the policy's own chunk, Q the lowest critic in units of the support's range, l = -log pi(u):

    A0  -E[Q(a_z)] + lambda E[l(u_D)]
    A1  -E[Q(a_z)] / |Q| + lambda E[l(u_D)] / |l|, the magnitudes constants
    A2  A0 + alpha E[log pi(a_z)]
    A3  -E[Q(a_z)] + beta E[log pi(u_z) - log pi_0(u_z)]
    A4  E[w l(u_R)], w = min(exp((Q(a_R) - mean of own Q) / scale), max), constants
    A5  E[l(u_best)] + lambda E[l(u_D)], u_best the own chunk with the largest Q, a constant
    A6  E[l(u_D)]

Everything is computed in double precision from the definitions, gradients by PyTorch; it shares no code with the crate.
"""

import pathlib

import numpy as np
import torch
from critic_golden import NET_BINS, NET_MAX, NET_MIN, Member, random_member
from flow_golden import OBS, ROWS, D, Flow, double, f32, log_det_of_squash, saved_flow
from safetensors.numpy import load_file, save_file

LAMBDA, ALPHA, BETA, SCALE, MAX_WEIGHT, N_OWN = 0.1, 0.02, 0.05, 0.02, 1.4, 3

rng = np.random.default_rng(20240621)
out = {
    "obs": f32(rng.normal(0, 1, (ROWS, OBS))),
    "z": f32(rng.normal(0, 1, (N_OWN, ROWS, D))),
    "demo_obs": f32(rng.normal(0, 1, (ROWS, OBS))),
    "demo_u": f32(rng.normal(0, 0.7, (ROWS, D))),
    "replayed_u": f32(rng.normal(0, 0.7, (ROWS, D))),
}
obs, demo_obs, demo_u, replayed_u = (double(out[name]) for name in ("obs", "demo_obs", "demo_u", "replayed_u"))
flow = saved_flow()
# The imitation policy: every parameter moved a little.
here = pathlib.Path(__file__)
tensors = load_file(here.with_name("flow.safetensors"))
for name, x in tensors.items():
    if x.dtype == np.float32:
        tensors[name] = f32(x + rng.normal(0, 0.05, x.shape))
reference = Flow(tensors)
out["reference"] = np.concatenate([x.reshape(-1) for _, x in sorted(tensors.items()) if x.dtype == np.float32])
critics = []
for i in range(2):
    tensors = random_member(rng, NET_BINS)
    out |= {f"critic.{i:02}/{name}": x for name, x in tensors.items()}
    critics.append(Member(tensors))


def q(u):
    values = torch.stack([critic.q(obs, torch.tanh(u)) for critic in critics])
    assert 0 < (values[0] < values[1]).sum() < ROWS, "either critic should be the lowest somewhere"
    return values.amin(0) / (NET_MAX - NET_MIN)


own = [flow.sample(obs, double(z)) for z in out["z"]]
own_q = torch.stack([q(u) for u in own])
u_z, q_z = own[0], own_q[0]
log_pi, log_reference = flow.log_prob(obs, u_z), reference.log_prob(obs, u_z)
demo_loss = -flow.log_prob(demo_obs, demo_u)

magnitudes = [q_z.abs().mean().item(), demo_loss.abs().mean().item()]
weights = torch.exp((q(replayed_u) - own_q.mean(0)).detach() / SCALE).clamp(max=MAX_WEIGHT)
assert 0 < (weights == MAX_WEIGHT).sum() < ROWS, "the bound should hold some weights"
best = own_q.argmax(0)
assert len(set(best.tolist())) > 1
u_best = torch.stack(own)[best, torch.arange(ROWS)].detach()

a0 = -q_z.mean() + LAMBDA * demo_loss.mean()
objectives = {
    "A0": a0,
    "A1": -q_z.mean() / magnitudes[0] + LAMBDA * demo_loss.mean() / magnitudes[1],
    "A2": a0 + ALPHA * (log_pi - log_det_of_squash(u_z)).mean(),
    "A3": -q_z.mean() + BETA * (log_pi - log_reference).mean(),
    "A4": (weights * -flow.log_prob(obs, replayed_u)).mean(),
    "A5": -flow.log_prob(obs, u_best).mean() + LAMBDA * demo_loss.mean(),
    "A6": demo_loss.mean(),
}
out["magnitudes"], out["weights"], out["u_best"] = f32(magnitudes), f32(weights), f32(u_best)
for name, loss in objectives.items():
    found = torch.autograd.grad(loss, [x for _, x in sorted(flow.p.items())], retain_graph=True)
    out[f"{name}/loss"], out[f"{name}/gradient"] = f32(loss), np.concatenate([f32(g).reshape(-1) for g in found])
save_file(out, here.with_suffix(".safetensors"))
