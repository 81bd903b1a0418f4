"""The router between two summaries: it adds what it sends itself, so that it need not wait to see the effect."""

from collections.abc import Mapping
from dataclasses import replace
from math import inf

from brickwork.control.summary import Summary
from brickwork.core.ids import ModelId
from brickwork.router.policy import SetSummary, choose_set


class Router:
    """Spreads requests over sets.

    serves    by set, the workflows that it serves
    """

    def __init__(self, serves: Mapping[str, frozenset[str]]):
        self._serves = serves
        self._known = {name: SetSummary(name, 0, 0.0, -inf, frozenset()) for name in serves}
        self._means_s = dict.fromkeys(serves, 0.0)

    def learn(self, summaries: Mapping[str, Summary]) -> None:
        """Take in what sets say of themselves, in place of what was guessed since."""
        for name, new in summaries.items():
            executors = sum(new.executors.values())
            self._known[name] = SetSummary(name, executors, new.work_s, self._known[name].sent_s, new.models)
            self._means_s[name] = new.mean_s

    def choose(self, workflow: str, models: frozenset[ModelId], now_s: float) -> str:
        """The set for a request, which counts as sent there.

        raises    KeyError when no set serves the workflow
        """
        able = [each for name, each in self._known.items() if workflow in self._serves[name]]
        if not able:
            raise KeyError(workflow)
        chosen = choose_set(able, models)
        sent = self._known[chosen]
        self._known[chosen] = replace(sent, work_s=sent.work_s + self._means_s[chosen], sent_s=now_s)
        return chosen
