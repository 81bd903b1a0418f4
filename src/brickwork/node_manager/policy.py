"""Policy: how many executors should each workflow set have, and where do they come from?

Fed by one summary per set, some seconds old. A set needs what keeps its load at UTILISATION and works its backlog off
in BACKLOG_S. Sets that have had more than they need for COOL_DOWN_S give the surplus away, first to sets that lack
some (a move costs a drain and loads, but no start), then back to where it came from. What is still lacking is started:
the device type with most speed for its price among those whose memory suffices and that are to be had. A set without
work for IDLE_S keeps nothing.

    images needs 7 and has 4, clips needs 1 and has 3     two move from clips to images, one is started
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

UTILISATION = 0.8
"""Share of an executor's time that load may fill."""

BACKLOG_S = 30.0
"""Within so many seconds a backlog should be worked off: a started executor takes about as long to be useful."""

COOL_DOWN_S = 60.0
"""A set gives executors away only after it could have spared them for so long."""

IDLE_S = 600.0
"""A set that had no work for so long is scaled to zero."""


@dataclass(frozen=True, slots=True)
class DeviceType:
    """A kind of device that the fleet can start."""

    name: str
    speed: float  # beside the type in whose device seconds loads are counted
    price_per_h: float  # > 0
    memory_bytes: int
    limit: int  # executors of it that may exist


@dataclass(frozen=True, slots=True)
class SetLoad:
    """What one workflow set says of itself."""

    name: str
    executors: int  # that it owns
    rate: float  # device seconds asked for per second
    backlog_s: float  # device seconds accepted and not begun
    idle_s: float  # since it had work
    spare_for_s: float  # since it could have given one away
    need_bytes: int  # memory that its largest task needs


@dataclass(frozen=True, slots=True)
class Move:
    """`count` executors are drained in one set and join another."""

    source: str
    target: str
    count: int


@dataclass(frozen=True, slots=True)
class Start:
    """Start `count` executors of a device type for a set."""

    target: str
    device: str
    count: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Drain and stop `count` executors of a set."""

    source: str
    count: int


FleetPlan = tuple[Move | Start | Stop, ...]


def plan_fleet(sets: Sequence[SetLoad], types: Sequence[DeviceType], running: Mapping[str, int]) -> FleetPlan:
    """What to do now, moves first.

    running    executors that exist, by device type
    """
    missing = {each.name: wanted(each) - each.executors for each in sets}
    spare = {each.name: -missing[each.name] for each in sets if missing[each.name] < 0 and _may_give(each)}
    lacking = {name: count for name, count in missing.items() if count > 0}
    orders: list[Move | Start | Stop] = []
    for target in sorted(lacking, key=lambda name: (-lacking[name], name)):
        for source in sorted(spare, key=lambda name: (-spare[name], name)):
            if count := min(spare[source], lacking[target]):
                orders.append(Move(source, target, count))
                spare[source] -= count
                lacking[target] -= count
    room = {each.name: each.limit - running.get(each.name, 0) for each in types}
    for each in sets:
        orders += _starts(each, lacking.get(each.name, 0), types, room)
    return (*orders, *(Stop(source, count) for source, count in spare.items() if count))


def wanted(load: SetLoad) -> int:
    """Executors that a set needs."""
    if load.backlog_s == 0.0 and load.idle_s >= IDLE_S:
        return 0
    return max(1, ceil(load.rate / UTILISATION + load.backlog_s / BACKLOG_S))


def _may_give(load: SetLoad) -> bool:
    return load.spare_for_s >= COOL_DOWN_S or load.idle_s >= IDLE_S


def _starts(load: SetLoad, count: int, types: Sequence[DeviceType], room: dict[str, int]) -> list[Move | Start | Stop]:
    """Starts that make up for `count` missing executors, in units of the reference type; takes them out of `room`."""
    fitting = [each for each in types if each.memory_bytes >= load.need_bytes]
    orders: list[Move | Start | Stop] = []
    missing = float(count)
    for each in sorted(fitting, key=lambda kind: (kind.price_per_h / kind.speed, kind.name)):
        number = min(room[each.name], ceil(missing / each.speed - 1e-9))
        if missing > 0.0 and number > 0:
            orders.append(Start(load.name, each.name, number))
            room[each.name] -= number
            missing -= number * each.speed
    return orders
