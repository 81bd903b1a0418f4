"""The structured loop: counted, with an explicit carry, traced once whatever the number of trips."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from brickwork.graph.ir import Carry, Loop, Node
from brickwork.graph.types import INT
from brickwork.workflow.arguments import expect
from brickwork.workflow.lines import author_line, mistake
from brickwork.workflow.trace import Tracer, Value, current, describe


def counted_loop(
    name: str,
    start: Value | int,
    stop: Value | int,
    carry: Mapping[str, Value],
    body: Callable[..., Mapping[str, Value]],
) -> dict[str, Value]:
    """Trips from `start` up to, not including, `stop`; what a trip returns enters the next one.

    carry     what enters the first trip, by name
    body      called once, as body(i, **carry); returns the carry of the next trip, same names and types
    returns   the carry after the last trip
    """
    tracer = current(name)
    if tracer.body is not None:
        raise mistake(f"{name}: a loop inside a loop is not possible; end loop {tracer.scope} first")
    first, last = expect(f"{name}: start", start, INT), expect(f"{name}: stop", stop, INT)
    for key, value in carry.items():
        tracer.check_own(f"{name}: {key}", value)
    name = tracer.fresh(name)
    nodes, result = _trace_body(tracer, name, carry, body)
    carries = tuple(_carry(name, key, value, result) for key, value in carry.items())
    if extra := sorted(set(result) - set(carry)):
        raise mistake(f"{name}: the body returns {extra[0]}, which the loop does not carry")
    tracer.nodes.append(Loop(name, first.name, last.name, carries, nodes, author_line()))
    return {key: Value(tracer, f"{name}.{key}", value.type) for key, value in carry.items()}


def _trace_body(
    tracer: Tracer, name: str, carry: Mapping[str, Value], body: Callable[..., Mapping[str, Value]]
) -> tuple[tuple[Node, ...], dict[str, Any]]:
    tracer.body, tracer.scope = [], name
    try:
        entering = {key: Value(tracer, f"{name}.{key}", value.type, name) for key, value in carry.items()}
        result = body(Value(tracer, f"{name}.i", INT, name), **entering)
        if not isinstance(result, Mapping):
            raise mistake(f"{name}: the body must return a dict of what it carries ({', '.join(carry)})")
        return tuple(tracer.body), dict(result)
    finally:
        tracer.body, tracer.scope = None, ""


def _carry(name: str, key: str, init: Value, result: Mapping[str, Any]) -> Carry:
    end = result.get(key)
    if not isinstance(end, Value) or end.type != init.type:
        came = describe(end.type) if isinstance(end, Value) else repr(end)
        raise mistake(f"{name}: {key} enters a trip as {describe(init.type)}, but leaves it as {came}")
    return Carry(key, init.type, init.name, end.name)
