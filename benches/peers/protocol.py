"""What both Python peers share: the requests of `benches/src/bin/softflow_peer.rs`, and the exported weights and batch."""

import json
import pathlib
import sys
import time

from safetensors.numpy import load_file

# As in softflow_peer.rs.
N_CHECKED, CHECK_LEARNING_RATE, TIME_LEARNING_RATE = 3, 1e-4, 1e-7
WARM_UP, MIN_STEPS, GEMM = 0.25, 3, 1024


class Export:
    """One size: the settings, the parameters of the networks by name, and the batch, as numpy arrays."""

    def __init__(self, folder, size):
        folder = pathlib.Path(folder) / size
        self.settings = json.loads((folder / "settings.json").read_text())
        self.batch = load_file(folder / "batch.safetensors")
        self.reference, self.splits = self._flow(folder / "reference.safetensors")
        self.actor, _ = self._flow(folder / "actor.safetensors")
        self.critics = self._critics(folder / "critic.safetensors")
        self.target_critics = self._critics(folder / "target_critic.safetensors")

    def _flow(self, path):
        tensors = load_file(path)
        splits = [tensors.pop(f"pair.{pair:02}.split") for pair in range(self.settings["n_blocks"] // 2)]
        return tensors, splits

    def _critics(self, path):
        tensors = load_file(path)
        prefixes = [f"critic.{member:02}/" for member in range(self.settings["n_critics"])]
        return [
            {name.removeprefix(prefix): x for name, x in tensors.items() if name.startswith(prefix)} for prefix in prefixes
        ]

    def routes(self):
        """Permutations of the columns on the way through the flow: into the halves of the first pair, from those of each pair
        into those of the next one, and from those of the last pair into the order of the dimensions."""
        places = [split.argsort() for split in self.splits]
        between = [before[after] for before, after in zip(places, self.splits[1:])]
        return [self.splits[0], *between, places[-1]]


def serve(version, make_learner, product):
    """Answers requests until they end.

    `make_learner(export)` has a method of the name of every step, from a learning rate to (loss, norm);
    `product(n)` is a function that multiplies two n x n matrices.
    """
    say({"version": version})
    folder = sys.argv[1]
    kept = None, None
    for line in sys.stdin:
        match line.split():
            case ["check", step, size]:
                learner = make_learner(Export(folder, size))
                reports = [getattr(learner, step)(CHECK_LEARNING_RATE) for _ in range(N_CHECKED)]
                # What was compiled for a size stays with it.
                kept = size, learner
                say({"reports": [{"loss": float(loss), "norm": float(norm)} for loss, norm in reports]})
            case ["time", step, size, seconds]:
                if kept[0] != size:
                    kept = size, make_learner(Export(folder, size))
                take = getattr(kept[1], step)
                n_warm_up = len(repeat(float(seconds) * WARM_UP, lambda: take(TIME_LEARNING_RATE)))
                durations = sorted(repeat(float(seconds), lambda: take(TIME_LEARNING_RATE)))
                say({"ms": durations[len(durations) // 2], "n_steps": n_warm_up + len(durations)})
            case ["gemm", seconds]:
                say({"gflops": 2e-6 * GEMM**3 / min(repeat(float(seconds), product(GEMM)))})
            case _:
                sys.exit(f"request {line!r}, expected check, time or gemm with their arguments")


def repeat(seconds, step):
    """Makes steps for a while; returns how long each took, ms."""
    start, durations = time.perf_counter(), []
    while len(durations) < MIN_STEPS or time.perf_counter() - start < seconds:
        step_start = time.perf_counter()
        step()
        durations.append((time.perf_counter() - step_start) * 1e3)
    return durations


def say(answer):
    print(json.dumps(answer), flush=True)
