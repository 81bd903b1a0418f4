"""Another host's tensors, in a process of its own: a keeper that pretends a host id, and a source for peers.

Run as a script with (host id, secret in hex). Prints {"port", "fd"}; then obeys one JSON line at a time:

    {"do": "put", "fill": 7, "nbytes": n}   -> the handle; held until released
    {"do": "release", "handle": {...}}      -> how many tensors are held then
    {"do": "report"}                        -> [tensors held, bytes pushed]
"""

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from time import sleep
from typing import Any

from brickwork.core.tensor import TensorHandle, TensorSpec
from brickwork.data.fabric.secret import Secret
from brickwork.data.keeper import Keeper
from brickwork.data.remote import TensorSource
from support.holder import handle_from

ARENA_BYTES = 64 << 20


class Source:
    """The parent's end."""

    def __init__(self, host: str, secret: Secret):
        command = [sys.executable, "-m", "support.tensor_source", host, secret.reveal.hex()]
        environment = {"PYTHONPATH": str(Path(__file__).parents[1])}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        assert self.process.stdin and self.process.stdout
        self._stdin, self._stdout = self.process.stdin, self.process.stdout
        self.port: int = json.loads(self._stdout.readline())

    def ask(self, **order: Any) -> Any:
        self._stdin.write(json.dumps(order) + "\n")
        self._stdin.flush()
        return json.loads(self._stdout.readline())

    def put(self, fill: int, nbytes: int) -> TensorHandle:
        return handle_from(self.ask(do="put", fill=fill, nbytes=nbytes))

    def release(self, handle: TensorHandle) -> int:
        return int(self.ask(do="release", handle=asdict(handle)))

    def stop(self) -> None:
        """SIGSTOP, and wait until it has stopped."""
        os.kill(self.process.pid, signal.SIGSTOP)
        while Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            sleep(0.001)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._stdin.close()
        self._stdout.close()


def main(host: str, secret: str) -> None:
    keeper = Keeper(ARENA_BYTES, host=host)
    source = TensorSource(keeper.store, Secret(bytes.fromhex(secret)))
    print(json.dumps(source.port), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "put":
            spec = TensorSpec((order["nbytes"],), "uint8")
            answer: Any = asdict(keeper.store.put(bytes([order["fill"]]) * order["nbytes"], spec))
        elif order["do"] == "release":
            keeper.store.release(handle_from(order["handle"]))
            answer = len(keeper.leaked())
        else:
            answer = [len(keeper.leaked()), source.bytes_pushed]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
