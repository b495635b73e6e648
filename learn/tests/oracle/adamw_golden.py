"""Writes adamw_golden.safetensors: steps of PyTorch's AdamW in double precision behind a clip by the global norm,
`g min(1, max_norm / |g|)`. (PyTorch's own clip divides by |g| + 1e-6.)

    python -m venv venv && venv/bin/pip install -r requirements.txt && venv/bin/python adamw_golden.py
"""

import pathlib

import numpy as np
import torch
from safetensors.numpy import save_file

N, MAX_NORM, DECAY = 12, 1.0, 0.1
RATES = [0.01, 0.01, 0.02, 0.005, 0.01, 0.0, 0.01, 0.01]
# Length of every step's gradient, and of every parameter's: the last four are where epsilon counts, or nothing comes.
BY_STEP = np.array([0.1, 0.1, 2.0, 0.01, 1.0, 0.5, 30.0, 0.1])
BY_PARAMETER = np.array([1.0] * 8 + [1e-6, 1e-7, 1e-8, 0.0])


def f32(x):
    return np.asarray(x, dtype=np.float32)


rng = np.random.default_rng(20240612)
out = {
    "start": f32(rng.normal(0, 1, N)),
    "gradients": f32(rng.normal(0, 1, (len(RATES), N)) * BY_STEP[:, None] * BY_PARAMETER),
    "rates": f32(RATES),
}
theta = torch.from_numpy(out["start"].astype(np.float64)).requires_grad_()
optimiser = torch.optim.AdamW([theta], betas=(0.9, 0.999), eps=1e-8, weight_decay=DECAY, foreach=False)
trace, norms, scales = [], [], []
for rate, gradient in zip(RATES, out["gradients"].astype(np.float64)):
    norm = np.sqrt((gradient**2).sum())
    scale = min(1.0, MAX_NORM / norm)
    theta.grad = torch.from_numpy(gradient * scale)
    optimiser.param_groups[0]["lr"] = rate
    optimiser.step()
    trace.append(theta.detach().numpy().copy())
    norms.append(norm)
    scales.append(scale)
assert min(scales) < 0.1 and scales.count(1.0) >= 3
state = optimiser.state[theta]
out["theta"], out["norms"], out["scales"] = f32(trace), f32(norms), f32(scales)
out["m"], out["v"] = f32(state["exp_avg"]), f32(state["exp_avg_sq"])
save_file(out, pathlib.Path(__file__).with_suffix(".safetensors"))
