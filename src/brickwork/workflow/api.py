"""`@bw.workflow`, `bw.input`, and the types a workflow's parameters may have.

A workflow is a plain function that runs once, when it is declared. What it calls on its parameters becomes a graph.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn, get_type_hints

from brickwork.core.errors import InputError, WorkflowError
from brickwork.core.request import Scalar
from brickwork.graph.ir import Graph, Input
from brickwork.graph.types import BOOL, FLOAT, INT, SIZE, TEXT, Type
from brickwork.graph.verify import verify
from brickwork.workflow.inline import inline
from brickwork.workflow.inputs import check, narrow, parse_size
from brickwork.workflow.lines import mistake
from brickwork.workflow.trace import Tracer, Value, describe, tracing

if TYPE_CHECKING:
    from brickwork.compiler.plan import Plan


class Size:
    """Annotation of a size in pixels: "auto", (height, width), or "1024x768" (width x height)."""


class Image:
    """Annotation of an RGB image."""


class Video:
    """Annotation of what a workflow returns when it makes a clip."""


_TYPES: dict[Any, Type] = {
    str: TEXT, int: INT, float: FLOAT, bool: BOOL, Size: SIZE, Image: Type("image", dtype="uint8"),
}  # fmt: skip
_RESULTS = {hint: type_.space for hint, type_ in _TYPES.items()} | {Video: "video"}
RESERVED = ("workflow", "deadline_s", "deterministic", "on_progress")
"""Names that `Cluster.submit` has for itself, beside the inputs."""

_EXPECTED = "one of str, int, float, bool, bw.Size, bw.Image"


@dataclass(frozen=True)
class Declared:
    """A parameter's default with more to say about it; made by `bw.input`."""

    default: Any
    options: Mapping[str, Any]
    doc: str


def input(
    default: Any = None,
    *,
    doc: str = "",
    minimum: int | float | None = None,
    maximum: int | float | None = None,
    choices: tuple[Scalar, ...] = (),
    max_words: int | None = None,
    max_chars: int | None = None,
) -> Any:
    """The default of a workflow's parameter, with its bounds and its documentation.

    default         None: the caller must give a value
    minimum         of a number; of a text: fewest words (a text without a default needs one, unless you say 0)
    maximum         of a number
    choices         the only values allowed
    """
    options = dict(minimum=minimum, maximum=maximum, choices=tuple(choices), max_words=max_words, max_chars=max_chars)
    return Declared(default, options, doc)


class Workflow:
    """A declared workflow. Its graph never changes."""

    def __init__(self, graph: Graph, where: str) -> None:
        self.graph = graph
        self.where = where

    @property
    def name(self) -> str:
        return self.graph.name

    @property
    def inputs(self) -> tuple[Input, ...]:
        return self.graph.inputs

    @cached_property
    def plan(self) -> Plan:
        """The compiled workflow; compiled when first asked for."""
        from brickwork.compiler.compile import compile_graph

        return compile_graph(self.graph)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Inside another workflow: this one's graph becomes part of it. Returns what the function returned."""
        return inline(self.graph, args, kwargs)

    def __repr__(self) -> str:
        return f"<workflow {self.name}({', '.join(input_.name for input_ in self.inputs)})>"


def workflow(function: Callable[..., Any]) -> Workflow:
    """Declare a workflow: trace `function` once on symbolic values.

    Parameters are annotated with str, int, float, bool, bw.Size or bw.Image. The function returns one value or a
    dict of named values. The workflow is named after the function, with dashes.

    raises    WorkflowError at the author's line, with what was expected and what came
    """
    if not inspect.isfunction(function):
        raise mistake("@bw.workflow is written without parentheses, above a plain function")
    where = f"{function.__code__.co_filename}:{function.__code__.co_firstlineno}"
    hints = _hints(function, where)
    tracer = Tracer()
    with tracing(tracer):
        parameters = inspect.signature(function).parameters.values()
        arguments = {p.name: tracer.add_input(_declare(p, hints, where)) for p in parameters}
        result = function(**arguments)
        outputs = _outputs(tracer, result, hints.get("return"), where)
    inputs = tuple(tracer.inputs.values())
    _check_inputs(inputs)
    models = tuple(sorted(tracer.models.values(), key=lambda spec: spec.id))
    name = function.__name__.strip("_").replace("_", "-")
    graph = Graph(name, inspect.getdoc(function) or "", inputs, tuple(tracer.nodes), outputs, models)
    verify(graph)
    return Workflow(graph, where)


def _hints(function: Callable[..., Any], where: str) -> dict[str, Any]:
    try:
        return get_type_hints(function)
    except NameError as error:
        raise WorkflowError(f"an annotation is unknown here: {error}", where) from None


def _declare(parameter: inspect.Parameter, hints: Mapping[str, Any], where: str) -> Input:
    name = parameter.name
    if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
        raise WorkflowError(f"{name}: a workflow names each of its inputs; * and ** are not possible", where)
    if name in RESERVED:
        raise WorkflowError(f"{name}: this name is taken by an option of every request; choose another", where)
    if name not in hints:
        raise WorkflowError(f"{name}: expected an annotation, {_EXPECTED}", where)
    type_ = _TYPES.get(hints[name])
    if type_ is None:
        raise WorkflowError(f"{name}: expected {_EXPECTED} as annotation, got {hints[name]!r}", where)
    given = None if parameter.default is parameter.empty else parameter.default
    declared = given if isinstance(given, Declared) else Declared(given, {}, "")
    options = dict(declared.options)
    if type_ == SIZE:
        options["choices"] = tuple(parse_size(choice) or choice for choice in options.get("choices", ()))
    if type_ == TEXT and declared.default is None and options.get("minimum") is None:
        options["minimum"] = 1
    default = _default(name, declared.default, type_, where)
    return narrow(Input(name, type_, default, declared.doc, where=where), **options)


def _default(name: str, default: Any, type_: Type, where: str) -> Any:
    """A plain default in the form that the graph keeps: floats as floats, sizes as pairs."""
    if default is None or (type_ == SIZE and default == "auto"):
        return default
    if type_.is_tensor:
        raise WorkflowError(f"{name}: an image has no default", where)
    if type_ == SIZE:
        default = parse_size(default) or default
    try:
        return check(Input(name, type_), default)
    except InputError as error:
        raise WorkflowError(f"{name}: its default is wrong: {error.message}", where) from None


def _check_inputs(inputs: tuple[Input, ...]) -> None:
    """After tracing, when the models' limits have reached the inputs."""
    for input_ in inputs:
        if input_.type.is_tensor and not input_.type.shape:
            raise WorkflowError(f"{input_.name}: this image is used by nothing that knows its size", input_.where)
        if input_.default is None:
            continue
        try:
            check(input_, None)
        except InputError as error:
            raise WorkflowError(f"{input_.name}: its default is not allowed: {error.message}", input_.where) from None


def _outputs(tracer: Tracer, result: Any, hint: Any, where: str) -> tuple[tuple[str, str], ...]:
    if isinstance(result, Value):
        result = {result.type.space: result}
        if hint in _RESULTS and next(iter(result)) != _RESULTS[hint]:
            _fail_result(f"the workflow promises {_RESULTS[hint]}", result, where)
    if not isinstance(result, Mapping) or not result:
        raise WorkflowError(f"a workflow returns one value or a dict of named values, got {result!r}", where)
    for name, value in result.items():
        if not isinstance(name, str) or not name.isidentifier() or not isinstance(value, Value):
            raise WorkflowError(f"result {name!r} must be a name and a value of this workflow, got {value!r}", where)
        tracer.check_own(f"result {name}", value)
    return tuple((name, value.name) for name, value in result.items())


def _fail_result(promise: str, result: Mapping[str, Value], where: str) -> NoReturn:
    raise WorkflowError(f"{promise}, but returns {describe(next(iter(result.values())).type)}", where)
