"""The maker's client against the emulated servos behind the terminal that is named on the command line."""
import sys

from dynamixel_sdk import COMM_SUCCESS, GroupSyncRead, GroupSyncWrite, PacketHandler, PortHandler

port = PortHandler(sys.argv[1])
assert port.openPort() and port.setBaudRate(1000000)
bus = PacketHandler(2.0)


def well(result, error=0):
    assert result == COMM_SUCCESS, bus.getTxRxResult(result)
    assert error == 0, bus.getRxPacketError(error)


def retried(attempt):
    """The client's deadlines are of a machine that does nothing else."""
    for _ in range(20):
        answer = attempt()
        if answer[-2] == COMM_SUCCESS:
            break
        port.clearPort()
    well(*answer[-2:])
    return answer[0]


assert retried(lambda: bus.ping(port, 4)) == 1220
assert retried(lambda: bus.read1ByteTxRx(port, 4, 7)) == 4
for identity in (4, 3, 2):
    retried(lambda: (None, *bus.write1ByteTxRx(port, identity, 11, 5)))
    retried(lambda: (None, *bus.write1ByteTxRx(port, identity, 64, 1)))
    assert retried(lambda: bus.read1ByteTxRx(port, identity, 64)) == 1

# EEPROM is locked now.
for _ in range(20):
    result, error = bus.write1ByteTxRx(port, 4, 11, 3)
    if result == COMM_SUCCESS:
        break
assert error == 7, error

retried(lambda: (None, *bus.write4ByteTxRx(port, 4, 116, 2100)))
assert retried(lambda: bus.read4ByteTxRx(port, 4, 116)) == 2100

write = GroupSyncWrite(port, bus, 116, 4)
for identity, goal in ((3, 2000), (2, 2200)):
    assert write.addParam(identity, list(goal.to_bytes(4, "little")))
well(write.txPacket())

for kind in ("txRxPacket", "fastSyncRead"):
    read = GroupSyncRead(port, bus, 116, 4)
    for identity in (4, 3, 2):
        assert read.addParam(identity)
    for _ in range(20):
        result = getattr(read, kind)()
        if result == COMM_SUCCESS:
            break
        port.clearPort()
    well(result)
    assert [read.getData(identity, 116, 4) for identity in (4, 3, 2)] == [2100, 2000, 2200], kind

port.closePort()
print("all well")
