"""What replicas are worth where they are, by the policy in `autoscaling.py`: requests per second.

The models of one program are needed together. So the heaviest of a program *leads*, and the others are worth, byte for
byte, what their leader is worth on the executors that hold it, and nothing on others.
"""

from brickwork.control.records import ExecutorRecord
from brickwork.control.turn import Turn
from brickwork.core.ids import ModelId


def worth(turn: Turn, model: ModelId, replica: int) -> float:
    """Of the n-th replica of a model, wherever that is."""
    popularity = turn.state.popularity.get(model)
    return turn.policies.worth(popularity.need, replica) if popularity else 0.0


def worth_on(turn: Turn, executor: ExecutorRecord, model: ModelId) -> float:
    """Of the replica of a model that `executor` holds."""
    popularity = turn.state.popularity.get(model)
    if popularity is None:
        return 0.0
    own = worth(turn, model, turn.state.replicas(model)) if popularity.leads else 0.0
    leader = executor.replicas.get(popularity.leader)
    if leader is None or popularity.leader == model:
        return own
    share = popularity.model.weight_bytes / max(1, leader.model.weight_bytes)
    return max(own, share * worth(turn, popularity.leader, turn.state.replicas(popularity.leader)))
