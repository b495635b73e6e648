#!/usr/bin/env python3
"""The exported hand with its cube in MuJoCo, beside our physics: speed, a grasp that is held, gaits replayed; see README.md.

    benches/peers/mujoco_peer.py [--quick] [--json]

Needs the packages of requirements-mujoco.txt, and cargo. The same targets go into both, open loop: what MuJoCo makes of a gait
that was found in our physics says how much of it is the hand's, and how much our physics' own; so does what ours makes of gaits that a
search in MuJoCo found, from these on. Exit codes: 0 well, 1 failure.
"""

import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import mujoco
import numpy as np


ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
EXAMPLE = "cube_for_mujoco"
GAITS = ["orca_v2_r5", "orca_v2_r5d", "orca_v2_r7b", "orca_v2_r7d"]
DEMONSTRATED = ["orca_v2_r5d", "orca_v2_r7d"]
SECONDS = 31
# What is timed: the cube at rest in the hand, and a gait that turns it in both. An empty hand costs less: only while both hold it
# are the two beside each other.
TIMED, TIMED_S = ["hold", "orca_v2_r5d"], 20
FLOOR_M = -0.30


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer plays and rounds: a minute")
    parser.add_argument("--json", action="store_true", help="everything that was measured, as JSON")
    args = parser.parse_args()
    n_plays, n_rounds, n_generations = (3, 3, 2) if args.quick else (10, 11, 12)
    ours = build(EXAMPLE)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        run([ours, "export", folder])
        result = {"version": mujoco.__version__, "transfer": {}, "processor": processor(), "load": os.getloadavg()}
        for name, seconds in [("hold", 10), *((gait, SECONDS) for gait in GAITS)]:
            expected = json.loads(run([ours, "replay", folder, name, str(seconds)]))
            targets = np.loadtxt(folder / f"{name}.csv", delimiter=",")
            model = scene(folder / "hand.xml", expected)
            result["transfer"][name] = {"softflow": report(expected), "mujoco": report(replay(model, expected, targets))}
            if name in DEMONSTRATED:
                # So long that a faster gait does not come to its end.
                run([ours, "replay", folder, name, str(2 * SECONDS)])
                longer = np.loadtxt(folder / f"{name}.csv", delimiter=",")
                found = search(model, expected, longer, n_generations)
                np.savetxt(folder / "found.csv", found, delimiter=",", fmt="%.9g")
                ours_of_found = json.loads(run([ours, "follow", folder, "found"]))
                sides = {"softflow": report(ours_of_found), "mujoco": report(replay(model, expected, found))}
                result["transfer"][f"{name.removeprefix('orca_v2_')} by MuJoCo"] = sides
        result["steps_per_s"] = {name: speeds(ours, folder, name, n_plays, n_rounds) for name in TIMED}
    print(json.dumps(result, indent=1)) if args.json else print_tables(result)


def scene(hand, start):
    """The exported hand above a floor, with a cube."""
    half, (x, y, z), yaw = 0.5 * start["edge_m"], start["center_m"], start["yaw_rad"]
    friction = f'friction="{start["friction"]} 0.005 0.0001"'
    # Contype 1: an object. Conaffinity: whatever the hand has for bits.
    objects = f"""
    <geom type="box" size="0.5 0.5 0.05" pos="0 0 {FLOOR_M - 0.05}" friction="0.8 0.005 0.0001" contype="1" conaffinity="1"/>
    <body name="cube" pos="{x} {y} {z}" quat="{math.cos(yaw / 2)} 0 0 {math.sin(yaw / 2)}" gravcomp="1">
      <freejoint/>
      <geom type="box" size="{half} {half} {half}" mass="{start["mass_kg"]}" {friction} contype="1" conaffinity="1"/>
      <inertial pos="0 0 0" mass="{start["mass_kg"]}" diaginertia="{' '.join([str(start["mass_kg"] * start["edge_m"] ** 2 / 6)] * 3)}"/>
    </body>
  </worldbody>"""
    return mujoco.MjModel.from_xml_string(hand.read_text().replace("</worldbody>", objects))


def begin(model, start):
    data = mujoco.MjData(model)
    model.body_gravcomp[model.body("cube").id] = 1.0
    data.qpos[: model.nu] = data.ctrl[:] = start["open_rad"]
    return data


def tick(model, data, start, targets, index):
    if index == start["weightless_ticks"]:
        model.body_gravcomp[model.body("cube").id] = 0.0
    data.ctrl[:] = targets[index]
    mujoco.mj_step(model, data, start["physics_hz"] // start["servo_hz"])


def replay(model, start, targets):
    """What the example counts, counted here."""
    data, cube = begin(model, start), model.body("cube").id
    turned, before, first, slip, tilts, dropped = 0.0, None, None, 0.0, [], None
    for index in range(len(targets)):
        tick(model, data, start, targets, index)
        position, matrix = data.xpos[cube].copy(), data.xmat[cube].reshape(3, 3)
        if dropped is None and position[2] - start["center_m"][2] < -start["dropped_m"]:
            dropped = (index + 1) / start["servo_hz"]
        if index < start["count_ticks"] or dropped is not None:
            continue
        heading = math.atan2(matrix[1, 0], matrix[0, 0])
        if before is not None:
            turned += (heading - before + math.pi) % math.tau - math.pi
        before, first = heading, position if first is None else first
        slip = float(np.linalg.norm(position - first))
        tilts.append(math.acos(min(1.0, max(-1.0, matrix[2, 2]))))
    return {
        "turned_rad": turned,
        "counted_s": len(tilts) / start["servo_hz"],
        "slip_m": slip,
        "tilt_rad": statistics.fmean(tilts) if tilts else 0.0,
        "dropped_s": dropped,
        "contacts": data.ncon,
    }


def search(model, start, targets, n_generations):
    """The best in MuJoCo of targets that are these but faster or slower, wider or narrower, and with other middles: cross entropy over
    one pace, and a width and a middle for every joint; what counts is how far the cube turns until it falls."""
    rng, n_joints = np.random.default_rng(1), targets.shape[1]
    steady, n_ticks = start["count_ticks"], SECONDS * start["servo_hz"]
    middle = targets[steady:].mean(axis=0)
    mean, spread = np.zeros(1 + 2 * n_joints), np.array([0.15] + [0.1] * n_joints + [0.03] * n_joints)
    spread_least = 0.1 * spread

    def changed(x):
        pace, width, shift = math.exp(x[0]), np.exp(x[1 : 1 + n_joints]), x[1 + n_joints :]
        # The hand closes as before; from there on the gait, at its own pace.
        at = np.arange(n_ticks, dtype=float)
        late = at > steady
        at[late] = steady + (at[late] - steady) * pace
        before, share = np.floor(at).astype(int), (at % 1.0)[:, None]
        rows = [targets[np.minimum(index, len(targets) - 1)] for index in (before, before + 1)]
        new = middle + (rows[0] * (1 - share) + rows[1] * share - middle) * width + shift
        fade = np.clip((np.arange(n_ticks) - steady / 2) / (steady / 2), 0.0, 1.0)[:, None]
        return targets[:n_ticks] * (1 - fade) + new * fade

    def worth(x):
        counted = replay(model, start, changed(x))
        return abs(counted["turned_rad"]) - (10.0 if counted["dropped_s"] is not None else 0.0)

    best, best_worth = mean, worth(mean)
    for _ in range(n_generations):
        tried = [(worth(x), x) for x in mean + spread * rng.standard_normal((24, len(mean)))]
        tried.sort(key=lambda it: -it[0])
        elite = np.array([x for _, x in tried[:6]])
        mean, spread = elite.mean(axis=0), np.maximum(elite.std(axis=0), spread_least)
        if tried[0][0] > best_worth:
            best_worth, best = tried[0]
    return changed(best)


def report(counted):
    rpm = counted["turned_rad"] / math.tau * 60 / counted["counted_s"] if counted["counted_s"] else 0.0
    names = ["turned_rad", "counted_s", "slip_m", "tilt_rad", "dropped_s", "contacts"]
    return {"rpm": rpm} | {name: counted[name] for name in names}


def speeds(ours, folder, name, n_plays, n_rounds):
    """Physics steps per second of processor time, of both in turn."""
    start = json.loads(run([ours, "replay", folder, name, str(TIMED_S)]))
    targets = np.loadtxt(folder / f"{name}.csv", delimiter=",")
    model = scene(folder / "hand.xml", start)
    if replay(model, start, targets)["dropped_s"] is not None:
        raise SystemExit(f"mujoco_peer: {name}: the cube fell in MuJoCo within {TIMED_S} s; an empty hand costs less")
    n_steps = n_plays * TIMED_S * start["physics_hz"]
    rounds = [(time_of_ours(ours, name, n_plays), time_of_mujoco(model, start, targets, n_plays)) for _ in range(n_rounds)]
    return {
        "softflow": n_steps / statistics.median(a for a, _ in rounds),
        "mujoco": n_steps / statistics.median(b for _, b in rounds),
        "ratios": [b / a for a, b in rounds],
    }


def time_of_ours(ours, name, n_plays):
    """Processor time, s, without what starting a process takes."""
    spent = [cpu_of([ours, "time", name, str(TIMED_S), str(n)]) for n in [0, n_plays]]
    return spent[1] - spent[0]


def time_of_mujoco(model, start, targets, n_plays):
    begun = time.process_time()
    for _ in range(n_plays):
        data = begin(model, start)
        for index in range(len(targets)):
            tick(model, data, start, targets, index)
    return time.process_time() - begun


def cpu_of(command):
    process = subprocess.Popen([str(word) for word in command])
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"mujoco_peer: {command}: status {status}")
    return usage.ru_utime + usage.ru_stime


def build(example):
    command = ["cargo", "build", "--release", "--locked", "--package", "sim", "--no-default-features", "--example", example]
    output = run([*command, "--message-format", "json-render-diagnostics"])
    executables = [json.loads(line).get("executable") for line in output.splitlines()]
    return next(path for path in executables if path)


def run(command):
    ended = subprocess.run([str(word) for word in command], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if ended.returncode != 0:
        raise SystemExit(f"mujoco_peer: {' '.join(map(str, command))}: exit code {ended.returncode}")
    return ended.stdout


def processor():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def print_tables(result):
    print("the same targets in both, open loop; turns clockwise are negative")
    print(f"{'':14}{'physics':10}{'rpm':>8}{'turned rad':>12}{'tilt deg':>10}{'slip mm':>9}{'dropped s':>11}{'contacts':>10}")
    for name, sides in result["transfer"].items():
        for side, it in sides.items():
            dropped = "-" if it["dropped_s"] is None else f"{it['dropped_s']:.1f}"
            slip = f"{1e3 * it['slip_m']:.2f}" if name == "hold" else "-"
            print(
                f"{name:14}{side:10}{it['rpm']:>8.2f}{it['turned_rad']:>12.2f}{math.degrees(it['tilt_rad']):>10.1f}"
                f"{slip:>9}{dropped:>11}{it['contacts']:>10}"
            )
    for name, speed in result["steps_per_s"].items():
        ratios = speed["ratios"]
        print(
            f"{name}: steps/s of one core: softflow {speed['softflow']:.0f}, mujoco {speed['mujoco']:.0f}, "
            f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        )
    print(f"mujoco {result['version']}; {result['processor']}; load of the last minute {result['load'][0]:.1f}")


if __name__ == "__main__":
    main()
