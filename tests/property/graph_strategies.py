"""Draws valid graphs, and evaluates graphs and plans with operations whose results tell all that they depend on.

An operation's result is a digest of the operation, its model, attributes, arguments, port and concrete shape. So two
evaluations agree exactly when the same work was done on the same values, and a wrong rewiring can't hide.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st

from brickwork.compiler.instance import concrete
from brickwork.compiler.plan import Plan
from brickwork.core.ids import ModelId
from brickwork.core.model import ModelSpec
from brickwork.graph.ir import Carry, Graph, Input, Loop, Node, Use
from brickwork.graph.rewrite import Item, is_scalar, models_of, outputs_of, rename_type, rename_values
from brickwork.graph.scalars import OPS, evaluate
from brickwork.graph.types import BOOL, FLOAT, INT, SIZE, TEXT, Dim, Type

MODELS = [
    ModelSpec(ModelId(f"{kind}-{k}"), kind, f"models/{kind}", "float32", 8 * k, f"{kind}-p", extras)
    for k, (kind, extras) in enumerate([("clip", (("tokenizer", "models/tok"),)), ("dit", ()), ("vae", ())])
]
TEXTS = st.text(max_size=6)
WHERES = st.sampled_from(["", "poster.py:7", 'odd "name"\\.py:1', "zwei\nzeilen:2", "größe.py:3"])
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
INTS = st.integers(-(2**63) + 1, 2**63 - 1)
SIZES = st.tuples(st.integers(1, 99), st.integers(1, 99))
SCALARS = st.one_of(INTS, FLOATS, TEXTS, st.booleans(), SIZES)
SMALL = {INT: st.integers(0, 3), FLOAT: st.sampled_from([0.5, 1.0]), TEXT: TEXTS, BOOL: st.booleans(), SIZE: SIZES}


@dataclass
class _Builder:
    """A graph in the making: values by name, with their types."""

    draw: Any
    nodes: list[Item] = field(default_factory=list)
    values: dict[str, Type] = field(default_factory=dict)
    bounds: list[str] = field(default_factory=list)  # small ints that may bound loops
    count: int = 0

    def name(self) -> str:
        self.count += 1
        return f"{self.draw(st.sampled_from(['clip', 'x', 'denoise']))}_{self.count}"

    def tensor_type(self) -> Type:
        ints = [value for value, type_ in self.values.items() if type_ == INT and not value.endswith(".i")]
        axis: st.SearchStrategy[int | Dim] = st.integers(1, 9)
        if ints:
            axis |= st.builds(Dim, st.sampled_from(ints), st.integers(1, 3), st.integers(1, 3))
        shape = self.draw(st.lists(axis, max_size=3).map(tuple))
        space, of, dtype = self.draw(
            st.sampled_from([("latent", "vae-1", "float32"), ("image", "", "uint8"), ("embedding", "a.b+c", "int64")])
        )
        return Type(space, of, dtype, shape)

    def uses(self, least: int = 0) -> tuple[Use, ...]:
        if not self.values:
            return ()
        chosen = self.draw(st.lists(st.sampled_from(sorted(self.values)), min_size=least, max_size=3))
        return tuple(Use(f"in_{k}", value, self.values[value]) for k, value in enumerate(chosen))

    def node(self, least: int = 0) -> Node:
        known = self.draw(st.sampled_from([None, *(spec.id for spec in MODELS)]))
        keys = self.draw(st.lists(st.sampled_from(["shift", "steps", "mode"]), unique=True, max_size=2))
        outputs = tuple((f"out_{k}", self.tensor_type()) for k in range(self.draw(st.integers(1, 2))))
        op = self.draw(st.sampled_from(["text.clip", "net.mix", "noise"]))
        attrs = tuple((key, self.draw(SCALARS)) for key in keys)
        return Node(self.name(), op, known, self.uses(least), outputs, attrs, self.draw(WHERES))

    def twin(self) -> Node:
        """A copy of an earlier node under another name: work for common subexpressions."""
        earlier = [item for item in self.nodes if isinstance(item, Node)]
        return replace(self.draw(st.sampled_from(earlier)), name=self.name())

    def constant(self, types: tuple[Type, ...] = (INT, FLOAT, TEXT, BOOL, SIZE)) -> Node:
        type_ = self.draw(st.sampled_from(types))
        value = self.draw(SMALL[type_])
        node = Node(self.name(), "scalar.const", None, (), (("value", type_),), (("value", value),), "")
        if type_ == INT:
            self.bounds.append(f"{node.name}.value")
        return node

    def arithmetic(self) -> Node | None:
        op = self.draw(st.sampled_from(["scalar.add", "scalar.min", "scalar.gt", "scalar.eq", "scalar.height"]))
        takes = self.draw(st.sampled_from(OPS[op].takes))
        fitting = [[value for value, type_ in self.values.items() if type_ == taken] for taken in takes]
        if not all(fitting):
            return None
        uses = tuple(Use(f"a{k}", self.draw(st.sampled_from(f)), takes[k]) for k, f in enumerate(fitting))
        return Node(self.name(), op, None, uses, (("value", OPS[op].gives(takes)),), (), self.draw(WHERES))

    def loop(self) -> Loop:
        tensors = [value for value, type_ in self.values.items() if type_.is_tensor]
        name, outside = self.name(), dict(self.values)
        start, stop = (self.draw(st.sampled_from(self.bounds)) for _ in range(2))
        inits = self.draw(st.lists(st.sampled_from(tensors), min_size=1, max_size=2))
        self.values |= {f"{name}.i": INT} | {f"{name}.c{k}": outside[init] for k, init in enumerate(inits)}
        body: list[Node] = []
        for _ in range(self.draw(st.integers(1, 3))):
            self.add(node := self.node(least=1), body)
        ends = [replace(node, name=self.name(), outputs=(("end", outside[init]),)) for init in inits]
        for end in ends:
            self.add(end, body)
        self.values = outside
        triples = zip(inits, ends, range(2), strict=False)
        carries = tuple(Carry(f"c{k}", outside[init], init, f"{end.name}.end") for init, end, k in triples)
        return Loop(name, start, stop, carries, tuple(body), self.draw(WHERES))

    def add(self, item: Item | None, nodes: list[Any]) -> None:
        if item is not None:
            nodes.append(item)
            self.values.update(outputs_of(item))


@st.composite
def inputs(draw: st.DrawFn, name: str) -> Input:
    type_ = draw(st.sampled_from([INT, FLOAT, TEXT, BOOL, SIZE, Type("image", "", "uint8", (1, 4))]))
    default = None if type_.is_tensor else draw(st.none() | SMALL[type_])
    limits = draw(st.sampled_from([{}, {"minimum": 0, "maximum": 9.5}, {"words": ("a", "red")}, {"max_words": 3}]))
    return Input(name, type_, default, draw(TEXTS), where=draw(WHERES), **limits)


@st.composite
def graphs(draw: st.DrawFn, with_loop: bool = False) -> Graph:
    """Valid graphs: arithmetic, nodes with and without models, equal nodes, loops, dead ends."""
    builder = _Builder(draw)
    declared = [draw(inputs(f"input_{k}")) for k in range(draw(st.integers(0, 3)))]
    builder.values = {input_.name: input_.type for input_ in declared}
    builder.bounds = [input_.name for input_ in declared if input_.type == INT]
    builder.add(builder.constant((INT,)), builder.nodes)
    builder.add(builder.node(), builder.nodes)
    kinds = st.sampled_from(["node", "node", "constant", "arithmetic", "loop", "twin"])
    for kind in ["loop"] * with_loop + draw(st.lists(kinds, max_size=8)):
        builder.add(getattr(builder, kind)(), builder.nodes)
    chosen = draw(st.lists(st.sampled_from(sorted(builder.values)), min_size=1, max_size=3))
    named = {model for item in builder.nodes for model in models_of(item)}
    return Graph(
        "drawn-graph",
        draw(TEXTS),
        tuple(declared),
        tuple(builder.nodes),
        tuple((f"out_{k}", value) for k, value in enumerate(chosen)),
        tuple(spec for spec in MODELS if spec.id in named),
    )


@st.composite
def graphs_with_values(draw: st.DrawFn) -> tuple[Graph, dict[str, Any]]:
    """A graph and a value for each of its inputs; tensors are stood for by texts."""
    graph = draw(graphs())
    values = {i.name: "image!" if i.type.is_tensor else draw(SMALL[i.type]) for i in graph.inputs}
    return graph, values


def run_graph(graph: Graph, values: Mapping[str, Any]) -> dict[str, Any]:
    """What a graph's results are for these inputs."""
    scalars = tuple(item for item in graph.nodes if isinstance(item, Node) and is_scalar(item))
    known = evaluate(scalars, values)
    for item in graph.nodes:
        if not is_scalar(item):
            _run_item(item, known)
    return {name: known[value] for name, value in graph.outputs}


def run_plan(plan: Plan, values: Mapping[str, Any]) -> dict[str, Any]:
    """The same for a plan: scalars first, then task by task, each from its arguments alone."""
    known: dict[str, Any] = evaluate(plan.scalars, values)
    programs = {program.id: program for program in plan.programs}
    for task in plan.tasks:
        program = programs[task.program]
        local = {name: known[arg] for (name, _), arg in zip(program.params, task.args, strict=True)}
        for item in program.body:
            _run_item(item, local)
        known |= {value: local[name] for value, (name, _) in zip(task.results, program.results, strict=True)}
        for value in task.last_uses:
            del known[value]
    return {name: known[value] for name, value in plan.outputs}


def _run_item(item: Item, known: dict[str, Any]) -> None:
    if isinstance(item, Node):
        known.update(_run_node(item, known))
        return
    carried = [known[carry.init] for carry in item.carries]
    for i in range(known[item.start], known[item.stop]):
        inside = known | {f"{item.name}.i": i}
        inside |= {f"{item.name}.{carry.name}": v for carry, v in zip(item.carries, carried, strict=True)}
        for node in item.body:
            inside.update(_run_node(node, inside))
        carried = [inside[carry.result] for carry in item.carries]
    known |= {f"{item.name}.{carry.name}": value for carry, value in zip(item.carries, carried, strict=True)}


def _run_node(node: Node, known: Mapping[str, Any]) -> dict[str, str]:
    arguments = [(use.port, known[use.value]) for use in node.inputs]
    results = {}
    for port, type_ in node.outputs:
        shape = concrete(type_, known).shape
        told = repr((node.op, node.model, node.attrs, arguments, port, type_.space, shape))
        results[f"{node.name}.{port}"] = hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return results


def rename_all(graph: Graph) -> Graph:
    """The same graph with every node called something else, and without the author's lines."""
    names = {item.name: f"other_{item.name}" for item in graph.nodes}
    names |= {n.name: f"other_{n.name}" for item in graph.nodes if isinstance(item, Loop) for n in item.body}

    def rename(value: str) -> str:
        name, dot, port = value.partition(".")
        return f"{names.get(name, name)}{dot}{port}"

    def renamed(item: Item) -> Item:
        item = replace(rename_values(item, rename), name=names[item.name], where="")
        if isinstance(item, Loop):
            return replace(item, body=tuple(replace(n, name=names[n.name], where="") for n in item.body))
        return item

    return replace(
        graph,
        inputs=tuple(replace(i, type=rename_type(i.type, rename), where="") for i in graph.inputs),
        nodes=tuple(renamed(item) for item in graph.nodes),
        outputs=tuple((name, rename(value)) for name, value in graph.outputs),
    )
