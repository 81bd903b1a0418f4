"""A proxy that breaks connections: between a client and a server it stands for a bad network."""

import contextlib
import socket
import threading
from types import TracebackType


class Cutter:
    """Forwards each connection, and closes it too early.

    submissions     so many POSTs are forwarded, but their answers are thrown away
    answer_bytes    an event stream is cut after so many bytes
    """

    def __init__(self, target: str, submissions: int, answer_bytes: int):
        host, port = target.removeprefix("http://").split(":")
        self._target = (host, int(port))
        self._submissions = submissions
        self._answer_bytes = answer_bytes
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.cuts = 0

    def __enter__(self) -> "Cutter":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        """One request a connection: the server is asked to close it afterwards."""
        with client, socket.create_connection(self._target) as server, contextlib.suppress(OSError):
            request = self._request(client)
            server.sendall(request.replace(b"\r\n", b"\r\nconnection: close\r\n", 1))
            self._answer(request, client, server)

    def _request(self, client: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            data += client.recv(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        while len(body) < int(lengths[0] if lengths else 0):
            body += client.recv(65536)
        return head + b"\r\n\r\n" + body

    def _answer(self, request: bytes, client: socket.socket, server: socket.socket) -> None:
        is_lost = request.startswith(b"POST") and self._submissions > 0
        self._submissions -= is_lost
        left = self._answer_bytes if b"/events" in request.split(b"\r\n")[0] else 1 << 60
        while left > 0 and (data := server.recv(min(left, 4096))):
            left -= len(data)
            if not is_lost:
                client.sendall(data)
        self.cuts += is_lost or left <= 0
