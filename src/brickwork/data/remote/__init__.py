"""Tensors of another host: asked for by the receiver, moved when the bytes are needed, never written by the sender.

One connection between two processes; the receiver asks, the source answers.

    lease    keep a tensor for so many seconds, without moving a byte       -> a grant
    push     the bytes, in the same trip; the receiver reads them into the block that it has reserved
    check    whether a grant still holds: asked after a copy by the fabric, and when the work that used it commits
    drop     give a grant back

A lease of another host cannot be proven dead with its process, so it is the one kind that ends by time: then its tensor
may be reused, and the receiver is told so at the next verb, however long it slept. Over sockets the bytes come by
`push`, one trip and no lease: the source holds the tensor while it sends, and because the receiver reads them in
itself, nothing can land late in a block that was given to another. Over a fabric with native gets (RDMA) the source's
processor is left out of it: lease, get, check.

wire.py     the messages, and how both ends show that they know the secret
source.py   the end that has the tensors
peer.py     the end that needs them
"""

from brickwork.data.remote.peer import Deferred, TensorPeer
from brickwork.data.remote.source import TensorSource

__all__ = ["Deferred", "TensorPeer", "TensorSource"]
