"""Goal: between two summaries a router does not send everything to one set, and never to one that does not serve it.

Method: one router, a few summaries.
"""

from collections import Counter

import pytest

from brickwork.control.summary import Summary
from brickwork.core.ids import ModelId
from brickwork.router.driver import Router

DIT = frozenset({ModelId("dit")})


def summary(work_s: float, executors: int = 2) -> Summary:
    return Summary("h800", {"h800": executors}, True, 0.0, work_s, 0.0, 2.0, 0, DIT)


def test_what_was_sent_counts_until_the_next_summary() -> None:
    router = Router({"a": frozenset({"image"}), "b": frozenset({"image"})})
    router.learn({"a": summary(0.0), "b": summary(8.0)})
    sent = Counter(router.choose("image", DIT, float(k)) for k in range(12))
    assert sent == {"a": 8, "b": 4}, "four even the sets out, the other eight alternate"


def test_only_sets_that_serve_the_workflow_are_asked() -> None:
    router = Router({"a": frozenset({"image"}), "b": frozenset({"clip"})})
    router.learn({"a": summary(0.0), "b": summary(99.0, executors=0)})
    assert router.choose("clip", DIT, 0.0) == "b"
    with pytest.raises(KeyError):
        router.choose("poster", DIT, 0.0)
