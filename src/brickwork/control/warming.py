"""Models of a refused request that are nowhere are loaded while its client waits.

Otherwise a deadline that leaves no time for the loads would be refused for ever: nobody would load what nobody runs.
"""

from brickwork.control.loads import load
from brickwork.control.records import RequestRecord
from brickwork.control.turn import Turn


def warm(turn: Turn, request: RequestRecord) -> None:
    """Order the loads that fit, each on the idle executor with most free memory. Nothing has to leave for them."""
    state = turn.state
    for model in request.facts.models.values():
        if state.replicas(model.id) or not len(state.idle_by_free):
            continue
        executor = state.executors[state.idle_by_free.first(1)[0]]
        if executor.free_bytes >= model.weight_bytes:
            load(turn, executor, model, turn.why("refused, and promised"), request.id)
