#!/usr/bin/env python3
"""The controller's side of the arm link: receives setpoints, sends the arm's state.

    python3 arm_controller.py --listen 127.0.0.1:7411 --bridge 127.0.0.1:7410

Here the "arm" is a first-order lag; replace `move` by your 1 kHz impedance controller and keep the rest.
The layouts are those in the header of bridge/src/real/arm.rs.
"""
import argparse, random, socket, struct, time, zlib

HEADER = struct.Struct("<4sBBHIIQ")  # magic, version, kind, payload length, session, sequence, stamp in ns
SETPOINT = struct.Struct("<3d4dII")  # position, orientation x y z w, flags (1 engaged), 0
STATE = struct.Struct("<3d4d3d3dIIQ")  # position, orientation, force, torque, flags, newest setpoint: sequence, stamp
STALE_S, RATE_HZ = 0.1, 1000.0

def encode(kind, session, sequence, payload):
    frame = HEADER.pack(b"SFLW", 1, kind, len(payload), session, sequence, time.monotonic_ns()) + payload
    return frame + struct.pack("<I", zlib.crc32(frame))

def decode(frame, kind, layout):
    """(session, sequence, stamp) and fields of a datagram; none of one that is not what is expected."""
    if len(frame) != HEADER.size + layout.size + 4 or zlib.crc32(frame[:-4]) != struct.unpack("<I", frame[-4:])[0]:
        return None
    magic, version, found, _, *newest = HEADER.unpack_from(frame)
    return (newest, layout.unpack_from(frame, HEADER.size)) if (magic, version, found) == (b"SFLW", 1, kind) else None

def move(pose, target, dt_s):
    moved = [a + min(1.0, 20.0 * dt_s) * (b - a) for a, b in zip(pose, target)]
    length = sum(x * x for x in moved[3:]) ** 0.5
    return moved[:3] + [x / length for x in moved[3:]]

def main():
    parser = argparse.ArgumentParser(description=__doc__)
    address = lambda text: (text.rpartition(":")[0], int(text.rpartition(":")[2]))
    parser.add_argument("--listen", type=address, default=("127.0.0.1", 7411))
    parser.add_argument("--bridge", type=address, default=("127.0.0.1", 7410))
    parser.add_argument("--start", type=float, nargs=3, default=[0.4, 0.0, 0.3])
    arguments = parser.parse_args()
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    link.bind(arguments.listen)
    link.settimeout(1.0 / RATE_HZ)
    print(f"listening {link.getsockname()[1]}", flush=True)
    session, sequence, pose = random.getrandbits(32), 0, arguments.start + [0.0, 0.0, 0.0, 1.0]
    newest, target, heard_at, told_at = (None, 0, 0), None, 0.0, 0.0
    while True:
        try:
            found, fields = decode(link.recv(512), 1, SETPOINT) or (newest, None)
        except socket.timeout:
            fields = None
        if fields and (found[0] != newest[0] or 0 < (found[1] - newest[1]) % 2**32 < 2**31):
            newest, heard_at = found, time.monotonic()
            target = list(fields[:7]) if fields[7] & 1 else None  # not engaged: hold the present pose
        if (dt_s := time.monotonic() - told_at) >= 1.0 / RATE_HZ:
            told_at, sequence = told_at + dt_s, (sequence + 1) % 2**32
            pose = move(pose, target, min(dt_s, 0.01)) if target and told_at - heard_at < STALE_S else pose
            state = STATE.pack(*pose, *[0.0] * 6, 1, *newest[1:])
            link.sendto(encode(2, session, sequence, state), arguments.bridge)

if __name__ == "__main__":
    main()
