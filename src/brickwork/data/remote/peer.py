"""The end that needs the tensors: copies them into its own memory, now or when the bytes are needed."""

import socket
from contextlib import suppress

import msgspec

from brickwork.core.errors import StaleHandle
from brickwork.core.tensor import TensorHandle
from brickwork.data.fabric.base import Endpoint, FabricError
from brickwork.data.fabric.secret import Secret
from brickwork.data.remote.wire import Answer, Ask, prove, receive, receive_into, send
from brickwork.data.tensors import TensorStore


class TensorPeer:
    """A connection to another host's TensorSource. For one thread at a time.

    timeout_s   a call fails when no byte comes for so long
    endpoint    a fabric's way to the source's arena, whose offsets are the handles'; None: bytes come by push
    raises      StaleHandle when the source does not answer or does not know the secret
    """

    def __init__(self, host: str, port: int, secret: Secret, timeout_s: float = 10.0, endpoint: Endpoint | None = None):
        self._endpoint = endpoint
        try:
            self._socket = socket.create_connection((host, port), timeout_s)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            prove(self._socket, secret, b"receiver", b"source")
        except OSError as error:
            raise StaleHandle(f"The tensors of {host}:{port} cannot be reached: {error}") from None

    def pull(self, handle: TensorHandle, store: TensorStore) -> TensorHandle:
        """Copy a tensor of the other host into `store`, in one trip. Returns its handle there, held by this process.

        raises    StaleHandle when its bytes are gone or the source is; OutOfSpace. Nothing stays reserved then
        """
        allocation = store.allocate(handle.spec)
        try:
            self._ask(Ask("push", handle), allocation.buffer)
        except BaseException:
            store.release(allocation.handle)
            raise
        return allocation.handle

    def defer(self, handle: TensorHandle, lease_s: float) -> "Deferred":
        """Keep a tensor of the other host for `lease_s` seconds without moving it. Raises StaleHandle."""
        return Deferred(self, handle, self._ask(Ask("lease", handle, lease_s=lease_s)).grant)

    def close(self) -> None:
        """Give all leases back."""
        self._socket.close()

    def copy(self, handle: TensorHandle, buffer: memoryview) -> None:
        """The bytes of a leased tensor into `buffer`, by the fabric if it gets without the source's help."""
        if self._endpoint is None or not self._endpoint.capability.native_get:
            self._ask(Ask("push", handle), buffer)
            return
        try:
            self._endpoint.get(handle.offset, buffer)
        except FabricError as error:
            raise StaleHandle(f"The bytes of {handle.spec} cannot be fetched: {error}") from None

    def _ask(self, ask: Ask, into: memoryview | None = None) -> Answer:
        """Ask, and read the bytes that follow the answer. Whatever fails in between ends the connection."""
        try:
            send(self._socket, ask)
            answer = msgspec.msgpack.decode(receive(self._socket), type=Answer)
            if into is not None and not answer.error:
                if answer.nbytes != into.nbytes:
                    raise ConnectionError(f"it sends {answer.nbytes} bytes instead of {into.nbytes}")
                receive_into(self._socket, into)
        except (OSError, msgspec.MsgspecError) as error:
            self._socket.close()
            raise StaleHandle(f"The source of remote tensors is lost: {error}") from None
        if answer.error:
            raise StaleHandle(f"The source of remote tensors refuses: {answer.error}")
        return answer


class Deferred:
    """A tensor of another host that is kept there by a lease with an end; its bytes come when they are needed."""

    def __init__(self, peer: TensorPeer, handle: TensorHandle, grant: int):
        self.handle = handle
        self._peer = peer
        self._grant = grant

    def fetch(self, store: TensorStore) -> TensorHandle:
        """Copy the bytes into `store` and make sure afterwards that they were the tensor's. Returns their handle.

        raises    StaleHandle when the lease was over before the copy was done; OutOfSpace
        """
        allocation = store.allocate(self.handle.spec)
        try:
            self._peer.copy(self.handle, allocation.buffer)
            self.check()
        except BaseException:
            store.release(allocation.handle)
            raise
        return allocation.handle

    def check(self) -> None:
        """Raise StaleHandle unless the lease still holds: before work that relied on it commits."""
        self._peer._ask(Ask("check", grant=self._grant))

    def drop(self) -> None:
        """Give the lease back, if it is not over."""
        with suppress(StaleHandle):
            self._peer._ask(Ask("drop", grant=self._grant))
