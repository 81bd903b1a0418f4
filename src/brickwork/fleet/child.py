"""What an executor process does before its target runs, however it was started.

Nothing outlives its parent, Ctrl-C is the coordinator's business, every other signal does what it does in a fresh
process, and a target is named, not passed: nothing is unpickled and no module of the user's is imported.

`python -m brickwork.fleet.child` is the start method `spawn`; it reads {target, config} from stdin.
"""

import ctypes
import importlib
import json
import os
import signal
import sys
import traceback
from typing import Any

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def settle(parent: int) -> None:
    """Tie this process's life to its parent's and put its signals in order.

    parent    pid of the process that started this one; if it is gone already, this one exits
    """
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        os._exit(1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        # Python needs EPIPE, not a silent death, where a peer is gone; and it sets these two so in a fresh process.
        is_ignored = number in (signal.SIGINT, signal.SIGPIPE, getattr(signal, "SIGXFSZ", None))
        signal.signal(number, signal.SIG_IGN if is_ignored else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def run(target: str, config: dict[str, Any]) -> int:
    """Import `package.module:function`, call it with `config`, and return the exit code; errors go to stderr."""
    try:
        module, _, function = target.partition(":")
        getattr(importlib.import_module(module), function)(config)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def main() -> None:
    order = json.loads(sys.stdin.buffer.read() or b"null")
    if order is None:  # the parent died before it could say what to do
        return
    settle(order["parent"])
    sys.exit(run(order["target"], order["config"]))


if __name__ == "__main__":
    main()
