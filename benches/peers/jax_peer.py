"""The learner's steps in JAX, every step one jitted function; requests as in protocol.py. Argument: folder of the export.

Formulas and shapes are those of learn::flow, learn::critic and benches::learner, and so is what is computed once: the
condition's part of a first layer, and the embedding of the one observation that all candidates share. Weights are [in, out].
XLA starts as many threads as it is allowed processors.
"""

import math
import os
from functools import partial

os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import log_softmax, silu, softmax

import protocol

LOG_2_PI = math.log(2 * math.pi)
BETA1, BETA2, EPSILON, LAYER_NORM_EPSILON = 0.9, 0.999, 1e-8, 1e-5


def permutation(columns):
    """x -> x[:, columns]; the way back is the inverse permutation, where autodiff would scatter."""
    inverse = np.argsort(columns)

    @jax.custom_vjp
    def permute(x):
        return x[:, columns]

    permute.defvjp(lambda x: (permute(x), None), lambda _, grad: (grad[:, inverse],))
    return permute


def linear(p, name, x):
    return x @ p[name + ".weight"] + p[name + ".bias"]


def conditioned_linear(p, name, x, condition):
    return x @ p[name + ".weight"] + (condition @ p[name + ".condition_weight"] + p[name + ".bias"])


def embed(p, observations):
    return silu(linear(p, "encoder.1", silu(linear(p, "encoder.0", observations))))


def coupling(p, block, passive, embedding, s_max):
    h = silu(conditioned_linear(p, f"block.{block:02}.first", passive, embedding))
    out = linear(p, f"block.{block:02}.last", silu(linear(p, f"block.{block:02}.second", h)))
    raw, shift = jnp.split(out, 2, 1)
    return s_max * jnp.tanh(raw / s_max), shift


def log_normal(z):
    return -0.5 * (jnp.square(z).sum(1) + z.shape[1] * LOG_2_PI)


def layer_norm(x, weight, bias):
    x = x - x.mean(1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.square(x).mean(1, keepdims=True) + LAYER_NORM_EPSILON) * weight + bias


def logits(p, n_layers, observations, actions):
    x = conditioned_linear(p, "layer.0", actions, observations)
    for i in range(n_layers):
        x = silu(layer_norm(x, p[f"norm.{i}.weight"], p[f"norm.{i}.bias"]))
        x = linear(p, f"layer.{i + 1}" if i + 1 < n_layers else "last", x)
    return x


def adamw(c, params, optimizer, grads, learning_rate):
    """Clips by the global norm, makes a step of AdamW, and returns the norm too."""
    m, v, n_steps = optimizer
    norm = jnp.sqrt(sum(jnp.square(g).sum() for g in jax.tree.leaves(grads)))
    scale = jnp.minimum(1.0, c["max_gradient_norm"] / norm)
    n_steps = n_steps + 1
    correction1, correction2 = 1 / (1 - BETA1**n_steps), 1 / (1 - BETA2**n_steps)
    m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g * scale, m, grads)
    v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * jnp.square(g * scale), v, grads)
    decay = 1 - learning_rate * c["weight_decay"]
    update = lambda x, m, v: x * decay - learning_rate * m * correction1 / (jnp.sqrt(v * correction2) + EPSILON)
    return jax.tree.map(update, params, m, v), (m, v, n_steps), norm


def polyak(rate, target, source):
    return jax.tree.map(lambda target, source: target + rate * (source - target), target, source)


class Learner:
    def __init__(self, export):
        c = self.c = export.settings
        copy = partial(jax.tree.map, jnp.array)
        fresh = lambda params: (jax.tree.map(jnp.zeros_like, params), jax.tree.map(jnp.zeros_like, params), jnp.float32(0))
        routes = export.routes()
        self.into = [permutation(route) for route in routes]
        self.back = [permutation(np.argsort(route)) for route in routes]
        edges = np.linspace(c["v_min"], c["v_max"], c["bins"] + 1)
        self.edges, self.centers = edges.astype(np.float32), ((edges[1:] + edges[:-1]) / 2).astype(np.float32)
        self.batch = {name: jnp.squeeze(x, 1) if name == "rewards" else jnp.array(x) for name, x in export.batch.items()}
        self.reference = copy(export.reference)
        self.policy = copy(export.actor), copy(export.actor), fresh(export.actor)
        self.critics = copy(export.critics), copy(export.target_critics), [fresh(critic) for critic in export.critics]
        self.imitation, self.actor, self.critic, self.act = (
            jax.jit(partial(self._policy_step, self._imitation_loss), donate_argnums=0),
            jax.jit(partial(self._policy_step, self._actor_loss), donate_argnums=0),
            jax.jit(self._critic_step, donate_argnums=0),
            jax.jit(self._act),
        )

    def imitation_step(self, learning_rate):
        data = self.batch["observations"], self.batch["u"]
        self.policy, loss, norm = self.imitation(self.policy, data, learning_rate)
        return float(loss), float(norm)

    def actor_step(self, learning_rate):
        data = self.reference, self.critics[0], self.batch["observations"], self.batch["z"]
        self.policy, loss, norm = self.actor(self.policy, data, learning_rate)
        return float(loss), float(norm)

    def critic_step(self, learning_rate):
        self.critics, loss, norm = self.critic(self.critics, self.policy[0], self.batch, learning_rate)
        return float(loss), float(norm)

    def act_best_of_n(self, _):
        q, chunk = self.act(self.policy[0], self.critics[0], self.batch["observation"], self.batch["candidate_z"])
        return float(q), float(np.linalg.norm(np.asarray(chunk)))

    def _policy_step(self, loss_of, state, data, learning_rate):
        actor, average, optimizer = state
        loss, grads = jax.value_and_grad(loss_of)(actor, *data)
        actor, optimizer, norm = adamw(self.c, actor, optimizer, grads, learning_rate)
        return (actor, polyak(self.c["average_rate"], average, actor), optimizer), loss, norm

    def _critic_step(self, state, actor, batch, learning_rate):
        critics, targets, optimizers = state
        labels = self._labels(actor, targets, batch["next_observations"], batch["next_z"], batch["rewards"])

        def loss_of(critic):
            log_p = log_softmax(logits(critic, self.c["critic_layers"], batch["observations"], batch["actions"]), 1)
            return -(labels * log_p).sum(1).mean()

        losses, grads = zip(*(jax.value_and_grad(loss_of)(critic) for critic in critics))
        stepped = [adamw(self.c, *args, learning_rate) for args in zip(critics, optimizers, grads)]
        critics, optimizers, norms = (list(part) for part in zip(*stepped))
        targets = polyak(self.c["average_rate"], targets, critics)
        return (critics, targets, optimizers), jnp.stack(losses).mean(), jnp.stack(norms).mean()

    def _imitation_loss(self, actor, observations, u):
        return -self._log_prob(actor, embed(actor, observations), u).mean()

    def _actor_loss(self, actor, reference, critics, observations, z):
        u, log_det = self._sample(actor, embed(actor, observations), z)
        q = self._q_min(critics, observations, jnp.tanh(u))
        kl = log_normal(z) + log_det - self._log_prob(reference, embed(reference, observations), u)
        return (self.c["beta"] * kl - q / (self.c["v_max"] - self.c["v_min"])).mean()

    def _labels(self, actor, targets, observations, z, rewards):
        u, _ = self._sample(actor, embed(actor, observations), z)
        y = rewards + self.c["continuation"] * self._q_min(targets, observations, jnp.tanh(u))
        y = y.clip(self.c["v_min"], self.c["v_max"])
        sigma = 0.75 * (self.c["v_max"] - self.c["v_min"]) / self.c["bins"]
        cdf = jax.scipy.special.erf((self.edges - y[:, None]) / (math.sqrt(2) * sigma))
        return jnp.diff(cdf, axis=1) / (cdf[:, -1:] - cdf[:, :1])

    def _act(self, actor, critics, observation, z):
        u, _ = self._sample(actor, embed(actor, observation), z)
        actions = jnp.tanh(u)
        q = self._q_min(critics, observation, actions)
        best = q.argmax()
        return q[best], actions[best]

    def _q_min(self, critics, observations, actions):
        n_layers = self.c["critic_layers"]
        values = [softmax(logits(p, n_layers, observations, actions), 1) @ self.centers for p in critics]
        return jnp.stack(values).min(0)

    def _log_prob(self, p, embedding, u):
        x = (u - p["act_norm.shift"]) * jnp.exp(-p["act_norm.log_scale"])
        log_det = -p["act_norm.log_scale"].sum()
        for pair, permute in enumerate(self.into[:-1]):
            a, b = jnp.split(permute(x), 2, 1)
            s, shift = coupling(p, 2 * pair, a, embedding, self.c["s_max"])
            b, log_det = b * jnp.exp(s) + shift, log_det + s.sum(1)
            s, shift = coupling(p, 2 * pair + 1, b, embedding, self.c["s_max"])
            a, log_det = a * jnp.exp(s) + shift, log_det + s.sum(1)
            x = jnp.concatenate([a, b], 1)
        # The order of the dimensions does not matter to the norm.
        return log_normal(x) + log_det

    def _sample(self, p, embedding, z):
        """Chunks `u`, and the logarithm of their density but for the base's."""
        x, log_det = self.back[-1](z), -p["act_norm.log_scale"].sum()
        for pair, permute in reversed(list(enumerate(self.back[:-1]))):
            a, b = jnp.split(x, 2, 1)
            s, shift = coupling(p, 2 * pair + 1, b, embedding, self.c["s_max"])
            a, log_det = (a - shift) * jnp.exp(-s), log_det + s.sum(1)
            s, shift = coupling(p, 2 * pair, a, embedding, self.c["s_max"])
            b, log_det = (b - shift) * jnp.exp(-s), log_det + s.sum(1)
            x = permute(jnp.concatenate([a, b], 1))
        return x * jnp.exp(p["act_norm.log_scale"]) + p["act_norm.shift"], log_det


def product(n):
    a, b = jax.random.normal(jax.random.key(0), (2, n, n))
    multiply = jax.jit(jnp.matmul)
    return lambda: multiply(a, b).block_until_ready()


if __name__ == "__main__":
    protocol.serve(jax.__version__, Learner, product)
