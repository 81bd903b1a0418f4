"""An executor without torch: reads a tensor in place, adds one to each byte, hands the result over.

Launched by a fleet with {"arena_fd", "link_fd", "holder"}. One JSON line an order on the link: the handle's fields.
Each is answered with those of the result.
"""

import json
import socket
from dataclasses import asdict
from typing import Any

from brickwork.data.segments import Segments, open_store
from support.holder import handle_from

ADD_ONE = bytes((value + 1) % 256 for value in range(256))


def main(config: dict[str, Any]) -> None:
    store = open_store(Segments(config["arena_fd"]), config["holder"])
    with socket.socket(fileno=config["link_fd"]) as link, link.makefile("rw") as lines:
        for line in lines:
            handle = handle_from(json.loads(line))
            with store.get(handle) as lease:
                result = store.put(bytes(lease.buffer).translate(ADD_ONE), handle.spec)
            store.hand_over(result)
            lines.write(json.dumps(asdict(result)) + "\n")
            lines.flush()
