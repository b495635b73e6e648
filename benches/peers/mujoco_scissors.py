#!/usr/bin/env python3
"""The exported hand with scissors on finger and thumb in MuJoCo, beside our physics; see README.md.

    benches/peers/mujoco_scissors.py [--json]

Needs the packages of requirements-mujoco.txt, and cargo. Both physics begin with the scissors hanging in the hand as our demonstrator
took them, and get the same joint targets, open loop: spans of finger and thumb that come and go, and spans that were found in MuJoCo
with its opening in sight. The tool stands still: it yields in ours by the stiffness of the arm, in MuJoCo not at all. Exit codes:
0 well, 1 failure.
"""

import argparse
import json
import math
import pathlib
import statistics
import tempfile

import mujoco
import numpy as np

from mujoco_peer import build, run

EXAMPLE = "scissors_for_mujoco"
# Spans and period of the strokes, m and s: those of the demonstrator.
OPEN_M, CLOSED_M, PERIOD_S, CYCLES = 0.080, 0.032, 4.0, 6
# What is wanted of the opening in the other direction, rad.
WIDE_RAD, NARROW_RAD = 0.6, 0.1
# Further from where they began the scissors are lost, m.
LOST_M = 0.04


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", action="store_true", help="everything that was measured, as JSON")
    args = parser.parse_args()
    ours = build(EXAMPLE)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        run([ours, "export", folder])
        start = json.loads((folder / "start.json").read_text())
        spans = np.loadtxt(folder / "spans.csv", delimiter=",")
        model = scene(folder, start)
        result = {"version": mujoco.__version__}
        plays = {
            "held still": lambda: held(start),
            "strokes of the script": lambda: strokes(start, spans),
            "found in MuJoCo": lambda: found_in_mujoco(model, start, spans),
        }
        for index, (name, targets_of) in enumerate(plays.items()):
            targets = targets_of()
            np.savetxt(folder / f"{index}.csv", targets, delimiter=",", fmt="%.9g")
            run([ours, "play", folder, str(index)])
            sides = {"softflow": np.loadtxt(folder / f"{index}.ours.csv", delimiter=","), "mujoco": replay(model, start, targets)}
            result[name] = {side: report(start, rows) for side, rows in sides.items()}
            apart = sides["softflow"][:, 0] - sides["mujoco"][:, 0]
            result[name]["apart_rad"] = float(np.sqrt(np.mean(apart**2)))
    print(json.dumps(result, indent=1)) if args.json else print_table(result)


def scene(folder, start):
    """The hand, whose palm stands where the tool is, above a floor, and the scissors."""
    x, y, z, w = start["tool_turn"]
    place = f'pos="{numbers(start["tool_m"])}" quat="{w} {x} {y} {z}"'
    hand = (folder / "hand.xml").read_text().replace('<body name="palm">', f'<body name="palm" {place}>')
    scissors = (folder / "scissors.xml").read_text()
    bodies = scissors[scissors.index("<worldbody>") + len("<worldbody>") : scissors.index("</worldbody>")]
    floor = '<geom type="plane" size="1 1 0.1" contype="1" conaffinity="1"/>'
    return mujoco.MjModel.from_xml_string(hand.replace("</worldbody>", f"{floor}{bodies}</worldbody>"))


def numbers(values):
    return " ".join(str(value) for value in values)


def begin(model, start):
    data = mujoco.MjData(model)
    data.qpos[: model.nu] = start["q_rad"]
    x, y, z, w = start["scissors_turn"]
    data.joint("scissors").qpos[:] = [*start["scissors_m"], w, x, y, z]
    data.joint("pivot").qpos[:] = -start["opening_rad"]
    data.ctrl[:] = start["targets_rad"]
    mujoco.mj_forward(model, data)
    return data


def tick(model, data, start, targets):
    data.ctrl[:] = targets
    mujoco.mj_step(model, data, start["physics_hz"] // start["servo_hz"])
    turn = np.empty(9)
    mujoco.mju_quat2Mat(turn, np.array([start["tool_turn"][3], *start["tool_turn"][:3]]))
    pivot = turn.reshape(3, 3).T @ (data.body("finger_half").xpos - np.array(start["tool_m"]))
    return [-float(data.joint("pivot").qpos[0]), *pivot]


def replay(model, start, targets):
    data = begin(model, start)
    return np.array([tick(model, data, start, row) for row in targets])


def posture(start, spans, span_m):
    low, high = start["spans_m"]
    place = (min(max(span_m, low), high) - low) / (high - low) * (len(spans) - 1)
    before = min(int(place), len(spans) - 2)
    return spans[before] + (spans[before + 1] - spans[before]) * (place - before)


def held(start):
    return np.tile(start["targets_rad"], (10 * start["servo_hz"], 1))


def wave(time_s):
    """From 1 to 0 and back, beginning in the middle, where the scissors are held."""
    return 0.5 + 0.5 * math.sin(math.tau * time_s / PERIOD_S)


def strokes(start, spans):
    rate = start["servo_hz"]
    rows = [posture(start, spans, CLOSED_M + (OPEN_M - CLOSED_M) * wave(i / rate)) for i in range(int(CYCLES * PERIOD_S * rate))]
    return eased(start, np.array(rows))


def eased(start, rows):
    """In from the targets of the start, over a second."""
    n = start["servo_hz"]
    share = np.minimum(np.arange(len(rows)) / n, 1.0)[:, None]
    return np.array(start["targets_rad"]) * (1.0 - share) + rows * share


def found_in_mujoco(model, start, spans):
    """Spans that follow a wanted opening by integral control in MuJoCo."""
    data, rate, span_m, rows = begin(model, start), start["servo_hz"], 0.5 * (OPEN_M + CLOSED_M), []
    opening = start["opening_rad"]
    for index in range(int(CYCLES * PERIOD_S * rate)):
        wanted = NARROW_RAD + (WIDE_RAD - NARROW_RAD) * wave(index / rate)
        step_m = 0.25 * (wanted - opening) / rate
        span_m = min(max(span_m + min(max(step_m, -0.06 / rate), 0.06 / rate), start["spans_m"][0]), start["spans_m"][1])
        share = min(index / rate, 1.0)
        row = np.array(start["targets_rad"]) * (1.0 - share) + posture(start, spans, span_m) * share
        rows.append(row)
        opening = tick(model, data, start, row)[0]
    return np.array(rows)


def report(start, rows):
    """Openings at the turns of the strokes after the first, how far the pivot wandered, and when the scissors were lost."""
    rate = start["servo_hz"]
    away = np.linalg.norm(rows[:, 1:] - rows[0, 1:], axis=1)
    lost = np.flatnonzero(away > LOST_M)
    kept = rows[: lost[0]] if len(lost) else rows
    period = int(PERIOD_S * rate)
    cycles = [kept[i : i + period, 0] for i in range(period, len(kept) - period + 1, period)]
    return {
        "widest_rad": statistics.fmean(float(cycle.max()) for cycle in cycles) if cycles else None,
        "narrowest_rad": statistics.fmean(float(cycle.min()) for cycle in cycles) if cycles else None,
        "slip_m": float(np.linalg.norm(kept[-1, 1:] - kept[min(rate, len(kept) - 1), 1:])),
        "lost_s": float(lost[0] / rate) if len(lost) else None,
    }


def print_table(result):
    print("the same targets in both, open loop; openings are means over the strokes after the first")
    print(f"{'':24}{'physics':10}{'widest deg':>11}{'narrowest':>11}{'slip mm':>9}{'lost s':>8}{'apart deg':>11}")
    degrees = lambda value: "-" if value is None else f"{math.degrees(value):.1f}"
    for name, sides in result.items():
        if name == "version":
            continue
        for side in ["softflow", "mujoco"]:
            it = sides[side]
            lost = "-" if it["lost_s"] is None else f"{it['lost_s']:.1f}"
            apart = degrees(sides["apart_rad"]) if side == "mujoco" else ""
            print(
                f"{name:24}{side:10}{degrees(it['widest_rad']):>11}{degrees(it['narrowest_rad']):>11}"
                f"{1e3 * it['slip_m']:>9.2f}{lost:>8}{apart:>11}"
            )
    print(f"mujoco {result['version']}")


if __name__ == "__main__":
    main()
