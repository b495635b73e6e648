"""The learner's steps in PyTorch; requests as in protocol.py. Arguments: folder of the export, threads, `eager` or `compiled`.

Formulas and shapes are those of learn::flow, learn::critic and benches::learner, and so is what is computed once: the
condition's part of a first layer, and the embedding of the one observation that all candidates share. Weights are [in, out].
"""

import math
import sys
from functools import partial

import torch
from torch.nn.functional import layer_norm, log_softmax, silu

import protocol

LOG_2_PI = math.log(2 * math.pi)


class Permutation(torch.autograd.Function):
    """x[:, columns]; the way back is the inverse permutation, where autograd would add to indices."""

    @staticmethod
    def forward(ctx, x, columns, inverse):
        ctx.save_for_backward(inverse)
        return x.index_select(1, columns)

    @staticmethod
    def backward(ctx, grad):
        return grad.index_select(1, ctx.saved_tensors[0]), None, None


def linear(p, name, x):
    return torch.addmm(p[name + ".bias"], x, p[name + ".weight"])


def conditioned_linear(p, name, x, condition):
    shared = torch.addmm(p[name + ".bias"], condition, p[name + ".condition_weight"])
    return torch.addmm(shared, x, p[name + ".weight"])


def embed(p, observations):
    return silu(linear(p, "encoder.1", silu(linear(p, "encoder.0", observations))))


def coupling(p, block, passive, embedding, s_max):
    h = silu(conditioned_linear(p, f"block.{block:02}.first", passive, embedding))
    raw, shift = linear(p, f"block.{block:02}.last", silu(linear(p, f"block.{block:02}.second", h))).chunk(2, 1)
    return s_max * torch.tanh(raw / s_max), shift


def log_normal(z):
    return -0.5 * (z.square().sum(1) + z.shape[1] * LOG_2_PI)


def log_prob(p, routes, s_max, embedding, u):
    x = (u - p["act_norm.shift"]) * torch.exp(-p["act_norm.log_scale"])
    log_det = -p["act_norm.log_scale"].sum()
    for pair, route in enumerate(routes[:-1]):
        a, b = Permutation.apply(x, *route).chunk(2, 1)
        s, shift = coupling(p, 2 * pair, a, embedding, s_max)
        b, log_det = b * torch.exp(s) + shift, log_det + s.sum(1)
        s, shift = coupling(p, 2 * pair + 1, b, embedding, s_max)
        a, log_det = a * torch.exp(s) + shift, log_det + s.sum(1)
        x = torch.cat([a, b], 1)
    # The order of the dimensions does not matter to the norm.
    return log_normal(x) + log_det


def sample(p, routes, s_max, embedding, z):
    """Chunks `u`, and the logarithm of their density but for the base's."""
    columns, inverse = routes[-1]
    x, log_det = Permutation.apply(z, inverse, columns), -p["act_norm.log_scale"].sum()
    for pair, (columns, inverse) in reversed(list(enumerate(routes[:-1]))):
        a, b = x.chunk(2, 1)
        s, shift = coupling(p, 2 * pair + 1, b, embedding, s_max)
        a, log_det = (a - shift) * torch.exp(-s), log_det + s.sum(1)
        s, shift = coupling(p, 2 * pair, a, embedding, s_max)
        b, log_det = (b - shift) * torch.exp(-s), log_det + s.sum(1)
        x = Permutation.apply(torch.cat([a, b], 1), inverse, columns)
    return x * torch.exp(p["act_norm.log_scale"]) + p["act_norm.shift"], log_det


def logits(p, n_layers, observations, actions):
    x = conditioned_linear(p, "layer.0", actions, observations)
    for i in range(n_layers):
        x = silu(layer_norm(x, x.shape[1:], p[f"norm.{i}.weight"], p[f"norm.{i}.bias"]))
        x = linear(p, f"layer.{i + 1}" if i + 1 < n_layers else "last", x)
    return x


def q_min(critics, n_layers, centers, observations, actions):
    values = [torch.softmax(logits(p, n_layers, observations, actions), 1) @ centers for p in critics]
    lowest = values[0]
    for q in values[1:]:
        lowest = torch.minimum(lowest, q)
    return lowest


def frozen(p):
    return {name: x.detach() for name, x in p.items()}


class Losses:
    """What may be compiled: pure functions of tensors."""

    def __init__(self, settings, routes, centers, edges):
        self.c, self.routes, self.centers, self.edges = settings, routes, centers, edges

    def imitation(self, actor, observations, u):
        return -log_prob(actor, self.routes, self.c["s_max"], embed(actor, observations), u).mean()

    def labels(self, actor, targets, observations, z, rewards):
        u, _ = sample(actor, self.routes, self.c["s_max"], embed(actor, observations), z)
        q = q_min(targets, self.c["critic_layers"], self.centers, observations, torch.tanh(u))
        y = (rewards + self.c["continuation"] * q).clamp(self.c["v_min"], self.c["v_max"])
        sigma = 0.75 * (self.c["v_max"] - self.c["v_min"]) / self.c["bins"]
        cdf = torch.erf((self.edges - y[:, None]) / (math.sqrt(2) * sigma))
        return cdf.diff(dim=1) / (cdf[:, -1:] - cdf[:, :1])

    def critic(self, critic, observations, actions, labels):
        log_p = log_softmax(logits(critic, self.c["critic_layers"], observations, actions), 1)
        return -(labels * log_p).sum(1).mean()

    def actor(self, actor, reference, critics, observations, z):
        u, log_det = sample(actor, self.routes, self.c["s_max"], embed(actor, observations), z)
        q = q_min(critics, self.c["critic_layers"], self.centers, observations, torch.tanh(u))
        log_reference = log_prob(reference, self.routes, self.c["s_max"], embed(reference, observations), u)
        kl = log_normal(z) + log_det - log_reference
        return (self.c["beta"] * kl - q / (self.c["v_max"] - self.c["v_min"])).mean()

    def act(self, actor, critics, observation, z):
        u, _ = sample(actor, self.routes, self.c["s_max"], embed(actor, observation), z)
        actions = torch.tanh(u)
        q = q_min(critics, self.c["critic_layers"], self.centers, observation, actions)
        best = q.argmax()
        return q[best], actions[best]


class Learner:
    def __init__(self, export, compile_losses):
        c = self.c = export.settings
        tensors = lambda arrays: {name: torch.tensor(x) for name, x in arrays.items()}
        trainable = lambda arrays: {name: x.requires_grad_() for name, x in tensors(arrays).items()}
        self.batch = {name: x.squeeze(1) if name == "rewards" else x for name, x in tensors(export.batch).items()}
        self.actor, self.reference = trainable(export.actor), tensors(export.reference)
        self.average = [x.detach().clone() for x in self.actor.values()]
        self.critics = [trainable(critic) for critic in export.critics]
        self.target_critics = [tensors(critic) for critic in export.target_critics]

        routes = [(torch.from_numpy(r.astype("int64")), torch.from_numpy(r.argsort())) for r in export.routes()]
        edges = torch.linspace(c["v_min"], c["v_max"], c["bins"] + 1, dtype=torch.float64)
        losses = Losses(c, routes, ((edges[1:] + edges[:-1]) / 2).float(), edges.float())
        # Every size is compiled for itself, as it would be in a training.
        torch.compiler.reset()
        build = partial(torch.compile, dynamic=False) if compile_losses else lambda f: f
        self.imitation, self.labels, self.critic = build(losses.imitation), build(losses.labels), build(losses.critic)
        self.actor_loss, self.act = build(losses.actor), build(losses.act)

        adamw = lambda params: torch.optim.AdamW(params, lr=0.0, weight_decay=c["weight_decay"], fused=True)
        self.actor_optimizer = adamw(list(self.actor.values()))
        self.critic_optimizer = adamw([x for critic in self.critics for x in critic.values()])

    def imitation_step(self, learning_rate):
        return self._update_actor(self.imitation(self.actor, self.batch["observations"], self.batch["u"]), learning_rate)

    def actor_step(self, learning_rate):
        critics = [frozen(critic) for critic in self.critics]
        loss = self.actor_loss(self.actor, self.reference, critics, self.batch["observations"], self.batch["z"])
        return self._update_actor(loss, learning_rate)

    def critic_step(self, learning_rate):
        batch = self.batch
        with torch.no_grad():
            labels = self.labels(
                frozen(self.actor), self.target_critics, batch["next_observations"], batch["next_z"], batch["rewards"]
            )
        reports = []
        for critic in self.critics:
            loss = self.critic(critic, batch["observations"], batch["actions"], labels)
            loss.backward()
            reports.append((loss.detach(), self._clip(critic.values())))
        self._step(self.critic_optimizer, learning_rate)
        online = [x.detach() for critic in self.critics for x in critic.values()]
        torch._foreach_lerp_([x for target in self.target_critics for x in target.values()], online, self.c["average_rate"])
        return torch.tensor(reports).mean(0).tolist()

    def act_best_of_n(self, _):
        with torch.no_grad():
            critics = [frozen(critic) for critic in self.critics]
            q, chunk = self.act(frozen(self.actor), critics, self.batch["observation"], self.batch["candidate_z"])
            return q.item(), torch.linalg.vector_norm(chunk).item()

    def _update_actor(self, loss, learning_rate):
        loss.backward()
        norm = self._clip(self.actor.values())
        self._step(self.actor_optimizer, learning_rate)
        torch._foreach_lerp_(self.average, [x.detach() for x in self.actor.values()], self.c["average_rate"])
        return loss.item(), norm.item()

    def _clip(self, params):
        return torch.nn.utils.clip_grad_norm_(params, self.c["max_gradient_norm"], foreach=True)

    @staticmethod
    def _step(optimizer, learning_rate):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def product(n):
    a, b = torch.randn(n, n), torch.randn(n, n)
    return lambda: a @ b


if __name__ == "__main__":
    _, _, n_threads, mode = sys.argv
    torch.set_num_threads(int(n_threads))
    protocol.serve(torch.__version__, lambda export: Learner(export, mode == "compiled"), product)
