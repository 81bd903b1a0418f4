"""Reads the text form of a graph (`text.py` shows it). Errors give line and column."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any, NoReturn

from brickwork.core.errors import WorkflowError
from brickwork.core.ids import ModelId
from brickwork.core.model import ModelSpec
from brickwork.graph.ir import Carry, Graph, Input, Loop, Node, Use
from brickwork.graph.rewrite import Item, body_values, outputs_of
from brickwork.graph.types import Dim, Type


def parse(text: str) -> Graph:
    """Read a graph. It is not verified.

    raises    WorkflowError whose `where` is "line 3, column 7"
    """
    return _Parser(text).graph()


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # "value" | "number" | "string" | "word" | "sign" | "end"
    text: str
    at: int


_TOKEN = re.compile(
    r"""(?P<value>%[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)?)
      | (?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
      | (?P<string>"(?:[^"\\\n]|\\.)*")
      | (?P<word>[A-Za-z_][A-Za-z0-9_.+-]*)
      | (?P<sign>[=<>(){}\[\],:@*/])""",
    re.VERBOSE | re.ASCII,
)
_SPACE = re.compile(r"\s*")


class _Parser:
    """Recursive descent over the tokens of one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._split()
        self._at = 0
        self._types: dict[str, Type] = {}  # of the values defined so far

    def _split(self) -> list[_Token]:
        tokens, at = [], 0
        while (at := _SPACE.match(self._text, at).end()) < len(self._text):  # type: ignore[union-attr]
            match = _TOKEN.match(self._text, at)
            if match is None or match.lastgroup is None:
                self._fail(at, f"{self._text[at]!r} begins nothing that is known here")
            tokens.append(_Token(match.lastgroup, match.group(), at))
            at = match.end()
        return [*tokens, _Token("end", "the end of the text", len(self._text))]

    def _fail(self, at: int, message: str) -> NoReturn:
        line = self._text.count("\n", 0, at) + 1
        column = at - (self._text.rfind("\n", 0, at) + 1) + 1
        raise WorkflowError(message, f"line {line}, column {column}")

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _accept(self, text: str) -> bool:
        found = self._next.text == text and self._next.kind in ("word", "sign")
        self._at += found
        return found

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            self._fail(self._next.at, f"expected {text!r}, found {self._next.text}")

    def _take(self, kind: str) -> str:
        if self._next.kind != kind:
            self._fail(self._next.at, f"expected a {kind}, found {self._next.text}")
        self._at += 1
        return self._tokens[self._at - 1].text

    def _list(self, read: Callable[[], Any], end: str | None = None) -> tuple[Any, ...]:
        """Comma-separated things, at least one unless `end` follows at once; `end` is taken."""
        if end is not None and self._accept(end):
            return ()
        things = [read()]
        while self._accept(","):
            things.append(read())
        if end is not None:
            self._expect(end)
        return tuple(things)

    def graph(self) -> Graph:
        self._expect("workflow")
        name = self._take("word")
        doc = self._string() if self._accept("doc") else ""
        models = tuple(self._many("model", self._model))
        inputs = tuple(self._many("input", self._input))
        nodes: list[Item] = []
        while not self._accept("return"):
            nodes.append(self._item())
        outputs = self._list(self._named_value)
        if self._next.kind != "end":
            self._fail(self._next.at, f"expected the end of the text, found {self._next.text}")
        return Graph(name, doc, inputs, tuple(nodes), outputs, models)

    def _many(self, keyword: str, read: Callable[[], Any]) -> Iterable[Any]:
        while self._accept(keyword):
            yield read()

    def _model(self) -> ModelSpec:
        name, options = ModelId(self._take("word")), self._known(ModelSpec, self._options())
        if missing := {"kind", "path", "dtype", "weight_bytes", "profile"} - set(options):
            self._fail(self._tokens[self._at - 1].at, f"the model's {min(missing)} is missing")
        return ModelSpec(id=name, **options)

    def _input(self) -> Input:
        name = self._take("value")[1:]
        self._expect(":")
        self._types[name] = type_ = self._type()
        return Input(name=name, type=type_, **self._known(Input, self._options()), where=self._where())

    def _known(self, kind: type, options: dict[str, Any]) -> dict[str, Any]:
        """`options`, all of them fields of the dataclass `kind`."""
        for key in options:
            if key not in {field.name for field in fields(kind)} - {"id", "name", "type", "where"}:
                self._fail(self._tokens[self._at - 1].at, f"there is no option {key!r} here")
        return options

    def _item(self) -> Item:
        name = self._take("value")[1:]
        self._expect("=")
        item: Item = self._loop(name) if self._accept("loop") else self._node(name)
        self._types.update(outputs_of(item))
        return item

    def _node(self, name: str) -> Node:
        op = self._take("word")
        model = None
        if self._accept("<"):
            model = ModelId(self._take("word"))
            self._expect(">")
        self._expect("(")
        inputs = self._list(self._use, ")")
        attrs = tuple(self._options().items())
        self._expect(":")
        return Node(name, op, model, inputs, self._list(self._output), attrs, self._where())

    def _loop(self, name: str) -> Loop:
        start = self._used()[0]
        self._expect("to")
        stop = self._used()[0]
        self._expect("carry")
        self._expect("(")
        carries = self._list(self._carry, ")")
        where = self._where()
        self._expect("do")
        head = Loop(name, start, stop, carries, (), where)
        outside = dict(self._types)
        self._types.update(body_values(head))
        body: list[Any] = []
        while not self._accept("end"):
            body.append(self._item())
        self._types = outside
        return Loop(name, start, stop, carries, tuple(body), where)

    def _carry(self) -> Carry:
        name = self._take("word")
        self._expect(":")
        type_ = self._type()
        self._expect("=")
        init = self._used()[0]
        self._expect("then")
        return Carry(name, type_, init, self._take("value")[1:])

    def _use(self) -> Use:
        port = self._take("word")
        self._expect("=")
        return Use(port, *self._used())

    def _used(self) -> tuple[str, Type]:
        at = self._next.at
        value = self._take("value")[1:]
        if value not in self._types:
            self._fail(at, f"%{value} is not defined before this line")
        return value, self._types[value]

    def _named_value(self) -> tuple[str, str]:
        name = self._take("word")
        self._expect("=")
        return name, self._take("value")[1:]

    def _output(self) -> tuple[str, Type]:
        return self._take("word"), self._type()

    def _type(self) -> Type:
        space, of = self._take("word"), ""
        if self._accept("<"):
            of = self._take("word")
            self._expect(">")
        if not self._accept("["):
            return Type(space, of)
        shape = self._list(self._axis, "]")
        return Type(space, of, self._take("word"), shape)

    def _axis(self) -> int | Dim:
        if self._next.kind == "number":
            return self._int()
        scalar = self._take("value")[1:]
        times = self._int() if self._accept("*") else 1
        return Dim(scalar, times, self._int() if self._accept("/") else 1)

    def _int(self) -> int:
        at, text = self._next.at, self._take("number")
        if not text.lstrip("-").isdigit():
            self._fail(at, f"expected an integer, found {text}")
        return int(text)

    def _options(self) -> dict[str, Any]:
        return dict(self._list(self._option, "}")) if self._accept("{") else {}

    def _option(self) -> tuple[str, Any]:
        key = self._take("word")
        self._expect("=")
        return key, self._literal()

    def _literal(self) -> Any:
        if self._next.kind == "string":
            return self._string()
        if self._next.kind == "number":
            text = self._take("number")
            return int(text) if text.lstrip("-").isdigit() else float(text)
        if self._accept("("):
            return self._list(self._literal, ")")
        if self._accept("["):
            return self._list(self._int, "]")
        if self._next.text not in ("true", "false"):
            self._fail(self._next.at, f"expected a string, number, true, false, ( or [, found {self._next.text}")
        return self._take("word") == "true"

    def _string(self) -> str:
        at = self._next.at
        try:
            return str(json.loads(self._take("string")))
        except ValueError as error:
            self._fail(at, f"the string is broken: {error}")

    def _where(self) -> str:
        return self._string() if self._accept("@") else ""
