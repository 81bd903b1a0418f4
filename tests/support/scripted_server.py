"""A small real HTTP server on loopback that answers as a script tells it: the peer of load tools and clients."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from types import TracebackType
from typing import Any


@dataclass(frozen=True)
class Received:
    """One request, as the server got it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any  # of JSON; None: there was none
    at_s: float


@dataclass(frozen=True)
class Reply:
    """What is sent back. A `body` that is text is sent as it is, anything else as JSON."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


Script = Callable[[Received], Awaitable[Reply | None]]
"""Says what a request is answered with; None: nothing, the connection is closed."""


class ScriptedServer:
    """Serves until the end of its `async with`."""

    def __init__(self, script: Script):
        self.received: list[Received] = []
        self.connections = 0  # that were ever opened
        self.open_connections = 0
        self._script = script

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> "ScriptedServer":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1000)
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_connections += 1
        try:
            while (received := await _read(reader)) is not None:
                self.received.append(received)
                reply = await self._script(received)
                if reply is None:
                    break
                writer.write(_written(reply))
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            self.open_connections -= 1
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Received | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.strip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    data = await reader.readexactly(int(headers.get("content-length", 0)))
    return Received(method, path, headers, json.loads(data) if data else None, monotonic())


def _written(reply: Reply) -> bytes:
    data = reply.body.encode() if isinstance(reply.body, str) else json.dumps(reply.body).encode()
    headers = {"content-length": str(len(data)), **reply.headers}
    lines = [f"HTTP/1.1 {reply.status} Scripted", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data
