"""Nodes, loop regions and the graph that holds them. All frozen; a pass builds a new graph.

A *value* is named by text: an input by its own name (`prompt`), a node's output by `node.port`, a loop's
result by `loop.carry`; inside a loop's body also `loop.i` (index of the trip) and `loop.carry` (the carry as it
enters the trip). Names are unique in the graph, bodies included, and nodes stand in an order in which every use comes
after its definition. Loops are counted and not nested: trips run from `start` up to, not including, `stop`; both
depend on request inputs only, so the graph is static. All rules are in `graph/verify.py`, executable.
"""

from dataclasses import dataclass

from brickwork.core.ids import ModelId
from brickwork.core.model import ModelSpec
from brickwork.core.request import Scalar
from brickwork.graph.types import Type


@dataclass(frozen=True, slots=True)
class Input:
    """A request input, with what makes a value of it valid. The CLI flags and the HTTP schema come from here."""

    name: str
    type: Type
    default: Scalar | None = None  # None: the caller must give it
    doc: str = ""
    minimum: int | float | None = None  # of a number; of a text: fewest words; of a size: shortest side in px
    maximum: int | float | None = None  # of a number; of a size: longest side in px
    multiple_of: int | None = None  # of a size: other sizes than `choices` are fine if both sides are multiples
    choices: tuple[Scalar, ...] = ()  # of a size: what the model can draw; "auto" is the first
    words: tuple[str, ...] = ()  # of a text: the model's whole vocabulary; () when it has no such limit
    max_words: int | None = None
    max_chars: int | None = None
    where: str = ""  # author's file:line


@dataclass(frozen=True, slots=True)
class Use:
    """One argument of a node: the port, the value given, and the type that the port expects."""

    port: str
    value: str
    type: Type


@dataclass(frozen=True, slots=True)
class Node:
    """One invocation of an operation, on a model or on none (arithmetic, noise, format changes)."""

    name: str
    op: str  # key of the implementation in `brickwork.models`, or "scalar.*" (see graph/scalars.py)
    model: ModelId | None
    inputs: tuple[Use, ...]
    outputs: tuple[tuple[str, Type], ...]  # (port, type)
    attrs: tuple[tuple[str, Scalar], ...] = ()  # constants known when the workflow is declared
    where: str = ""


@dataclass(frozen=True, slots=True)
class Carry:
    """A value that a loop hands from trip to trip."""

    name: str
    type: Type
    init: str  # value before the first trip
    result: str  # value of the body that becomes the carry of the next trip


@dataclass(frozen=True, slots=True)
class Loop:
    """A counted loop over `body` with explicit carries. Its outputs are its carries after the last trip."""

    name: str
    start: str  # int value
    stop: str  # int value
    carries: tuple[Carry, ...]
    body: tuple[Node, ...]
    where: str = ""


@dataclass(frozen=True, slots=True)
class Graph:
    """A whole workflow."""

    name: str
    doc: str
    inputs: tuple[Input, ...]
    nodes: tuple[Node | Loop, ...]
    outputs: tuple[tuple[str, str], ...]  # (result name, value)
    models: tuple[ModelSpec, ...]  # exactly the models that nodes name, sorted by id
