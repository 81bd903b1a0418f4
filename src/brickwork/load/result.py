"""A measured run in figures: those of every run, and what only a load tool can tell about itself and the server."""

from collections import Counter
from dataclasses import dataclass

from brickwork.core.request import Outcome
from brickwork.load.drive import LATE_SEND_S, Drive, Sent
from brickwork.load.report import Figures, by_workflow, figures, holds

MAX_ERRORS = 5
"""Different texts that are kept."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one run amounted to, without its warm-up."""

    seconds: float  # in which its requests were due
    total: Figures
    workflows: dict[str, Figures]
    holds: bool
    retry_after_s_p50: float | None  # of refusals that said so
    errors: dict[str, int]  # why requests failed, the most frequent reason first
    late_sends: int  # requests sent more than LATE_SEND_S after they were due
    max_sent_late_s: float
    undecided: int  # left out: in flight, with time left, when the run was cut off


def result_of(drive: Drive, warm_up_s: float, end_s: float) -> Result:
    """Sum up a run that has ended or was cut off.

    warm_up_s    requests due before are left out
    end_s        when the arrivals ended, warm-up included
    """
    sent = sorted((each for each in drive.ended if each.offer.due_s >= warm_up_s), key=lambda each: each.offer.number)
    seconds = max(0.0, (end_s if drive.is_complete else min(end_s, drive.elapsed_s)) - warm_up_s)
    samples = [each.sample for each in sent]
    late_s = [each.sent_late_s for each in sent]
    return Result(
        seconds=seconds,
        total=figures(samples, seconds),
        workflows={name: figures(own, seconds) for name, own in by_workflow(samples).items()},
        holds=holds(samples),
        retry_after_s_p50=_retry_after_s(sent),
        errors=_errors(sent),
        late_sends=sum(each > LATE_SEND_S for each in late_s),
        max_sent_late_s=max(late_s, default=0.0),
        undecided=drive.undecided,
    )


def _retry_after_s(sent: list[Sent]) -> float | None:
    said = sorted(each.answer.retry_after_s for each in sent if each.answer and each.answer.retry_after_s is not None)
    return said[(len(said) - 1) // 2] if said else None


def _errors(sent: list[Sent]) -> dict[str, int]:
    texts = Counter(each.answer.error for each in sent if each.answer and each.answer.outcome is Outcome.FAILED)
    return dict(texts.most_common(MAX_ERRORS))
