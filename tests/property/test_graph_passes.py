"""Goal: passes change how much is done and when, never what comes out.

Method: drawn graphs are evaluated before and after with operations whose results tell all that they depend on; the
same for whole plans, compiled with any subset of passes, whose tasks run from their arguments alone and whose freed
tensors are really gone.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brickwork.compiler.compile import compile_graph
from brickwork.compiler.draft import draft, verify_draft
from brickwork.compiler.instance import resolve, result_specs, shape_key, task_work
from brickwork.compiler.pipeline import NAMES, PASSES, Pass, run_passes
from brickwork.graph.ir import Graph
from brickwork.graph.rewrite import is_scalar
from property.graph_strategies import graphs, graphs_with_values, rename_all, run_graph, run_plan

EACH_PASS = pytest.mark.parametrize("run", PASSES, ids=NAMES)


@EACH_PASS
def test_a_pass_keeps_the_rules_and_the_meaning(run: Pass) -> None:
    @settings(max_examples=60)
    @given(graphs_with_values())
    def check(drawn: tuple[Graph, dict[str, object]]) -> None:
        graph, values = drawn
        after = run(draft(graph))
        verify_draft(after)
        assert run_graph(after.graph, values) == run_graph(graph, values)
        assert run(after) == after

    check()


@settings(max_examples=60)
@given(graphs_with_values(), st.sets(st.sampled_from(NAMES)))
def test_a_plan_means_what_its_graph_means(drawn: tuple[Graph, dict[str, object]], names: set[str]) -> None:
    graph, values = drawn
    assert run_plan(compile_graph(graph, sorted(names)), values) == run_graph(graph, values)


@settings(max_examples=60)
@given(graphs_with_values())
def test_passes_never_add_work(drawn: tuple[Graph, dict[str, object]]) -> None:
    graph, _ = drawn
    assert len(compile_graph(graph).tasks) <= sum(not is_scalar(item) for item in graph.nodes)


@settings(max_examples=60)
@given(graphs())
def test_names_and_lines_do_not_reach_programs(graph: Graph) -> None:
    mine, other = compile_graph(graph), compile_graph(rename_all(graph))
    assert [task.program for task in mine.tasks] == [task.program for task in other.tasks]
    assert mine.programs == other.programs


@settings(max_examples=60)
@given(graphs())
def test_the_pipeline_is_stable(graph: Graph) -> None:
    once = run_passes(graph)
    assert run_passes(once.graph) == once
    assert compile_graph(graph) == compile_graph(graph)


@settings(max_examples=60)
@given(graphs_with_values())
def test_a_request_makes_every_shape_concrete(drawn: tuple[Graph, dict[str, object]]) -> None:
    graph, values = drawn
    plan = compile_graph(graph)
    scalars = resolve(plan, values)
    for task in plan.tasks:
        assert len(result_specs(plan, task, scalars)) == len(task.results)
        assert all(work.trips >= 0 for work in task_work(plan, task, scalars))
        assert shape_key(plan, task, scalars) == shape_key(plan, task, dict(scalars))
