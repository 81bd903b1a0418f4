"""Goal: the rules accept what they should and refuse what they should; the text form loses nothing.

Method: Hypothesis draws valid graphs; each is verified, printed and read back. Then each graph is damaged in one way
that breaks one rule, and `verify` must notice.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings

from brickwork.core.errors import WorkflowError
from brickwork.core.ids import ModelId
from brickwork.graph.ir import Graph, Loop, Node, Use
from brickwork.graph.parse import parse
from brickwork.graph.text import print_graph
from brickwork.graph.types import Type
from brickwork.graph.verify import verify
from property.graph_strategies import graphs


@given(graphs())
def test_drawn_graphs_obey_the_rules(graph: Graph) -> None:
    verify(graph)


@given(graphs())
def test_text_reads_back_as_the_same_graph(graph: Graph) -> None:
    assert parse(print_graph(graph)) == graph


def _nodes(graph: Graph) -> list[Node]:
    return [item for item in graph.nodes if isinstance(item, Node)]


def _with_node(graph: Graph, old: Node, new: Node) -> Graph:
    return replace(graph, nodes=tuple(new if item is old else item for item in graph.nodes))


def _tell_twice(graph: Graph) -> Graph:
    return replace(graph, nodes=(*graph.nodes, graph.nodes[0]))


def _use_the_future(graph: Graph) -> Graph:
    node = _nodes(graph)[0]
    value = f"{node.name}.{node.outputs[0][0]}"
    return _with_node(graph, node, replace(node, inputs=(*node.inputs, Use("own", value, node.outputs[0][1]))))


def _mistake_a_type(graph: Graph) -> Graph:
    node = _nodes(graph)[1]
    use = Use("wrong", f"{_nodes(graph)[0].name}.value", Type("other", "", "float32", (7, 7)))
    return _with_node(graph, node, replace(node, inputs=(*node.inputs, use)))


def _name_an_unlisted_model(graph: Graph) -> Graph:
    node = next(node for node in _nodes(graph) if not node.op.startswith("scalar."))
    return _with_node(graph, node, replace(node, model=ModelId("unlisted-1")))


def _return_nothing(graph: Graph) -> Graph:
    return replace(graph, outputs=())


def _return_the_unknown(graph: Graph) -> Graph:
    return replace(graph, outputs=(("out", "nowhere.port"),))


def _leave_the_graph(graph: Graph) -> Graph:
    loop = next(item for item in graph.nodes if isinstance(item, Loop))
    inner = loop.body[0]
    return replace(graph, outputs=(("out", f"{inner.name}.{inner.outputs[0][0]}"),))


def _carry_another_type(graph: Graph) -> Graph:
    loop = next(item for item in graph.nodes if isinstance(item, Loop))
    carry = replace(loop.carries[0], type=Type("other", "", "float32", (7, 7)))
    damaged = replace(loop, carries=(carry, *loop.carries[1:]))
    return replace(graph, nodes=tuple(damaged if item is loop else item for item in graph.nodes))


@pytest.mark.parametrize(
    "damage",
    [
        _tell_twice, _use_the_future, _mistake_a_type, _name_an_unlisted_model, _return_nothing,
        _return_the_unknown, _leave_the_graph, _carry_another_type,
    ],
)  # fmt: skip
def test_damage_is_refused(damage: Callable[[Graph], Graph]) -> None:
    @settings(max_examples=40)
    @given(graphs(with_loop=True))
    def check(graph: Graph) -> None:
        with pytest.raises(WorkflowError):
            verify(damage(graph))

    check()
