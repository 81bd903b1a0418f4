"""Goal: a server's pictures become files by the task that makes them, and nothing else changes.

Method: the tiny SD3 workflows, rewritten and compiled; the file itself is tried on an executor in tests/e2e.
"""

from pathlib import Path

from brickwork.compiler.artifacts import key_type, write_artifacts
from brickwork.compiler.compile import compile_graph
from brickwork.compiler.instance import program_of
from brickwork.graph.parse import parse
from brickwork.graph.text import print_graph
from brickwork.graph.verify import verify
from brickwork.starter.workflows import STARTER, text_to_image


def test_the_picture_is_written_by_the_task_that_decodes_it(tiny_sd3: Path, tmp_path: Path) -> None:
    workflow = text_to_image(tiny_sd3)
    graph = write_artifacts(workflow.graph, tmp_path)
    verify(graph)
    assert parse(print_graph(graph)) == graph
    plan = compile_graph(graph)
    assert [task.name for task in plan.tasks] == [task.name for task in workflow.plan.tasks]
    (program,) = [program for program in plan.programs if program.id == plan.tasks[-1].program]
    assert [node.op for node in program.body] == ["vae.decode", "image.to_uint8", "artifact.image"]
    assert [type_ for _, type_ in program.results] == [key_type("png")]


def test_other_tasks_keep_their_programs(tiny_sd3: Path, tmp_path: Path) -> None:
    """So that a server and an embedded run agree on everything up to the file."""
    workflow = text_to_image(tiny_sd3)
    plan = compile_graph(write_artifacts(workflow.graph, tmp_path))
    assert [t.program for t in plan.tasks[:-1]] == [t.program for t in workflow.plan.tasks[:-1]]


def test_a_picture_that_passes_through_is_a_task_of_its_own(tmp_path: Path) -> None:
    import brickwork as bw

    sd3 = bw.family(STARTER)

    @bw.workflow
    def both(picture: bw.Image):  # type: ignore[no-untyped-def]
        return {"before": picture, "moments": sd3.encode_image(picture, "64x64")}

    graph = write_artifacts(both.graph, tmp_path)
    verify(graph)
    plan = compile_graph(graph)
    ops = {task.name: [node.op for node in program_of(plan, task).body] for task in plan.tasks}
    assert ops["save_before"] == ["artifact.image"]


def test_a_result_that_is_no_picture_stays(tiny_sd3: Path, tmp_path: Path) -> None:
    import brickwork as bw

    sd3 = bw.family(tiny_sd3)

    @bw.workflow
    def latents_only(seed: int = 0):  # type: ignore[no-untyped-def]
        return {"latents": sd3.noise(seed, "auto")}

    assert write_artifacts(latents_only.graph, tmp_path) == latents_only.graph
