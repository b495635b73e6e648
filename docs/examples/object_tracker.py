#!/usr/bin/env python3
"""The sender's side of the tracker: object poses in the palm frame (on an arm: in the arm's base frame), time-stamped.

    python3 object_tracker.py --bridge 127.0.0.1:7401 --rate 60

Here the object circles slowly and turns; replace `look` by your camera and pose estimation and keep the rest.
The layout is that in the header of bridge/src/real/tracker.rs.
"""
import argparse
import math
import random
import socket
import struct
import time
import zlib

HEADER = struct.Struct("<4sBBHIIQ")  # magic, version, kind, payload length, session, sequence, stamp in ns
POSE = struct.Struct("<II3d4d3d3d")  # object, flags (1 velocities given), position, orientation x y z w, velocities


def encode(session, sequence, stamp_ns, payload):
    frame = HEADER.pack(b"SFLW", 1, 3, len(payload), session, sequence, stamp_ns) + payload
    return frame + struct.pack("<I", zlib.crc32(frame))


def look(time_s):
    """Position in m and orientation as a unit quaternion x y z w, both in the palm frame."""
    position = (0.01 * math.cos(time_s), 0.01 * math.sin(time_s), -0.03)
    half_heading = 0.5 * 0.5 * time_s  # 0.5 rad/s about the palm's z axis
    return position, (0.0, 0.0, math.sin(half_heading), math.cos(half_heading))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    address = lambda text: (text.rpartition(":")[0], int(text.rpartition(":")[2]))
    parser.add_argument("--bridge", type=address, default=("127.0.0.1", 7401))
    parser.add_argument("--rate", type=float, default=60.0, help="poses per second")
    parser.add_argument("--object", type=int, default=0, help="index in the body's spec")
    arguments = parser.parse_args()
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    session, start_ns = random.getrandbits(32), time.monotonic_ns()
    sequence = 0
    while True:
        taken_ns = time.monotonic_ns()  # when the picture was taken, not when its pose was known
        position, orientation = look((taken_ns - start_ns) * 1e-9)
        pose = POSE.pack(arguments.object, 0, *position, *orientation, *[0.0] * 6)
        sequence = (sequence + 1) % 2**32
        link.sendto(encode(session, sequence, taken_ns, pose), arguments.bridge)
        time.sleep(1.0 / arguments.rate)


if __name__ == "__main__":
    main()
