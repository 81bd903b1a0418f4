"""Goal: the picture in each pass's docstring is the truth.

Method: the text under "before" is parsed and given to the pass; what comes out must be the text under "after", as a
graph when the picture shows a graph, otherwise as tasks and roles. Every pass of the pipeline must have a picture.
"""

import inspect
import re
import sys
from textwrap import dedent

import pytest

from brickwork.compiler.draft import draft, print_draft, verify_draft
from brickwork.compiler.pipeline import NAMES, PASSES, Pass, run_passes
from brickwork.core.errors import WorkflowError
from brickwork.graph.parse import parse
from brickwork.graph.text import print_graph

PICTURE = re.compile(r"^before\n((?:    .*\n)+)after\n((?:    .*\n)+)", re.MULTILINE)


def picture(run: Pass) -> tuple[str, str]:
    """The texts before and after in the docstring of a pass's module."""
    found = PICTURE.search(inspect.getdoc(sys.modules[run.__module__]) or "")
    assert found is not None, f"{run.__module__} shows no picture"
    return dedent(found[1]), dedent(found[2])


@pytest.mark.parametrize("run", PASSES, ids=NAMES)
def test_the_picture_is_true(run: Pass) -> None:
    before, after = picture(run)
    plan = run(draft(parse(before)))
    verify_draft(plan)
    assert (print_graph(plan.graph) if after.startswith("workflow") else print_draft(plan)) == after


@pytest.mark.parametrize("run", PASSES, ids=NAMES)
def test_the_pass_changes_its_picture(run: Pass) -> None:
    start = draft(parse(picture(run)[0]))
    assert run(start) != start


def test_a_broken_pass_is_named() -> None:
    graph = parse(picture(PASSES[0])[0])
    with pytest.raises(WorkflowError, match="there is no pass 'dead_code'; the passes are dead_nodes"):
        run_passes(graph, ["dead_code"])
