"""Goal: frames survive any cut of the byte stream, and foreign bytes end a connection instead of being believed.

Method: every message kind, encoded, cut at drawn places and decoded; then broken frames.
"""

import itertools
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brickwork.compiler.plan import Program, ProgramId
from brickwork.core.batch import Checkpoint, TaskEnd, TaskRun
from brickwork.core.ids import BatchId, ExecutorId, ModelId, TaskId
from brickwork.core.model import ModelSpec
from brickwork.core.tensor import TensorHandle, TensorSpec
from brickwork.graph.ir import Carry, Loop, Node, Use
from brickwork.graph.types import INT, TEXT, Dim, Type
from brickwork.observe.spans import Span
from brickwork.wire import messages as m
from brickwork.wire.framing import MAX_FRAME_BYTES, FrameError, frame, notice_decoder, order_decoder

HANDLE = TensorHandle("host", 3, 4, 4096, TensorSpec((1, 16, 8, 8), "float32"), 7)
LATENT = Type("latent", "vae", "float32", (1, 16, Dim("p1", over=8), 8))
NODE = Node(
    "n0", "text.clip", ModelId("clip"), (Use("text", "p0", TEXT),), (("hidden", LATENT),), (("max_length", 12),)
)
LOOP = Loop("n1", "p1", "p1", (Carry("x", LATENT, "p0", "n0.hidden"),), (NODE,))
PROGRAM = Program(ProgramId("p"), (("p0", TEXT), ("p1", INT)), (NODE, LOOP), (("n1.x", LATENT),), (), (), ())
SPAN = Span("e1", 1, "op", "model", ("r-1/denoise",), -1, 0.5, 1.5)

ORDERS = [
    m.Define(m.WireProgram.of(PROGRAM)),
    m.Load(ModelSpec(ModelId("clip"), "clip_text", "dir", "float32", 10, "CLIP", (("tokenizer", "dir"),))),
    m.Unload(ModelId("clip")),
    m.Run(BatchId(1), PROGRAM.id, (TaskRun(TaskId("r-1/a"), 2, ("text", 1, 2.0, True, (64, 48), HANDLE)),)),
    m.Stop(BatchId(1), TaskId("r-1/a")),
    m.Join(BatchId(1), (TaskRun(TaskId("r-2/a"), 1, (HANDLE,), Checkpoint(3, (HANDLE,))),)),
    m.Yield(BatchId(1)),
]
NOTICES = [
    m.Hello(m.VERSION, ExecutorId("e1.1"), "secret", 12),
    m.Loaded(ModelId("clip"), 0.5),
    m.Unloaded(ModelId("clip")),
    m.LoadFailed(ModelId("clip"), "why"),
    m.Report(BatchId(1), (TaskEnd(TaskId("r-1/a"), 1, "done", (HANDLE,)),), True, 0.25, (SPAN,)),
    m.Progress(TaskId("r-1/a"), 1, 2),
    m.Waiting(BatchId(1), 4096),
    m.Heartbeat(),
]


def test_every_message_kind_is_tried() -> None:
    assert {type(order) for order in ORDERS} == set(m.Order.__args__)
    assert {type(notice) for notice in NOTICES} == set(m.Notice.__args__)


def test_a_program_comes_back_as_it_was() -> None:
    (order,) = order_decoder().feed(frame(ORDERS[0]))
    assert order.program.program() == PROGRAM


@pytest.mark.parametrize("messages, decoder", [(ORDERS, order_decoder), (NOTICES, notice_decoder)])
@given(cuts=st.lists(st.integers(0, 3000), max_size=8))
def test_messages_survive_any_cut(messages: list[msgspec.Struct], decoder: type, cuts: list[int]) -> None:
    data = b"".join(frame(message) for message in messages)
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    made, received = decoder(), []
    for start, stop in itertools.pairwise(edges):
        received += made.feed(data[start:stop])
    assert received == messages


@given(st.binary(min_size=1, max_size=64))
def test_foreign_bytes_raise_or_wait(data: bytes) -> None:
    """Anything may come: either a FrameError, or nothing yet; never another exception."""
    try:
        assert all(type(notice) in m.Notice.__args__ for notice in notice_decoder().feed(data))
    except FrameError:
        return


def test_an_oversized_frame_is_refused_before_it_is_read() -> None:
    with pytest.raises(FrameError, match="exceeds"):
        list(order_decoder().feed(struct.pack("<I", MAX_FRAME_BYTES + 1)))


def test_an_order_is_no_notice() -> None:
    with pytest.raises(FrameError):
        list(notice_decoder().feed(frame(ORDERS[4])))
