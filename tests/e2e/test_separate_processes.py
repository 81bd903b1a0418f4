"""Goal: one request's models run in different processes, and workflows share what they have in common.

Method: real executors; the timeline and the residency tell what ran where.
"""

import brickwork as bw
from brickwork.executor.config import ADAPTER_SHARE, OWN_BYTES
from brickwork.starter.workflows import WORKFLOWS


def test_models_of_one_request_run_in_different_processes() -> None:
    """The three text encoders are ready together, so idle executors take one each."""
    with bw.Cluster(executors=3) as cluster:
        result = cluster.run(WORKFLOWS["text-to-image"](), prompt="a red circle", steps=3)
        spans = cluster.timeline(result.request_id)
        processes = {span.model: span.pid for span in spans if span.model}
        assert len(processes) == 5, "three encoders, transformer and VAE"
        assert len(set(processes.values())) >= 2
        assert set(processes.values()) <= set(cluster.pids().values())


def test_two_workflows_load_each_shared_model_once() -> None:
    """text-to-image and its quick variant name the same files: one executor holds one replica of each."""
    full, quick = WORKFLOWS["text-to-image"](), WORKFLOWS["text-to-image-quick"]()
    shared = {model.id for model in full.plan.models} & {model.id for model in quick.plan.models}
    assert len(shared) == 5
    with bw.Cluster(executors=1) as cluster:
        cluster.run(full, prompt="a red circle", steps=2)
        before = cluster.residency()
        cluster.run(quick, prompt="a blue square")
        assert cluster.residency() == before
        (resident,) = before.values()
        assert sorted(shared) == resident


def test_tasks_of_two_workflows_share_a_batch() -> None:
    """Requests of both workflows wait behind a long one; their text encodings then run together."""
    full, quick = WORKFLOWS["text-to-image"](), WORKFLOWS["text-to-image-quick"]()
    with bw.Cluster(executors=1) as cluster:
        handles = [cluster.submit(full, prompt="a red circle", steps=60)]
        handles += [cluster.submit(workflow, prompt="a blue square", steps=4) for workflow in (full, quick)]
        for handle in handles:
            handle.result()
        _, second, third = [handle.request_id for handle in handles]
        together = [
            span.tasks
            for span in cluster.timeline()
            if any(task.startswith(f"{second}/") for task in span.tasks)
            and any(task.startswith(f"{third}/") for task in span.tasks)
        ]
    assert together


def test_a_small_memory_budget_swaps_models_and_is_kept() -> None:
    """A budget that holds the largest model and little more: everything still runs, never past the budget."""
    workflow = WORKFLOWS["text-to-image"]()
    sizes = {model.id: model.weight_bytes for model in workflow.plan.models}
    budget = int(max(sizes.values()) * 1.2)
    memory_bytes = (budget + OWN_BYTES) * ADAPTER_SHARE // (ADAPTER_SHARE - 1)
    with bw.Cluster(executors=1, memory_bytes=memory_bytes) as cluster:
        for seed in range(3):
            cluster.run(workflow, prompt="a red circle", steps=2, seed=seed)
            (resident,) = cluster.residency().values()
            assert sum(sizes[model] for model in resident) <= budget
