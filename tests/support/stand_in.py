"""Targets that stand in for an executor's main: real processes that do as they are told over a socket."""

import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any


def obey(config: dict[str, Any]) -> None:
    """Answer JSON orders on the socket `config["socket"]` until told to exit, or until the socket closes."""
    with socket.socket(fileno=config["socket"]) as control:
        while order := control.recv(1 << 16):
            match json.loads(order):
                case ["exit", int(code)]:
                    sys.exit(code)
                case ["crash", str(text)]:
                    raise RuntimeError(text)
                case ["ignore", int(number)]:
                    signal.signal(number, signal.SIG_IGN)
                    control.send(b"null")
                case ["write", int(lines)]:
                    print("\n".join(f"line {i}" for i in range(lines)), file=sys.stderr)
                    control.send(b"null")
                case ["read", str(key)]:
                    control.send(json.dumps(os.pread(config[key], 100, 0).decode()).encode())
                case "state":
                    control.send(json.dumps(_state(config)).encode())


def fail(config: dict[str, Any]) -> None:
    """Die while starting."""
    raise RuntimeError("no device")


def _state(config: dict[str, Any]) -> dict[str, Any]:
    ignored = [n for n in signal.valid_signals() if signal.getsignal(n) is signal.SIG_IGN]
    return {
        "pid": os.getpid(),
        "config": config,
        "ignored": sorted(int(number) for number in ignored),
        "blocked": sorted(int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "threads": len(list(Path("/proc/self/task").iterdir())),
        "fds": sorted(int(fd) for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")),
        "has_preloaded": "support.preloaded" in sys.modules,
        "main": Path(sys.modules["__main__"].__file__ or "").name,
    }
