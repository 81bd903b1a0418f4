"""Tracing: a workflow function runs once, at declaration, on `Value`s that stand for what a request will bring.

    author's line                    what it leaves in the trace
    sd3.encode(prompt)               nodes text.clip, text.clip, text.t5, sd3.join
    steps * 2                        node  scalar.mul
    if guidance > 1: ...             WorkflowError at this line: nobody knows the guidance yet

Nodes of a loop's body are collected apart until the loop is closed; arithmetic inside a body is done outside of it,
once. Equal arithmetic gets one node, so that two sizes computed from one input are one shape. The tracer knows
graphs; it does not know models, files or families.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn

from brickwork.core.ids import ModelId
from brickwork.core.model import ModelSpec
from brickwork.core.request import Scalar
from brickwork.graph.ir import Input, Node, Use
from brickwork.graph.rewrite import Item
from brickwork.graph.scalars import CONST, result_type, type_of
from brickwork.graph.types import FLOAT, INT, Dim, Type
from brickwork.workflow.lines import author_line, mistake

_current: ContextVar[Tracer | None] = ContextVar("tracer", default=None)


class Value:
    """Stands for one value of the workflow that is being declared. Its content exists only when a request runs."""

    __slots__ = ("name", "scope", "tracer", "type")

    def __init__(self, tracer: Tracer, name: str, type_: Type, scope: str = "") -> None:
        self.tracer, self.name, self.type, self.scope = tracer, name, type_, scope

    def __repr__(self) -> str:
        return f"<{describe(self.type)} {self.name}>"

    @property
    def height(self) -> Value:
        return arithmetic("scalar.height", self)

    @property
    def width(self) -> Value:
        return arithmetic("scalar.width", self)

    def __add__(self, other: Any) -> Value:
        return arithmetic("scalar.add", self, other)

    def __radd__(self, other: Any) -> Value:
        return arithmetic("scalar.add", other, self)

    def __sub__(self, other: Any) -> Value:
        return arithmetic("scalar.sub", self, other)

    def __rsub__(self, other: Any) -> Value:
        return arithmetic("scalar.sub", other, self)

    def __mul__(self, other: Any) -> Value:
        return arithmetic("scalar.mul", self, other)

    def __rmul__(self, other: Any) -> Value:
        return arithmetic("scalar.mul", other, self)

    def __truediv__(self, other: Any) -> Value:
        return arithmetic("scalar.div", self, other)

    def __rtruediv__(self, other: Any) -> Value:
        return arithmetic("scalar.div", other, self)

    def __floordiv__(self, other: Any) -> Value:
        return arithmetic("scalar.floordiv", self, other)

    def __rfloordiv__(self, other: Any) -> Value:
        return arithmetic("scalar.floordiv", other, self)

    def __gt__(self, other: Any) -> Value:
        return arithmetic("scalar.gt", self, other)

    def __lt__(self, other: Any) -> Value:
        return arithmetic("scalar.gt", other, self)

    def __ge__(self, other: Any) -> Value:
        return arithmetic("scalar.ge", self, other)

    def __le__(self, other: Any) -> Value:
        return arithmetic("scalar.ge", other, self)

    def __eq__(self, other: Any) -> Value:  # type: ignore[override]
        return arithmetic("scalar.eq", self, other)

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> NoReturn:
        raise mistake(
            f"{self.name} is known only when a request runs, but `if`, `while`, `and`, `or`, `not`, `in`, `!=`, "
            "min() and max() decide now. Compute with it (steps * 2, guidance > 1), or declare one workflow per case."
        )

    def _unknown(self, *_: Any) -> NoReturn:
        raise mistake(
            f"{self.name} ({self.type.space}) is known only when a request runs; it can't be counted, indexed, "
            "looped over or turned into text or a number now. Loop over plain Python numbers, or use a workflow "
            "input as it is."
        )

    __iter__ = __len__ = __getitem__ = __contains__ = __index__ = __int__ = __float__ = _unknown
    __str__ = __format__ = _unknown


class Tracer:
    """The graph of one workflow while its function runs."""

    def __init__(self) -> None:
        self.inputs: dict[str, Input] = {}
        self.nodes: list[Item] = []
        self.models: dict[ModelId, ModelSpec] = {}
        self.consts: dict[str, Scalar] = {}  # plain values by the name of the value that stands for them
        self.body: list[Node] | None = None  # nodes of the open loop
        self.scope = ""  # name of the open loop
        self._names: set[str] = set()
        self._known: dict[tuple[object, ...], Value] = {}  # arithmetic done so far

    def fresh(self, name: str) -> str:
        """`name`, or `name_2`, `name_3` ... when it is taken; then it is taken."""
        free, number = name, 1
        while free in self._names:
            number += 1
            free = f"{name}_{number}"
        self._names.add(free)
        return free

    def add_input(self, input_: Input) -> Value:
        self.inputs[self.fresh(input_.name)] = input_
        return Value(self, input_.name, input_.type)

    def add_node(self, node: Node) -> dict[str, Value]:
        """Append a node to the open loop or to the graph; its outputs by port."""
        (self.nodes if self.body is None else self.body).append(node)
        return {port: Value(self, f"{node.name}.{port}", type_, self.scope) for port, type_ in node.outputs}

    def add_scalar(self, op: str, inputs: tuple[Use, ...], type_: Type, attrs: tuple[tuple[str, Scalar], ...]) -> Value:
        """Arithmetic stands outside of loops, and is done once."""
        key = (op, tuple(use.value for use in inputs), type_, attrs)
        if key not in self._known:
            name = self.fresh(op.removeprefix("scalar."))
            self.nodes.append(Node(name, op, None, inputs, (("value", type_),), attrs, author_line()))
            self._known[key] = Value(self, f"{name}.value", type_)
        return self._known[key]

    def check_own(self, label: str, value: Value) -> None:
        """Refuse a value that another workflow made, or that a closed loop kept to itself."""
        if value.tracer is not self:
            raise mistake(f"{label}: {value.name} belongs to another workflow; pass it in as an input")
        if value.scope not in ("", self.scope):
            raise mistake(f"{label}: {value.name} exists only inside loop {value.scope}; carry it out of the loop")


@contextmanager
def tracing(tracer: Tracer) -> Iterator[None]:
    """What is called inside leaves its nodes in `tracer`."""
    token = _current.set(tracer)
    try:
        yield
    finally:
        _current.reset(token)


def current(what: str) -> Tracer:
    """The tracer of the workflow being declared; `what` is named in the error when there is none."""
    tracer = _current.get()
    if tracer is None:
        raise mistake(f"{what} declares a node, so it must be called inside a function under @bw.workflow")
    return tracer


def emit(
    op: str,
    inputs: Mapping[str, Value],
    outputs: Mapping[str, Type],
    model: ModelSpec | None = None,
    attrs: Mapping[str, Scalar] | None = None,
    name: str = "",
) -> dict[str, Value]:
    """Add one node to the workflow being declared.

    name      of the node; by default the last word of `op`. A number is added when it is taken
    returns   the outputs by port
    """
    tracer = current(op)
    for port, value in inputs.items():
        tracer.check_own(f"{op}: {port}", value)
        check_sized(f"{op}: {port}", value)
    if model is not None:
        tracer.models.setdefault(model.id, model)
    uses = tuple(Use(port, value.name, value.type) for port, value in inputs.items())
    name = tracer.fresh(name or op.rpartition(".")[2])
    model_id = model.id if model is not None else None
    pairs = tuple((attrs or {}).items())
    return tracer.add_node(Node(name, op, model_id, uses, tuple(outputs.items()), pairs, author_line()))


def arithmetic(op: str, *operands: Any) -> Value:
    """A `scalar.*` operation on values and plain numbers; an int meets a float as a float."""
    tracer = current(op)
    values = [as_value(op, operand) for operand in operands]
    for value in values:
        if value.scope:
            raise mistake(f"{value.name} changes from trip to trip, and arithmetic is done once, before the loop")
    if FLOAT in (types := [value.type for value in values]) or op == "scalar.div":
        values = [to_float(value) if value.type == INT else value for value in values]
        types = [value.type for value in values]
    given = result_type(op, tuple(types))
    if given is None:
        taken = " and ".join(describe(value.type) for value in values)
        raise mistake(f"there is no {op.removeprefix('scalar.')} of {taken}; arithmetic is for numbers of a request")
    ports = ("a", "b", "c")[: len(values)]
    uses = tuple(Use(port, value.name, value.type) for port, value in zip(ports, values, strict=True))
    return tracer.add_scalar(op, uses, given, ())


def to_float(value: Value) -> Value:
    if value.name in value.tracer.consts:
        return constant(float(value.tracer.consts[value.name]))  # type: ignore[arg-type]
    return arithmetic("scalar.float", value)


def constant(plain: Scalar) -> Value:
    """The value that stands for a plain Python value; its type is one of the scalar types."""
    tracer, type_ = current(CONST), type_of(plain)
    assert type_ is not None
    value = tracer.add_scalar(CONST, (), type_, (("value", plain),))
    tracer.consts[value.name] = plain
    return value


def as_value(label: str, given: Any) -> Value:
    """`given` itself when it is a value of this workflow, or the constant for a plain Python value."""
    if isinstance(given, Value):
        current(label).check_own(label, given)
        return given
    if type_of(given) is None:
        raise mistake(f"{label}: expected a value of this workflow, or a plain one, got {show(given)}")
    return constant(given)


def is_unsized(value: Value) -> bool:
    """True of an image input whose size nobody has said yet."""
    return value.type.space == "image" and not value.type.shape


def check_sized(label: str, value: Value) -> None:
    if is_unsized(value):
        raise mistake(f"{label}: the size of image {value.name} is not said yet; give encode_image a size with it")


def describe(type_: Type) -> str:
    """A type in words: `latent of vae-1a2b [1, 4, height/8, width/8]`."""
    if not type_.is_tensor:
        return type_.space
    axes = ", ".join(_axis(axis) for axis in type_.shape)
    return f"{type_.space}{f' of {type_.of}' if type_.of else ''} [{axes}]"


def _axis(axis: int | Dim) -> str:
    if isinstance(axis, int):
        return str(axis)
    times = f"*{axis.times}" if axis.times != 1 else ""
    return str(axis.scalar).removesuffix(".value") + times + (f"/{axis.over}" if axis.over != 1 else "")


def show(given: Any) -> str:
    shown = repr(given)
    return f"{type(given).__name__} {shown if len(shown) <= 40 else shown[:37] + '...'}"
