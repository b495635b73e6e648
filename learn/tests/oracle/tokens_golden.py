"""Writes token_flow.safetensors and token_critic.safetensors, parameters files, and tokens_golden.safetensors, what the
operations of a transformer, the flow and the critic with these parameters must reproduce.

    python -m venv venv && venv/bin/pip install numpy==2.4.6 safetensors==0.8.0 && venv/bin/python tokens_golden.py

Everything is computed in double precision from the definitions, one row and one token at a time; it shares no code with the
crate. The flow's log-determinants are central differences of the map from u to z: no formula of a coupling's enters them.
"""

import math
import pathlib

import numpy as np
from safetensors.numpy import save_file

rng = np.random.default_rng(20260212)
OBS, STEPS, JOINTS, ROWS = 5, 3, 2, 6
WIDTH, HEADS, LAYERS, HIDDEN, N_TOKENS = 8, 2, 2, 12, 2
BLOCKS, S_MAX = 4, 1.5
V_MIN, V_MAX, BINS = -0.5, 2.0, 11
D, HEAD = STEPS * JOINTS, WIDTH // HEADS
out = {}


def f32(x):
    return np.asarray(x, dtype=np.float32)


def save(name, x):
    """Keeps an input in single precision, and goes on with exactly those numbers."""
    out[name] = f32(x)
    return out[name].astype(np.float64)


# ---- the operations, one token at a time -----------------------------------------------------------------------------
def rms_norm(x, weight):
    return x / math.sqrt(np.mean(x**2) + 1e-6) * weight


def silu(x):
    return x / (1.0 + np.exp(-x))


def turn(x, position):
    """Rotary position of one token: pair i of each head, as a complex number, turns by position 10000^(-2 i / HEAD)."""
    turned = np.empty_like(x)
    for head in range(len(x) // HEAD):
        for i in range(HEAD // 2):
            at = head * HEAD + 2 * i
            z = complex(x[at], x[at + 1]) * np.exp(1j * position * 10000.0 ** (-2 * i / HEAD))
            turned[at], turned[at + 1] = z.real, z.imag
    return turned


def attend(queries, keys, values, n_visible):
    """Tokens [T, W], [S, W], [S, W]; query t sees the first n_visible[t] keys."""
    result = np.zeros_like(queries)
    for t, n in enumerate(n_visible):
        for head in range(HEADS):
            part = slice(head * HEAD, (head + 1) * HEAD)
            logits = np.array([queries[t, part] @ keys[s, part] / math.sqrt(HEAD) for s in range(n)])
            weights = np.exp(logits - logits.max())
            weights /= weights.sum()
            result[t, part] = sum(w * values[s, part] for s, w in enumerate(weights))
    return result


x, weight = save("rms_norm/x", rng.normal(0, 2, (4, WIDTH))), save("rms_norm/weight", rng.normal(1, 0.3, WIDTH))
out["rms_norm"] = f32([rms_norm(row, weight) for row in x])
x = save("rotate/x", rng.normal(0, 1, (2 * STEPS, WIDTH)))
out["rotate"] = f32([turn(row, [0, 3, 11][i % STEPS]) for i, row in enumerate(x)])
q = save("attention/q", rng.normal(0, 1.5, (2, STEPS, WIDTH)))
k, v = (save(f"attention/{name}", rng.normal(0, 1.5, (2, STEPS, WIDTH))) for name in "kv")
out["attention/causal"] = f32([attend(q[r], k[r], v[r], [1, 2, 3]) for r in range(2)])
out["attention/per_row"] = f32([attend(q[r], k[r], v[r], [[2, 3][r]] * STEPS) for r in range(2)])
out["attention/shared"] = f32([attend(q[r], k[0], v[0], [3] * STEPS) for r in range(2)])


# ---- blocks ----------------------------------------------------------------------------------------------------------
class Net:
    """Random parameters, kept in single precision in `file` and used in double."""

    def __init__(self):
        self.file = {}

    def __call__(self, name, shape=None, scale=None, mean=0.0):
        if name not in self.file:
            scale = shape[0] ** -0.5 if scale is None else scale
            self.file[name] = f32(rng.normal(mean, scale, shape))
        return self.file[name].astype(np.float64)

    def linear(self, name, x, n_out, scale=None):
        return x @ self(f"{name}.weight", (len(x), n_out), scale) + self(f"{name}.bias", (n_out,), 0.2)

    def norm(self, name, x):
        return rms_norm(x, self(f"{name}.weight", (WIDTH,), 0.2, 1.0))

    def attention(self, name, x, positions, context, n_visible):
        normed = np.array([self.norm(f"{name}.norm", token) for token in x])
        seen = normed if context is None else context
        project = lambda part, tokens: tokens @ self(f"{name}.{part}.weight", (WIDTH, WIDTH))
        queries, keys, values = project("query", normed), project("key", seen), project("value", seen)
        if context is None:
            queries = np.array([turn(token, p) for token, p in zip(queries, positions)])
            keys = np.array([turn(token, p) for token, p in zip(keys, positions)])
        return project("out", attend(queries, keys, values, n_visible))

    def block(self, name, x, positions, n_visible, context=None):
        x = x + self.attention(f"{name}.self", x, positions, None, n_visible)
        if context is not None:
            x = x + self.attention(f"{name}.cross", x, positions, context, [len(context)] * len(x))
        y = []
        for token in x:
            normed = self.norm(f"{name}.norm", token)
            gate = silu(normed @ self(f"{name}.gate.weight", (WIDTH, HIDDEN)))
            up = normed @ self(f"{name}.up.weight", (WIDTH, HIDDEN))
            y.append(token + (gate * up) @ self(f"{name}.down.weight", (HIDDEN, WIDTH)))
        return np.array(y)

    def observation_tokens(self, obs):
        edges = [i * OBS // N_TOKENS for i in range(N_TOKENS + 1)]
        groups = [obs[a:b] for a, b in zip(edges, edges[1:])]
        return np.array([self.linear(f"observation.{i:02}", group, WIDTH) for i, group in enumerate(groups)])


# ---- flow: density and samples ----------------------------------------------------------------------------------------
flow = Net()
splits = [rng.permutation(D).astype(np.uint32) for _ in range(BLOCKS // 2)]
for j, split in enumerate(splits):
    flow.file[f"pair.{j:02}.split"] = split


def couplings():
    for j, split in enumerate(splits):
        first, second = split[: D // 2], split[D // 2 :]
        yield 2 * j, first, second
        yield 2 * j + 1, second, first


def scale_and_shift(block, x, passive, active, context):
    name = f"block.{block:02}"
    mask = np.zeros(D)
    mask[passive] = 1.0
    # The second pair reads the steps from the last to the first.
    order = list(range(STEPS)) if block // 2 % 2 == 0 else list(reversed(range(STEPS)))
    values, mask = (mask * x).reshape(STEPS, JOINTS)[order], mask.reshape(STEPS, JOINTS)[order]
    tokens = [flow.linear(f"{name}.first", np.concatenate([a, m]), WIDTH) for a, m in zip(values, mask)]
    tokens = np.array(tokens)
    for layer in range(LAYERS):
        tokens = flow.block(f"{name}.layer.{layer}", tokens, range(STEPS), range(1, STEPS + 1), context)
    s, t = np.zeros((STEPS, JOINTS)), np.zeros((STEPS, JOINTS))
    for h, token in enumerate(tokens):
        hidden = silu(flow.linear(f"{name}.hidden", flow.norm(f"{name}.norm", token), HIDDEN))
        raw, t[order[h]] = np.split(flow.linear(f"{name}.last", hidden, 2 * JOINTS, 0.5), 2)
        s[order[h]] = S_MAX * np.tanh(raw / S_MAX)
    return s.reshape(D)[active], t.reshape(D)[active]


def shift_and_log_scale():
    return flow("act_norm.shift", (D,), 0.5), flow("act_norm.log_scale", (D,), 0.5)


def latent(obs, u):
    shift, log_scale = shift_and_log_scale()
    x, context = (u - shift) * np.exp(-log_scale), flow.observation_tokens(obs)
    for block, passive, active in couplings():
        s, t = scale_and_shift(block, x, passive, active, context)
        x[active] = x[active] * np.exp(s) + t
    return x


def sample(obs, z):
    shift, log_scale = shift_and_log_scale()
    x, context = z.copy(), flow.observation_tokens(obs)
    for block, passive, active in reversed(list(couplings())):
        s, t = scale_and_shift(block, x, passive, active, context)
        x[active] = (x[active] - t) * np.exp(-s)
    return x * np.exp(log_scale) + shift


def log_prob(obs, u, step=1e-5):
    moved = [(latent(obs, u + e) - latent(obs, u - e)) / (2 * step) for e in step * np.eye(D)]
    z = latent(obs, u)
    return -0.5 * z @ z - 0.5 * D * math.log(2 * math.pi) + np.linalg.slogdet(np.array(moved))[1]


obs, u, z = (save(name, rng.normal(0, 1, (ROWS, width))) for name, width in (("obs", OBS), ("u", D), ("z", D)))
out["latent"] = f32([latent(*row) for row in zip(obs, u)])
out["log_prob"] = f32([log_prob(*row) for row in zip(obs, u)])
sampled = [sample(*row) for row in zip(obs, z)]
out["sample_u"] = f32(sampled)
out["sample_log_prob"] = f32([log_prob(*row) for row in zip(obs, sampled)])

# ---- critic: values of whole and of partial chunks --------------------------------------------------------------------
critic = Net()


def value(obs, action, n_valid):
    tokens = [critic("value", (1, WIDTH), 1.0)[0], *critic.observation_tokens(obs)]
    tokens += [critic.linear("action", step, WIDTH) for step in action.reshape(STEPS, JOINTS)[:n_valid]]
    positions = [0] * (1 + N_TOKENS) + list(range(1, n_valid + 1))
    tokens = np.array(tokens)
    for layer in range(LAYERS):
        tokens = critic.block(f"layer.{layer}", tokens, positions, [len(tokens)] * len(tokens))
    logits = critic.linear("last", critic.norm("norm", tokens[0]), BINS)
    weights = np.exp(logits - logits.max())
    centers = V_MIN + (np.arange(BINS) + 0.5) * (V_MAX - V_MIN) / BINS
    return weights @ centers / weights.sum()


out["n_valid"] = np.array([1, 2, 3, 2, 1, 3], dtype=np.uint32)
out["q_whole"] = f32([value(o, a, STEPS) for o, a in zip(obs, u)])
out["q_partial"] = f32([value(o, a, n) for o, a, n in zip(obs, u, out["n_valid"])])


def checksum(tensors):
    """FNV-1a, 64 bits, over name, type, shape and bytes of the tensors in the order of their names."""
    value = 0xCBF29CE484222325
    for name, x in sorted(tensors.items()):
        dtype = {"float32": "F32", "uint32": "U32"}[x.dtype.name]
        for byte in f'"{name}" {dtype} {list(x.shape)}'.encode() + x.tobytes():
            value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value:016x}"


here = pathlib.Path(__file__)
save_file(out, here.with_name("tokens_golden.safetensors"))
critics = {f"critic.00/{name}": x for name, x in critic.file.items()}
for name, tensors in (("token_flow", flow.file), ("token_critic", critics)):
    save_file(tensors, here.with_name(f"{name}.safetensors"), {"checksum": checksum(tensors)})
