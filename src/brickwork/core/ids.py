"""Names of things, as strings with a type of their own so that mypy tells them apart."""

from typing import NewType

RequestId = NewType("RequestId", str)
"""One run of a workflow: `r-17`. Unique within a coordinator's life."""

TaskId = NewType("TaskId", str)
"""One plan task of one request: `r-17/denoise`. The same over all its attempts."""

ModelId = NewType("ModelId", str)
"""Identity of weights: equal ids mean equal bytes, config and dtype, so replicas may be shared."""

ExecutorId = NewType("ExecutorId", str)
"""One life of one executor process: `e2.1` is the second life of slot 2. Never reused."""

PlanId = NewType("PlanId", str)
"""Digest of a compiled workflow; equal ids mean equal plans."""

BatchId = NewType("BatchId", int)
"""One dispatch to one executor. Rises by one; never reused within a coordinator's life."""


def task_id(request_id: RequestId, name: str) -> TaskId:
    return TaskId(f"{request_id}/{name}")
