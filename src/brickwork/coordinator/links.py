"""The coordinator's end of the stage plane: a Unix socket that executors dial, one `ExecutorLink` each."""

import asyncio
import hmac
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from brickwork.compiler.plan import ProgramId
from brickwork.core.ids import ExecutorId
from brickwork.wire.framing import FrameError, frame, notice_decoder
from brickwork.wire.messages import VERSION, Hello, Notice, Order


@dataclass
class LinkEvents:
    """Whom a link tells. Each is called on the event loop."""

    joined: Callable[["ExecutorLink"], None]
    notice: Callable[["ExecutorLink", Notice], None]
    closed: Callable[["ExecutorLink"], None]


@dataclass(eq=False)
class ExecutorLink(asyncio.Protocol):
    """One connection. Unnamed until a valid Hello; anything else first, or a bad frame, closes it."""

    events: LinkEvents
    tokens: dict[ExecutorId, str]  # of the executors that the fleet has launched
    now_s: Callable[[], float]
    executor: ExecutorId | None = None
    pid: int = 0
    can_step: bool = False
    max_degree: int = 1
    last_heard_s: float = 0.0
    defined: set[ProgramId] = field(default_factory=set)  # programs this executor knows

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without inheriting it
        self._decoder = notice_decoder()

    def data_received(self, data: bytes) -> None:
        self.last_heard_s = self.now_s()
        try:
            for notice in self._decoder.feed(data):
                self._receive(notice)
        except FrameError:
            self.close()

    def connection_lost(self, _error: Exception | None) -> None:
        if self.executor is not None:
            self.events.closed(self)

    def send(self, order: Order) -> None:
        """Queue a frame; does not block. Dropped when the connection is closing."""
        self._transport.write(frame(order))

    def close(self) -> None:
        self._transport.abort()

    def _receive(self, notice: Notice) -> None:
        if self.executor is not None:
            self.events.notice(self, notice)
        elif isinstance(notice, Hello) and self._is_expected(notice):
            self.executor, self.pid = notice.executor, notice.pid
            self.can_step, self.max_degree = notice.can_step, notice.max_degree
            self.events.joined(self)
        else:
            self.close()

    def _is_expected(self, hello: Hello) -> bool:
        token = self.tokens.get(hello.executor, "")
        return hello.version == VERSION and token != "" and hmac.compare_digest(token, hello.token)


class Listener:
    """The socket that executors dial: abstract, so that it leaves no file behind however the process ends."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._socket.bind("")  # the kernel chooses a free abstract name
        self.address = self._socket.getsockname().decode()
        self._server: asyncio.Server | None = None

    async def start(self, make_link: Callable[[], ExecutorLink]) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(make_link, sock=self._socket)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self._socket.close()
