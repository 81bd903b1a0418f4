"""The far end of a fabric, for tests: a process that serves whatever memory it is handed.

    python fabric_host.py SOCKET-FD TRANSPORTS LISTEN-ADDRESS

First message: {"secret": hex}. Then {"serve": {kind, start, stop, lease_s}} with one file descriptor: bytes
[start, stop) of it become a region over tcp, or all of it over ucx; a lease makes it an inbox. {"remove": region_id}
takes a region back. Each is answered by one message.
"""

import contextlib
import json
import os
import socket
import sys
from typing import Any

from brickwork.data.fabric import tcp, ucx
from brickwork.data.fabric.secret import Secret
from brickwork.data.fabric.shm import Region
from brickwork.data.inbox import Inbox


class Host:
    def __init__(self, transports: str, address: str, secret: Secret):
        self.tcp = tcp.TcpTarget(secret, address)
        self._transports = transports
        self._regions: list[Region] = []  # a view does not keep its region mapped
        self._ucx: ucx.UcxTarget | None = None

    def serve(self, asked: dict[str, Any], fd: int) -> dict[str, Any]:
        region = Region(fd)
        os.close(fd)
        if asked["kind"] == "ucx":
            self._ucx = self._ucx or ucx.UcxTarget(self._transports)
            return {"descriptor": self._ucx.serve(region).hex()}
        append = Inbox(region).target(asked["lease_s"]) if asked["lease_s"] else None
        memory = region.view()[asked["start"] : asked["stop"]]
        region_id = self.tcp.serve(memory, append)
        self._regions.append(region)
        return {"port": self.tcp.port, "region_id": region_id}

    def answer(self, asked: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        if "serve" in asked:
            return self.serve(asked["serve"], fds[0])
        if "remove" in asked:
            self.tcp.remove(asked["remove"])
        return {"counts": self.tcp.native.counts()}


def main() -> None:
    link = socket.socket(fileno=int(sys.argv[1]))
    secret = Secret(bytes.fromhex(json.loads(link.recv(4096))["secret"]))
    host = Host(sys.argv[2], sys.argv[3], secret)
    while True:
        data, fds, _, _ = socket.recv_fds(link, 1 << 16, 1)
        if not data:
            return
        link.send(json.dumps(host.answer(json.loads(data), fds)).encode())


if __name__ == "__main__":
    with contextlib.suppress(ConnectionError):  # the test is over
        main()
