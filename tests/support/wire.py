"""A wire between two network namespaces, for kernels without netem: carries IP packets between two TUN devices named
`wire`, each after a delay, and loses some.

    python wire.py NAMESPACE NAMESPACE DELAY-S LOSS        (prints a line when the devices are there)

A packet's fate is drawn from a fixed seed. A device that is down loses what is written to it, as a cut cable would.
"""

import contextlib
import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import sys
from itertools import count
from time import monotonic

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
CLONE_NEWNET = 0x40000000


def open_tun(namespace: str) -> int:
    """A new TUN device `wire` in that namespace. A descriptor keeps its device, wherever its process goes."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/run/netns/{namespace}") as file:
        if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"wire", IFF_TUN | IFF_NO_PI))
    return device


def carry(devices: list[int], delay_s: float, loss: float) -> None:
    rng = random.Random(0)
    order = count()
    flying: list[tuple[float, int, int, bytes]] = []  # (arrives, order, device, packet)
    while True:
        wait_s = max(0.0, flying[0][0] - monotonic()) if flying else None
        ready, _, _ = select.select(devices, [], [], wait_s)
        for device in ready:
            with contextlib.suppress(OSError):  # the device is down
                for _ in range(64):
                    packet = os.read(device, 1 << 16)
                    if rng.random() >= loss:
                        other = devices[1 - devices.index(device)]
                        heapq.heappush(flying, (monotonic() + delay_s, next(order), other, packet))
        while flying and flying[0][0] <= monotonic():
            _, _, device, packet = heapq.heappop(flying)
            with contextlib.suppress(OSError):
                os.write(device, packet)


if __name__ == "__main__":
    ends = [open_tun(namespace) for namespace in sys.argv[1:3]]
    print("ready", flush=True)
    carry(ends, float(sys.argv[3]), float(sys.argv[4]))
