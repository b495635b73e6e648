#!/usr/bin/env python3
"""MuJoCo has the links of an exported hand where the hand has them; see README.md.

    benches/peers/test_export.py HAND.xml HAND.urdf [--golden FILE]

Checks that both files load, have the same joints with the same ranges, and the same tips in any posture. With --golden the
postures and MuJoCo's tips are compared with FILE, or FILE is written if there is none: sim/tests/export.rs compares the same
file with our own kinematics. Needs the packages of requirements-mujoco.txt.
"""

import argparse
import pathlib

import mujoco
import numpy as np

N_POSTURES, TOLERANCE_M = 20, 1e-8


def tips(model, q):
    """Centres of the spheres at the fingers' ends, in the order of the joints; the palm is the world."""
    data = mujoco.MjData(model)
    data.qpos[:] = q
    mujoco.mj_kinematics(model, data)
    ends = [body for body in range(1, model.nbody) if model.body_jntnum[body] and body not in set(model.body_parentid)]
    last = [int(model.body_geomadr[body] + model.body_geomnum[body]) - 1 for body in ends]
    assert all(model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_SPHERE for geom in last)
    return data.geom_xpos[last]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("mjcf", type=pathlib.Path)
    parser.add_argument("urdf", type=pathlib.Path)
    parser.add_argument("--golden", type=pathlib.Path)
    args = parser.parse_args()
    mjcf, urdf = (mujoco.MjModel.from_xml_path(str(path)) for path in [args.mjcf, args.urdf])
    names = [mjcf.joint(joint).name for joint in range(mjcf.njnt)]
    assert names == [urdf.joint(joint).name for joint in range(urdf.njnt)] == [mjcf.actuator(i).name for i in range(mjcf.nu)]
    assert np.allclose(mjcf.jnt_range, urdf.jnt_range, atol=1e-11)
    assert np.allclose(mjcf.body_subtreemass[0], urdf.body_subtreemass[0], rtol=1e-6)

    postures = np.random.default_rng(1).uniform(*mjcf.jnt_range.T, size=(N_POSTURES, mjcf.nq)).round(6)
    found = np.array([tips(mjcf, q) for q in postures])
    apart = np.abs(found - np.array([tips(urdf, q) for q in postures])).max()
    assert apart < TOLERANCE_M, f"MJCF and URDF are {apart} m apart"
    rows = np.concatenate([postures, found.reshape(N_POSTURES, -1)], axis=1)
    if args.golden and args.golden.exists():
        apart = np.abs(rows - np.loadtxt(args.golden, delimiter=",")).max()
        assert apart < TOLERANCE_M, f"{args.golden} is {apart} apart"
    elif args.golden:
        header = f"joint positions, rad, then x, y, z of every tip, m: MuJoCo {mujoco.__version__}, benches/peers/test_export.py"
        np.savetxt(args.golden, rows, fmt="%.12g", delimiter=",", header=header)
    print(f"{len(names)} joints, {N_POSTURES} postures, {found.shape[1]} tips: all agree")


if __name__ == "__main__":
    main()
