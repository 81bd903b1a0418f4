"""The child of a self-test (probe.py): serves memory over one fabric, tells how to reach it, and does nothing more.

python -m brickwork.data.fabric.sleeper FABRIC TRANSPORTS FD        (the secret, in hex, comes by standard input)
"""

import ctypes
import json
import sys

from brickwork.data.fabric import tcp, ucx
from brickwork.data.fabric.secret import Secret
from brickwork.data.fabric.shm import Region

if __name__ == "__main__":
    fabric, transports, fd = sys.argv[1:]
    secret = Secret(bytes.fromhex(sys.stdin.readline()))
    region = Region(int(fd))
    memory: memoryview = region.view()
    told: dict[str, int | str] = {}
    if fabric == "tcp":
        tcp_target = tcp.TcpTarget(secret)
        told = {"port": tcp_target.port, "region_id": tcp_target.serve(region)}
    elif fabric == "ucx":
        ucx_target = ucx.UcxTarget(transports)
        descriptor, memory = ucx_target.allocate(len(region))
        told = {"descriptor": descriptor.hex()}
    told["address"] = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    print(json.dumps(told), flush=True)
    sys.stdin.read()
