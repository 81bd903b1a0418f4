"""Inboxes: many producers put records into one consumer's memory, and none of them can block the others by dying.

inbox.py    what everybody uses: make or open an inbox; Producer, Consumer
aio.py      the same two for asyncio
twin.py     the protocol in plain Python, one step at a time: for reading and for tests of interleavings
"""

from brickwork.data.inbox.inbox import (
    Consumer,
    Inbox,
    InboxError,
    InboxFenced,
    InboxFull,
    Message,
    Producer,
    Shape,
    join_remote,
)

__all__ = ["Consumer", "Inbox", "InboxError", "InboxFenced", "InboxFull", "Message", "Producer", "Shape", "join_remote"]
