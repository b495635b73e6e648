"""Writes statistics_golden.json: aggregates over tasks and seeds with their intervals by rliable (Agarwal et al. 2021),
and Wilson's intervals by statsmodels.

    python -m venv venv && venv/bin/pip install -r requirements.txt && venv/bin/python statistics_golden.py

An end of a percentile interval is given as a range. rliable draws N_REFERENCE resamples here and the crate 10 000 others:
the number of the crate's resamples below the true quantile is binomial, so its end lies between the reference's
quantiles at q -+ z sqrt(q (1 - q) (1 / 10 000 + 1 / N_REFERENCE)); z = 4 is left once in 16 000 ends.
"""

import json
import pathlib

import numpy as np
from rliable import library, metrics
from statsmodels.stats.proportion import proportion_confint

N_REFERENCE, N_CRATE, Z = 20_000, 10_000, 4.0


def ends(bootstrap, statistic):
    """Ranges of the lower and the upper end of the 95 % percentile interval."""
    sampled = bootstrap.apply(statistic, N_REFERENCE)[:, 0]
    ranges = []
    for q in (0.025, 0.975):
        by = Z * np.sqrt(q * (1 - q) * (1 / N_CRATE + 1 / N_REFERENCE))
        ranges.append(np.quantile(sampled, [q - by, q + by]).tolist())
    return ranges


def main():
    # rliable draws from numpy's global generator, whatever random state it is given.
    np.random.seed(0)
    rng = np.random.default_rng(20240622)
    # Runs x tasks, as rliable has them. Tasks on very different levels: resampling that mixes them is seen at once.
    level, spread = np.array([0.1, 0.45, 2.0]), np.array([0.05, 0.2, 0.6])
    x = np.round(rng.normal(level, spread, (5, 3)), 2)
    # Another method, as many tasks, other seeds; rounded, so that some runs are equal to one of the first.
    y = np.round(rng.normal(level - [0.04, 0.1, 0.1], spread, (4, 3)), 2)
    y[1, 0], y[2, 2] = x[3, 0], x[0, 2]

    def aggregate(scores):
        return np.array([metrics.aggregate_iqm(scores)])

    def improvement(first, second):
        return np.array([metrics.probability_of_improvement(first, second)])

    def profile(threshold):
        def share(scores):
            return library.score_distributions(scores, np.array([threshold]))

        shares, _ = library.create_performance_profile({"x": x}, np.array([threshold]), reps=1)
        bootstrap = library.StratifiedBootstrap(x)
        return {"threshold": threshold, "share": shares["x"][0], "ends": ends(bootstrap, share)}

    out = {
        "x": x.T.tolist(),
        "y": y.T.tolist(),
        "iqm": metrics.aggregate_iqm(x),
        "iqm_interval": ends(library.StratifiedBootstrap(x), aggregate),
        "mean_interval": ends(library.StratifiedBootstrap(x), lambda s: np.array([s.mean()])),
        "improvement": metrics.probability_of_improvement(x, y),
        "improvement_interval": ends(library.StratifiedIndependentBootstrap(x, y), improvement),
        # Between the tasks' levels, on a score, and beyond all of them.
        "profile": [profile(threshold) for threshold in (0.0, 0.1, float(x[1, 1]), 0.5, 1.5, 2.2, 9.0)],
        # Sizes with every remainder of the quarter that is cut.
        "iqm_of_one_task": [
            {"scores": scores.tolist(), "iqm": metrics.aggregate_iqm(scores[:, None])}
            for scores in (rng.normal(0, 1, n) for n in (1, 2, 3, 4, 5, 6, 7, 8, 10))
        ],
        "wilson": [
            {"successes": k, "trials": n, "ends": list(proportion_confint(k, n, alpha=0.05, method="wilson"))}
            for k, n in [(0, 10), (7, 10), (10, 10), (1, 3), (70, 100), (280, 400), (1, 1000)]
        ],
    }
    file = pathlib.Path(__file__).with_suffix(".json")
    file.write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
