"""Goal: the OpenAPI document is true: whatever is sent, no 5xx, and every answer is one that the document describes.

Method: schemathesis draws requests from the document of a real server, valid and invalid ones, with a fixed seed.
"""

from collections import Counter
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from support.server import ServerProcess

EXAMPLES = 25
"""Requests drawn for each route; some seconds in all."""

ONE_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mNk+M9QDwADgQF/e5IkGQAAAABJRU5ErkJggg=="

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]


def test_every_answer_is_as_documented(server: ServerProcess) -> None:
    document = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    statuses: Counter[tuple[str, str, int]] = Counter()
    for result in document.get_all_operations():
        operation = result.ok()
        for mode in schemathesis.GenerationMode:
            try:
                _probe(operation, mode, statuses)
            except Unsatisfiable:
                assert mode is schemathesis.GenerationMode.NEGATIVE and not operation.path_parameters, operation.label
    routes = {label for label, _, _ in statuses}
    assert len(routes) == 14, routes
    for label in ("POST /v1/jobs", "POST /v1/images/generations"):
        assert any(of == label and status in (200, 201) for of, _, status in statuses), f"{label}: none was taken"
        assert statuses[label, "negative", 400] > EXAMPLES / 2
    assert server.get("/readyz").status_code == 200


def _probe(operation: Any, mode: schemathesis.GenerationMode, statuses: Counter[tuple[str, str, int]]) -> None:
    @seed(20260101)
    @settings(max_examples=EXAMPLES, deadline=None, phases=[Phase.explicit, Phase.generate], database=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def probe(case: Any) -> None:
        if mode is schemathesis.GenerationMode.POSITIVE and isinstance(case.body, dict):
            _make_drawable(case.body.get("inputs", case.body))
        response = case.call(timeout=60)
        statuses[operation.label, mode.value, response.status_code] += 1
        case.validate_response(response, checks=CHECKS)

    probe()


def _make_drawable(inputs: dict[str, Any]) -> None:
    """What JSON Schema cannot say is put right: the model's vocabulary and what a picture is. And steps are few."""
    inputs["prompt"] = "a red circle"
    inputs.pop("negative_prompt", None)
    if "steps" in inputs:
        inputs["steps"] = inputs["steps"] % 8 + 1
    if "image" in inputs:
        inputs["image"] = f"data:image/png;base64,{ONE_PIXEL}"
