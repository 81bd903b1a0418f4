"""Policy: how many executors should each workflow set have, and where do they come from?

Loads are counted in *units*: devices of the reference type; a device twice as fast is two. A set needs what keeps its
load at UTILISATION and works its backlog off soon, and has to spare what it has beyond the most that it could
use of late (`driver.py` keeps that). Between the two lies the hysteresis: a set that needs 3.1 units has no use for one
of its 4 taken away and given back every minute. What sets lack is given by those that have to spare (a move costs a
drain and loads, but no cold start), and started after that: the device type with most speed for its price among those
whose memory suffices and that are to be had. What nobody lacks is stopped, the dearest for its speed first.

    images needs 7 and has 4, clips could use 1 and has 3     two move from clips to images, one is started

source    OnePiece, Node Manager; differs: devices of several types, prices, scale to zero
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor

UTILISATION = 0.8
"""Share of an executor's time that load may fill."""

KEEP_UTILISATION = 0.6
"""A set could use what keeps its load at this: random arrivals ask for a third more from one minute to the next."""

BACKLOG_S = 30.0
"""Within so many seconds a backlog should be worked off, or in the time that one request takes: a started executor
takes about as long to be useful, and a single long request is no reason to start several."""

EPS = 1e-6
"""Units that are no lack and no surplus, but rounding."""


@dataclass(frozen=True, slots=True)
class DeviceType:
    """A kind of device that the fleet can start."""

    name: str
    speed: float  # units that one device is, > 0
    price_per_h: float  # >= 0
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class SetLoad:
    """What is known of one workflow set."""

    name: str
    executors: Mapping[str, int]  # by device type: that it has, or will have when orders under way are done
    needs: float  # units that it needs now
    could_use: float  # units: the most that it could use of late, >= needs
    need_bytes: int  # memory that its largest task needs


@dataclass(frozen=True, slots=True)
class Move:
    """`count` executors are drained in one set and join another."""

    source: str
    target: str
    device: str
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
    device: str
    count: int


Order = Move | Start | Stop


def units(rate: float, backlog_s: float, request_s: float, utilisation: float) -> float:
    """Units for a load.

    rate         device seconds asked for per second
    backlog_s    device seconds accepted and not begun
    request_s    device seconds of a request
    """
    return rate / utilisation + backlog_s / max(BACKLOG_S, request_s)


def plan_fleet(sets: Sequence[SetLoad], types: Sequence[DeviceType], free: Mapping[str, int]) -> tuple[Order, ...]:
    """What to do now: moves, then starts, then stops.

    free    devices that can be started, by type
    """
    lacks = {each.name: each.needs - _held(each, types) for each in sets}
    spare = {each.name: dict(_spare(each, types)) for each in sets}
    orders: list[Order] = []
    room = dict(free)
    for target in sorted(sets, key=lambda each: (-lacks[each.name], each.name)):
        fitting = _fitting(target, types)
        for source in sorted(spare, key=lambda name: (-sum(spare[name].values()), name)):
            given, lacks[target.name] = _take(lacks[target.name], fitting, spare[source])
            orders += [Move(source, target.name, device, count) for device, count in given]
        started, lacks[target.name] = _take(lacks[target.name], fitting, room)
        orders += [Start(target.name, device, count) for device, count in started]
    stops = [Stop(name, device, count) for name, some in spare.items() for device, count in some.items() if count]
    return (*sorted(orders, key=lambda each: isinstance(each, Start)), *stops)


def _fitting(load: SetLoad, types: Sequence[DeviceType]) -> list[DeviceType]:
    """The types that can hold the set's tasks, those with most speed for their price first."""
    fitting = [each for each in types if each.memory_bytes >= load.need_bytes]
    return sorted(fitting, key=lambda each: (each.price_per_h / each.speed, -each.speed, each.name))


def _held(load: SetLoad, types: Sequence[DeviceType]) -> float:
    """Units that the set has, in devices that can hold its tasks."""
    return sum(each.speed * load.executors.get(each.name, 0) for each in _fitting(load, types))


def _spare(load: SetLoad, types: Sequence[DeviceType]) -> Iterator[tuple[str, int]]:
    """Devices that the set can do without, by type: all that are too small for it, and of the others the dearest."""
    fitting = _fitting(load, types)
    surplus = max(0.0, _held(load, types) - load.could_use)
    for each in reversed(fitting):
        count = min(load.executors.get(each.name, 0), floor(surplus / each.speed + EPS))
        surplus -= count * each.speed
        yield each.name, count
    for each in types:
        if each not in fitting:
            yield each.name, load.executors.get(each.name, 0)


def _take(lack: float, fitting: Sequence[DeviceType], pool: dict[str, int]) -> tuple[list[tuple[str, int]], float]:
    """Devices out of `pool` that make up for `lack` units, by type, and what is lacking still."""
    taken: list[tuple[str, int]] = []
    for each in fitting:
        count = min(pool.get(each.name, 0), ceil(lack / each.speed - EPS)) if lack > EPS else 0
        if count:
            taken.append((each.name, count))
            pool[each.name] -= count
            lack -= count * each.speed
    return taken, lack
