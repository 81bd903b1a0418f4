"""Latency and memory of model calls, as an immutable table.

A *call* runs one piece of work (`f"{ModelSpec.profile}/{op}"`) once, at a concrete shape (`"16x8x8"`), for some rows.
The table holds a curve over rows for each (device, work, shape) that was measured. What was not measured is guessed,
always in the same way, and the guess is corrected online (`profile.correction`):

    rows between two points      straight line; beyond the last point, the last slope goes on; before the first, the
                                 first slope, but a row is never cheaper than there
    a shape not in the table     the entry for "any" shape; else the nearest shape, scaled by the number of elements
    a work not in the table      the entry of its model's class, "Class/op" for "Class-<digest of config>/op"
    a class not in the table     Defaults.call_s for a row, and a share of it for each further one
    a device not in the table    the table's first device

Several devices may share a call. Rows are split over them as far as they go (the two rows of classifier-free guidance
on two devices), and each part may be split further along its sequence, at the speed-up that was measured for the work.

It knows neither plans nor executors; it only answers questions about single calls, loads and transfers.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import ceil, inf, prod

from brickwork.core.model import ModelSpec

ANY_SHAPE = "any"
"""In place of a shape: the figure holds for every shape of the work."""


MAX_DEGREE = 8
"""Devices that share a call, at most: one host's, and the largest degree that is published for the known models."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A quantity by number of rows: (rows, value) points, rows rising, at least one."""

    points: tuple[tuple[int, float], ...]

    def at(self, rows: int) -> float:
        """Value at `rows` >= 1, on the straight line between the two nearest points; of fewer rows than the first
        point's, their share of it at least."""
        points = self.points
        if len(points) == 1:
            return points[0][1] * rows / points[0][0]
        right = min(max(bisect_left(points, rows, key=lambda point: point[0]), 1), len(points) - 1)
        (rows_a, value_a), (rows_b, value_b) = points[right - 1], points[right]
        least = value_a * rows / rows_a if rows < rows_a else 0.0
        return max(least, value_a + (value_b - value_a) * (rows - rows_a) / (rows_b - rows_a))


@dataclass(frozen=True, slots=True)
class CallProfile:
    """One work at one shape on one device."""

    seconds: Curve
    activation_bytes: Curve | None = None  # peak beside the weights; None: not measured
    speedups: Mapping[int, float] = field(default_factory=dict)  # devices that share one row's sequence -> speed-up


@dataclass(frozen=True, slots=True)
class DeviceProfile:
    calls: Mapping[str, Mapping[str, CallProfile]]  # work key -> shape -> profile
    load_base_s: float  # part of a load that does not depend on its size
    load_bytes_per_s: float
    loads_s: Mapping[str, float] = field(default_factory=dict)  # ModelSpec.profile -> seconds, where measured


@dataclass(frozen=True, slots=True)
class LinkProfile:
    base_s: float
    bytes_per_s: float


@dataclass(frozen=True, slots=True)
class Defaults:
    """What is assumed of work that nobody measured."""

    call_s: float = 0.05  # of one row; wrong by much for most models, and corrected by the first batch
    row_share: float = 0.5  # of that, what each further row adds: between the 0.1 of text encoders and a decoder's 0.8,
    # so that batches of a new model form before anybody has written its profile
    activation_bytes_per_element: float = 256.0  # of the work's main shape, per row: some 64 fp32 maps of its size

    def seconds(self, rows: int) -> float:
        """Of one call of `rows` rows."""
        return self.call_s * (1.0 + self.row_share * (rows - 1))


@dataclass(frozen=True, slots=True)
class Profile:
    """What control and simulator know of speed before anything ran."""

    devices: Mapping[str, DeviceProfile]  # at least one; the first stands in for devices that are not listed
    local: LinkProfile = LinkProfile(base_s=0.0, bytes_per_s=2.0e10)  # mapped, not copied: page faults only
    remote: LinkProfile = LinkProfile(base_s=1.0e-4, bytes_per_s=1.1e9)  # TCP on 10 GbE, notes of the papers
    defaults: Defaults = field(default_factory=Defaults)

    def call_s(self, device: str, key: str, shape: str, rows: int, degree: int = 1) -> float:
        """Seconds of one call of work `key` at `shape` with `rows` rows, shared by `degree` devices of type `device`.

        Of the ways to share it (rows over some devices, sequences over others) the fastest that the table has figures
        for; inf when it has none, which only happens at degree > 1.
        """
        found, scale = self._find(device, key, shape)
        if degree == 1:
            return found.seconds.at(rows) * scale if found else self.defaults.seconds(rows)
        fastest_s = inf
        for parts in range(1, min(rows, degree) + 1):
            speedup = _speedup(found, degree // parts) if degree % parts == 0 else None
            if speedup is not None:
                fastest_s = min(fastest_s, self.call_s(device, key, shape, ceil(rows / parts)) / speedup)
        return fastest_s

    def degrees(self, device: str, key: str, shape: str, rows: int = 1) -> tuple[int, ...]:
        """Powers of two above 1, up to MAX_DEGREE, at which a call of `rows` rows may be shared."""
        degrees = [1 << k for k in range(1, MAX_DEGREE.bit_length())]
        return tuple(degree for degree in degrees if self.call_s(device, key, shape, rows, degree) < inf)

    def activation_bytes(self, device: str, key: str, shape: str, rows: int) -> int:
        """Memory that such a call needs beside the weights."""
        found, scale = self._find(device, key, shape)
        if found and found.activation_bytes:
            return int(found.activation_bytes.at(rows) * scale)
        return int(self.defaults.activation_bytes_per_element * elements(shape) * rows)

    def load_s(self, device: str, model: ModelSpec) -> float:
        """Seconds from the order to load `model` until it is usable."""
        profile = self._device(device)
        if (measured_s := profile.loads_s.get(model.profile)) is not None:
            return measured_s
        return profile.load_base_s + model.weight_bytes / profile.load_bytes_per_s

    def transfer_s(self, nbytes: int, same_host: bool) -> float:
        """Seconds until `nbytes` that lie on one host are readable on the same or another one."""
        link = self.local if same_host else self.remote
        return link.base_s + nbytes / link.bytes_per_s

    def _device(self, device: str) -> DeviceProfile:
        return self.devices.get(device) or next(iter(self.devices.values()))

    def _find(self, device: str, key: str, shape: str) -> tuple[CallProfile | None, float]:
        """The measured call nearest to the wanted one, and the factor from its size to the wanted size."""
        calls = self._device(device).calls
        shapes = calls.get(key) or calls.get(_of_class(key))
        if not shapes:
            return None, 1.0
        if found := shapes.get(shape) or shapes.get(ANY_SHAPE):
            return found, 1.0
        wanted = elements(shape)
        nearest = min(shapes, key=lambda known: (_ratio(elements(known), wanted), known))
        return shapes[nearest], wanted / elements(nearest)


def _speedup(call: CallProfile | None, degree: int) -> float | None:
    """How much faster `degree` devices share a row's sequence; None where that was not measured."""
    return 1.0 if degree == 1 else call.speedups.get(degree) if call else None


def of_classes(profile: Profile) -> Profile:
    """The profile with each work named by its model's class alone, so that it is found for any model of the class.

    Where several models of a class have figures for a shape, those of the first stay.
    """

    def named(device: DeviceProfile) -> DeviceProfile:
        calls: dict[str, dict[str, CallProfile]] = {}
        for key, shapes in device.calls.items():
            calls[_of_class(key)] = {**shapes, **calls.get(_of_class(key), {})}
        return replace(device, calls=calls)

    return replace(profile, devices={name: named(device) for name, device in profile.devices.items()})


def _of_class(key: str) -> str:
    """The key of the same operation on any model of the class; such a key itself stays."""
    model, _, op = key.partition("/")
    return f"{model.rpartition('-')[0] or model}/{op}"


def elements(shape: str) -> int:
    """Number of elements of a written shape: "16x8x8" has 1,024, "" (a scalar) has 1."""
    return prod([int(size) for size in shape.split("x")]) if shape else 1


def _ratio(a: int, b: int) -> float:
    return max(a / b, b / a)
