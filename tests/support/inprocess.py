"""Runs a workflow's graph in the test's own process, node by node: what an executor computes, without its machinery."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from PIL import Image

from brickwork.core.ids import ModelId
from brickwork.graph.ir import Graph, Loop, Node
from brickwork.graph.rewrite import is_scalar
from brickwork.graph.scalars import evaluate
from brickwork.models import loaders
from brickwork.models.ops import Call
from brickwork.models.registry import operations
from brickwork.workflow.api import Workflow
from brickwork.workflow.inputs import validate

_loaded: dict[ModelId, Any] = {}


def model(graph: Graph, name: ModelId) -> Any:
    """The loaded model `name` of a graph; loaded once a process."""
    if name not in _loaded:
        with torch.inference_mode(False):  # as in an executor: tensors made under inference take other kernels
            _loaded[name] = loaders.load(next(spec for spec in graph.models if spec.id == name))
    return _loaded[name]


def run(workflow: Workflow, **inputs: Any) -> dict[str, torch.Tensor]:
    """The workflow's results."""
    (results,) = run_together(workflow, [inputs])
    return results


@torch.inference_mode()
def run_together(workflow: Workflow, requests: list[dict[str, Any]]) -> list[dict[str, torch.Tensor]]:
    """Results of several requests whose nodes all run as one batch. Of loops with more or fewer steps, the rows that
    still go on."""
    graph = workflow.graph
    rows = [_values(graph, inputs) for inputs in requests]
    for item in graph.nodes:
        if isinstance(item, Loop):
            _loop(graph, item, rows)
        elif not is_scalar(item):
            _node(graph, item, rows)
    return [{name: row[value] for name, value in graph.outputs} for row in rows]


def _values(graph: Graph, inputs: Mapping[str, Any]) -> dict[str, Any]:
    given = validate(graph.inputs, inputs)
    values = {name: _pixels(value) if isinstance(value, Image.Image) else value for name, value in given.items()}
    scalars = tuple(item for item in graph.nodes if isinstance(item, Node) and is_scalar(item))
    return evaluate(scalars, values)


def _pixels(picture: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(picture.convert("RGB"))[None])


def _loop(graph: Graph, loop: Loop, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        row.update({f"{loop.name}.{carry.name}": row[carry.init] for carry in loop.carries})
    for i in range(min(row[loop.start] for row in rows), max(row[loop.stop] for row in rows)):
        open_rows = [row for row in rows if row[loop.start] <= i < row[loop.stop]]
        for row in open_rows:
            row[f"{loop.name}.i"] = i
        for node in loop.body:
            _node(graph, node, open_rows)
        for row in open_rows:
            row.update({f"{loop.name}.{c.name}": row[c.result] for c in loop.carries})


def _node(graph: Graph, node: Node, rows: list[dict[str, Any]]) -> None:
    calls = [Call({use.port: row[use.value] for use in node.inputs}, dict(node.attrs)) for row in rows]
    results = operations()[node.op](model(graph, node.model) if node.model else None, calls)
    for row, outputs in zip(rows, results, strict=True):
        for (port, type_), value in zip(node.outputs, outputs, strict=True):
            assert value.is_contiguous() and str(value.dtype) == f"torch.{type_.dtype}", (node.name, port)
            assert len(value.shape) == len(type_.shape), (node.name, port, value.shape, type_.shape)
            row[f"{node.name}.{port}"] = value
