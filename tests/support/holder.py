"""A real process that holds tensors: run as a script with (arena descriptor, holder number).

It obeys one JSON line at a time and answers each with one:

    {"do": "put", "fill": 7, "nbytes": n}   -> the handle
    {"do": "get", "handle": {...}}          -> "leased"; kept until the process ends
    {"do": "digest"}                        -> digest of every leased tensor's bytes, as they are now
    {"do": "churn"}                         -> no answer: puts, gets, releases until killed; exits 1 if torn
"""

import hashlib
import json
import random
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from brickwork.core.errors import OutOfSpace
from brickwork.core.tensor import TensorHandle, TensorSpec
from brickwork.data.segments import Segments, open_store
from brickwork.data.tensors import TensorStore
from brickwork.data.views import Lease


def handle_from(fields: dict[str, Any]) -> TensorHandle:
    spec = TensorSpec(tuple(fields["spec"]["shape"]), fields["spec"]["dtype"])
    return TensorHandle(**{**fields, "spec": spec})


class Holder:
    """The parent's end: starts the process and talks to it."""

    def __init__(self, fd: int, number: int):
        self.number = number
        command = [sys.executable, str(Path(__file__)), str(fd), str(number)]
        self.process = subprocess.Popen(
            command, pass_fds=[fd], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdin and self.process.stdout
        self._stdin, self._stdout = self.process.stdin, self.process.stdout

    def send(self, **order: Any) -> None:
        self._stdin.write(json.dumps(order) + "\n")
        self._stdin.flush()

    def ask(self, **order: Any) -> Any:
        self.send(**order)
        return json.loads(self._stdout.readline())

    def put(self, fill: int, nbytes: int) -> TensorHandle:
        return handle_from(self.ask(do="put", fill=fill, nbytes=nbytes))

    def get(self, handle: TensorHandle) -> None:
        assert self.ask(do="get", handle=asdict(handle)) == "leased"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._stdin.close()
        self._stdout.close()


def churn(store: TensorStore, seed: int) -> NoReturn:
    """Fill blocks with a value of our own and find it again, forever."""
    draw = random.Random(seed)
    while True:
        size = draw.choice((100, 4096, 5000, 20000, 65536))
        spec = TensorSpec((size,), "uint8")
        fill = bytes([draw.randrange(256)]) * size
        try:
            handle = store.put(fill, spec)
        except OutOfSpace:
            continue
        with store.get(handle) as lease:
            if lease.buffer != fill:
                sys.exit(1)
        store.release(handle)


def main(fd: int, number: int) -> None:
    store = open_store(Segments(fd), number)
    leases: list[Lease] = []
    for line in sys.stdin:
        order = json.loads(line)
        answer: Any = "leased"
        if order["do"] == "churn":
            churn(store, number)
        elif order["do"] == "put":
            spec = TensorSpec((order["nbytes"],), "uint8")
            handle = store.put(bytes([order["fill"]]) * order["nbytes"], spec)
            store.hand_over(handle)
            answer = asdict(handle)
        elif order["do"] == "get":
            leases.append(store.get(handle_from(order["handle"])))
        else:
            answer = [hashlib.sha256(lease.buffer).hexdigest() for lease in leases]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
