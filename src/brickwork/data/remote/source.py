"""The end that has the tensors: answers, and lets go of what was leased when its time is over."""

import logging
import secrets
import socket
import threading
from contextlib import suppress
from time import monotonic

import msgspec

from brickwork.core.errors import BrickworkError, StaleHandle
from brickwork.data.fabric.secret import Secret
from brickwork.data.remote.wire import Answer, Ask, prove, receive, send
from brickwork.data.tensors import TensorStore
from brickwork.data.views import Lease

log = logging.getLogger(__name__)

MAX_PEERS = 256
MAX_GRANTS = 4096  # of one peer
MAX_LEASE_S = 600.0
HELLO_TIMEOUT_S = 5.0
STALL_TIMEOUT_S = 30.0
"""A peer that takes no byte for so long while it is sent a tensor is given up, and the tensor with it."""


class TensorSource:
    """Serves the tensors that `store` maps to peers that know the secret: a thread a connection, until `close`.

    host, port    where it listens; port 0: a free one, see `port`
    raises        OSError when it cannot listen there
    """

    def __init__(self, store: TensorStore, secret: Secret, host: str = "127.0.0.1", port: int = 0):
        self._store = store
        self._secret = secret
        self._listener = socket.create_server((host, port))
        self.port: int = self._listener.getsockname()[1]
        self.bytes_pushed = 0
        self._peers: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True, name="tensor-source").start()

    def close(self) -> None:
        """End every connection; their grants end with them."""
        for each in (self._listener, *self._peers):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            if len(self._peers) >= MAX_PEERS:
                peer.close()
                continue
            self._peers.add(peer)
            threading.Thread(target=self._serve, args=(peer,), daemon=True, name="tensor-peer").start()

    def _serve(self, peer: socket.socket) -> None:
        grants: dict[int, tuple[Lease, float]] = {}
        try:
            with peer:
                peer.settimeout(HELLO_TIMEOUT_S)
                prove(peer, self._secret, b"source", b"receiver")
                while ask := self._next(peer, grants):
                    self._answer(peer, ask, grants)
        except (OSError, msgspec.MsgspecError, BrickworkError) as error:
            log.info("a peer of this host's tensors was cut off: %s", error)
        finally:
            self._peers.discard(peer)
            for lease, _ in grants.values():
                lease.release()

    def _next(self, peer: socket.socket, grants: dict[int, tuple[Lease, float]]) -> Ask | None:
        """The next question; meanwhile grants end when their time is over. None at the end of the connection."""
        while True:
            now_s = monotonic()
            for grant in [grant for grant, (_, until_s) in grants.items() if until_s <= now_s]:
                grants.pop(grant)[0].release()
            peer.settimeout(min((until_s - now_s for _, until_s in grants.values()), default=None))
            try:
                if not peer.recv(1, socket.MSG_PEEK):
                    return None
            except TimeoutError:
                continue
            peer.settimeout(STALL_TIMEOUT_S)
            return msgspec.msgpack.decode(receive(peer), type=Ask)

    def _answer(self, peer: socket.socket, ask: Ask, grants: dict[int, tuple[Lease, float]]) -> None:
        try:
            if ask.verb == "push" and ask.handle is not None:
                with self._store.get(ask.handle) as lease, lease.buffer as content:
                    send(peer, Answer(nbytes=content.nbytes))
                    peer.sendall(content)
                    self.bytes_pushed += content.nbytes
            elif ask.verb == "lease" and ask.handle is not None and len(grants) < MAX_GRANTS:
                grant = secrets.randbits(63)
                grants[grant] = self._store.get(ask.handle), monotonic() + min(ask.lease_s, MAX_LEASE_S)
                send(peer, Answer(grant=grant))
            elif ask.verb in ("check", "drop"):
                error = "" if ask.grant in grants else "its lease is over"
                if ask.verb == "drop" and not error:
                    grants.pop(ask.grant)[0].release()
                send(peer, Answer(error=error))
            else:
                send(peer, Answer(error=f"{ask.verb!r} is refused"))
        except StaleHandle as error:
            send(peer, Answer(error=str(error)))
