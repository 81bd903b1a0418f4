"""Virtual devices that sets own, and that the Node Manager moves, starts and stops. Decides nothing.

A device is *held* from the order to start it until it has left its last set; what that costs is `reserved_s`. One that
moves leaves its set first, when it is idle; its executor is then started anew.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from brickwork.control.events import StartOffered
from brickwork.node_manager.policy import Move, Order, Start, Stop
from brickwork.sim.cluster import Cluster, Slot
from brickwork.sim.loop import Loop

MOVE_S = 5.0
"""From leaving one set to joining another: an executor process that imports torch anew takes 3-5 s."""


@dataclass(slots=True)
class _Device:
    slot: Slot
    start_s: float  # cold start
    owner: str | None = None  # the set that has it, or will; None: nobody's, or about to be
    is_leaving: bool = False  # it is in another set than its owner's still
    is_broken: bool = False
    held_since_s: float | None = None  # None: it is not there


class VirtualFleet:
    """Carries out the orders of a Node Manager.

    sets       by name
    devices    all that there may be, with their cold starts
    """

    def __init__(self, loop: Loop, sets: Mapping[str, Cluster], devices: Sequence[tuple[Slot, float]]):
        self._loop = loop
        self._sets = sets
        self._devices = {slot.name: _Device(slot, start_s) for slot, start_s in devices}
        self._leases: list[tuple[float, float]] = []  # that have ended
        for name, cluster in sets.items():
            cluster.on_gone = partial(self._gone, name)

    def give(self, name: str, device: str, count: int) -> None:
        """Let a set begin with `count` devices of a type."""
        for each in self._free(device)[:count]:
            each.owner, each.held_since_s = name, self._loop.now_s
            self._sets[name].add(each.slot)

    def owned(self) -> dict[str, Counter[str]]:
        """Executors that each set has, or will have when orders under way are done, by device type."""
        owned: dict[str, Counter[str]] = {name: Counter() for name in self._sets}
        for each in self._devices.values():
            if each.owner is not None:
                owned[each.owner][each.slot.device] += 1
        return owned

    def free(self) -> Counter[str]:
        """Devices that can be started, by type."""
        return Counter(each.slot.device for each in self._devices.values() if _is_free(each))

    def offer(self) -> StartOffered:
        """What could be started: devices that nobody has or will have, and the longest of their starts."""
        starts_s = [each.start_s for each in self._devices.values() if each.owner is None and not each.is_broken]
        return StartOffered(max(starts_s, default=0.0), len(starts_s))

    def carry_out(self, order: Order) -> None:
        match order:
            case Start():
                for each in self._free(order.device)[: order.count]:
                    each.owner, each.held_since_s = order.target, self._loop.now_s
                    self._loop.after(each.start_s, partial(self._join, each))
            case Move():
                self._send_off(order.source, order.target, order.device, order.count)
            case Stop():
                self._send_off(order.source, None, order.device, order.count)

    def reserved_s(self, from_s: float, until_s: float) -> float:
        """Device seconds that were held within a time."""
        held = [(each.held_since_s, until_s) for each in self._devices.values() if each.held_since_s is not None]
        return sum(max(0.0, min(end_s, until_s) - max(start_s, from_s)) for start_s, end_s in self._leases + held)

    def _free(self, device: str) -> list[_Device]:
        return [each for each in self._devices.values() if each.slot.device == device and _is_free(each)]

    def _send_off(self, source: str, target: str | None, device: str, count: int) -> None:
        for name in self._sets[source].leave(count, device):
            self._devices[name].owner, self._devices[name].is_leaving = target, True

    def _join(self, device: _Device) -> None:
        assert device.owner is not None
        self._sets[device.owner].add(device.slot)

    def _gone(self, source: str, name: str, is_broken: bool) -> None:
        """A device has left a set, or will never come back to it."""
        device = self._devices[name]
        device.is_leaving = False
        device.is_broken = is_broken
        if device.owner is not None and not is_broken:
            return self._loop.after(MOVE_S, partial(self._join, device))
        assert device.held_since_s is not None
        self._leases.append((device.held_since_s, self._loop.now_s))
        device.owner = device.held_since_s = None


def _is_free(device: _Device) -> bool:
    return device.held_since_s is None and not device.is_broken
