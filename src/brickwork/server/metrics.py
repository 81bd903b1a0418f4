"""What the server counts. Labels are workflows, states and routes, of which there are few; never ids of requests."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from brickwork.store.states import TERMINAL, JobState

SECONDS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600)
"""Buckets of job times: from a starter picture to minutes of video."""

REQUEST_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5, 30)


class Metrics:
    """The metrics of one server, in a registry of its own. Children are made once: looking labels up costs 2 us."""

    def __init__(self, workflows: Iterable[str]):
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the time at which each child was made, as a series of its own
        names = list(workflows)
        self._registry = registry = CollectorRegistry()
        jobs = Counter("brickwork_jobs", "Jobs that ended.", ["workflow", "state"], registry=registry)
        accepted = Counter("brickwork_jobs_accepted", "Jobs acknowledged.", ["workflow"], registry=registry)
        seconds = Histogram(
            "brickwork_job_seconds", "From acceptance to success.", ["workflow"], buckets=SECONDS, registry=registry
        )
        self._ended = {(name, state): jobs.labels(name, state) for name in names for state in TERMINAL}
        self.accepted = {name: accepted.labels(name) for name in names}
        self.job_seconds = {name: seconds.labels(name) for name in names}
        self.live = Gauge("brickwork_jobs_live", "Jobs accepted and not ended.", registry=registry)
        self.executors = Gauge("brickwork_executors", "Executors that are connected.", registry=registry)
        self._output_waits = Counter(
            "brickwork_output_waits", "Results that had to wait for room in tensor memory.", registry=registry
        )
        self._waits_counted = 0
        self.streams = Gauge("brickwork_event_streams", "Event streams that are open.", registry=registry)
        self.store_errors = Counter("brickwork_store_errors", "Writes that the store refused.", registry=registry)
        self._answers = Counter(
            "brickwork_http_requests", "Answers sent.", ["route", "method", "status"], registry=registry
        )
        self._answer_seconds = Histogram(
            "brickwork_http_first_byte_seconds", "From a request to the first byte of its answer.", ["route"],
            buckets=REQUEST_SECONDS, registry=registry,
        )  # fmt: skip

    def count_end(self, workflow: str, state: JobState) -> None:
        """A job ended. One of a workflow that this server does not have is not counted."""
        if counter := self._ended.get((workflow, state)):
            counter.inc()

    def count_output_waits(self, total: int) -> None:
        """`total` is what the coordinator has counted since its start."""
        self._output_waits.inc(total - self._waits_counted)
        self._waits_counted = total

    def count_answer(self, route: str, method: str, status: int, seconds: float) -> None:
        """`route` is a template (`/v1/jobs/{job_id}`), of which there are few."""
        self._answers.labels(route, method, str(status)).inc()
        self._answer_seconds.labels(route).observe(seconds)

    def page(self) -> bytes:
        """The exposition text. Takes milliseconds: call it off the event loop."""
        return generate_latest(self._registry)
