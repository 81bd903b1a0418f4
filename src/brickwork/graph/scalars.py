"""Arithmetic on request inputs: the table of `scalar.*` operations, as pure functions with checked types.

A scalar travels by value and depends on request inputs only, so trip counts and shapes are known before anything
runs. A plan's scalars are evaluated once per request, by whoever needs them; executors receive the results.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from brickwork.core.request import Scalar
from brickwork.graph.ir import Node
from brickwork.graph.types import BOOL, FLOAT, INT, SIZE, TEXT, Type

INT_LIMIT = 2**63
"""Integers stay below this in magnitude, so that every wire format can carry them."""

CONST = "scalar.const"
"""The operation without inputs: its value is the attribute `value`."""


class ScalarError(ValueError):
    """The operation has no result for these values (a division by zero, a number out of range)."""

    def __init__(self, node: str, message: str) -> None:
        super().__init__(f"{node} {message}")
        self.node = node


@dataclass(frozen=True, slots=True)
class ScalarOp:
    """One operation: what it takes, what it gives, and how."""

    takes: tuple[tuple[Type, ...], ...]  # signatures
    gives: Callable[[tuple[Type, ...]], Type]
    run: Callable[..., Scalar]


def _first(takes: tuple[Type, ...]) -> Type:
    return takes[0]


def _always(type_: Type) -> Callable[[tuple[Type, ...]], Type]:
    return lambda takes: type_


_NUMBERS = ((INT, INT), (FLOAT, FLOAT))
_EQUAL = (*_NUMBERS, (BOOL, BOOL), (TEXT, TEXT), (SIZE, SIZE))

OPS: dict[str, ScalarOp] = {
    "scalar.add": ScalarOp(_NUMBERS, _first, operator.add),
    "scalar.sub": ScalarOp(_NUMBERS, _first, operator.sub),
    "scalar.mul": ScalarOp(_NUMBERS, _first, operator.mul),
    "scalar.div": ScalarOp(((FLOAT, FLOAT),), _first, operator.truediv),
    "scalar.floordiv": ScalarOp(((INT, INT),), _first, operator.floordiv),
    "scalar.min": ScalarOp(_NUMBERS, _first, min),
    "scalar.max": ScalarOp(_NUMBERS, _first, max),
    "scalar.gt": ScalarOp(_NUMBERS, _always(BOOL), operator.gt),
    "scalar.ge": ScalarOp(_NUMBERS, _always(BOOL), operator.ge),
    "scalar.eq": ScalarOp(_EQUAL, _always(BOOL), operator.eq),
    "scalar.float": ScalarOp(((INT,),), _always(FLOAT), float),
    "scalar.floor": ScalarOp(((FLOAT,),), _always(INT), math.floor),
    "scalar.int": ScalarOp(((BOOL,),), _always(INT), int),
    "scalar.height": ScalarOp(((SIZE,),), _always(INT), operator.itemgetter(0)),
    "scalar.width": ScalarOp(((SIZE,),), _always(INT), operator.itemgetter(1)),
    "scalar.line": ScalarOp(((TEXT, FLOAT, TEXT),), _first, lambda text, number, line: f"{text}{number!r} {line}\n"),
    "scalar.size": ScalarOp(((INT, INT),), _always(SIZE), lambda height, width: (height, width)),
}


def type_of(value: object) -> Type | None:
    """The type of a plain Python value, or None when no scalar type holds it. A bool is not an int."""
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, int):
        return INT if abs(value) < INT_LIMIT else None
    if isinstance(value, float):
        return FLOAT if math.isfinite(value) else None
    if isinstance(value, str):
        return TEXT
    if isinstance(value, tuple) and len(value) == 2 and all(type_of(side) == INT for side in value):
        return SIZE
    return None


def result_type(op: str, takes: tuple[Type, ...]) -> Type | None:
    """The type that `op` gives for arguments of these types, or None when it does not take them."""
    known = OPS.get(op)
    return known.gives(takes) if known and takes in known.takes else None


def evaluate(nodes: tuple[Node, ...], values: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """All scalars of a graph or plan: `values` and, by `node.value`, what `nodes` compute from them.

    nodes     scalar nodes only, each after those it uses
    raises    ScalarError naming the node, when it has no finite result of 63 bits
    """
    scalars = dict(values)
    for node in nodes:
        scalars[f"{node.name}.value"] = _run(node, [scalars[use.value] for use in node.inputs])
    return scalars


def _run(node: Node, arguments: list[Scalar]) -> Scalar:
    if node.op == CONST:
        return dict(node.attrs)["value"]
    try:
        result = OPS[node.op].run(*arguments)
    except (ArithmeticError, ValueError) as error:
        raise ScalarError(node.name, f"({node.op} of {_show(arguments)}): {error}") from error
    if type_of(result) is None:
        raise ScalarError(node.name, f"({node.op} of {_show(arguments)}) is out of range")
    return result


def _show(arguments: list[Scalar]) -> str:
    return ", ".join(repr(argument)[:40] for argument in arguments)
