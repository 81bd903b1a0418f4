"""Profiles as a table: one line a figure, for people who keep measurements in spreadsheets.

    device,model,op,shape,rows,degree,seconds,activation_bytes
    h800,StableDiffusion3,denoise,16x128x128,1,1,0.037033,203000000
    h800,StableDiffusion3,denoise,16x128x128,1,2,0.0231,
    h800,StableDiffusion3,load,,,,0.43851,

`shape` may be "any"; a line with op "load" gives the seconds of a load; a line with degree > 1 gives those of one row
shared by so many devices. Links and defaults are the shipped ones. Errors name file, line and column.
"""

import csv
import io
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from brickwork.profile.errors import ProfileError
from brickwork.profile.table import CallProfile, Curve, DeviceProfile, Profile

COLUMNS = ("device", "model", "op", "shape", "rows", "degree", "seconds", "activation_bytes")

LOAD_BYTES_PER_S = 8.8e9
"""For models without a line of their own: the mean of the loads published for the H800."""


@dataclass(slots=True)
class _Call:
    seconds: dict[int, float] = field(default_factory=dict)
    bytes_: dict[int, float] = field(default_factory=dict)
    shared_s: dict[int, float] = field(default_factory=dict)  # degree -> seconds of one row


def parse_csv_profile(text: str, name: str) -> Profile:
    """Read a profile from CSV text; `name` stands for the file in errors. raises ProfileError"""
    rows = csv.DictReader(io.StringIO(text))
    if tuple(rows.fieldnames or ()) != COLUMNS:
        raise ProfileError(f"{name}: the first line must be {','.join(COLUMNS)}.")
    calls: dict[str, dict[str, dict[str, _Call]]] = {}
    loads_s: dict[str, dict[str, float]] = {}
    for row in rows:
        line = _Line(row, f"{name}: line {rows.line_num}")
        device, model, op = (line.text(column) for column in ("device", "model", "op"))
        if op == "load":
            loads_s.setdefault(device, {})[model] = line.number("seconds")
        else:
            shapes = calls.setdefault(device, {}).setdefault(f"{model}/{op}", {})
            _add(shapes.setdefault(line.row["shape"] or "any", _Call()), line)
    if not calls:
        raise ProfileError(f"{name}: there is no figure in it.")
    return Profile({device: _device(found, loads_s.get(device, {}), name) for device, found in calls.items()})


@dataclass(frozen=True, slots=True)
class _Line:
    row: dict[str, str]
    where: str

    def text(self, column: str) -> str:
        if not self.row[column]:
            raise ProfileError(f"{self.where}: {column} is empty.")
        return self.row[column]

    def number(self, column: str, convert: Callable[[str], float] = float) -> float:
        try:
            value = convert(self.row[column])
        except (TypeError, ValueError):
            value = math.nan
        if not (0 <= value < math.inf):
            kind = "a whole number >= 1" if convert is int else "a number >= 0"
            raise ProfileError(f"{self.where}: {column}: expected {kind}, found {self.row[column]!r}.")
        return value

    def count(self, column: str) -> int:
        value = int(self.number(column, int)) if self.row[column] else 1
        if value < 1:
            raise ProfileError(f"{self.where}: {column}: expected a whole number >= 1, found {value}.")
        return value


def _add(call: _Call, line: _Line) -> None:
    rows, degree, seconds = line.count("rows"), line.count("degree"), line.number("seconds")
    if degree > 1:
        if rows != 1:
            raise ProfileError(f"{line.where}: rows: figures at degree > 1 are given for one row.")
        call.shared_s[degree] = seconds
        return
    call.seconds[rows] = seconds
    if line.row["activation_bytes"]:
        call.bytes_[rows] = line.number("activation_bytes")


def _device(calls: dict[str, dict[str, _Call]], loads_s: dict[str, float], name: str) -> DeviceProfile:
    made = {
        key: {shape: _profile(call, f"{name}: {key} {shape}") for shape, call in shapes.items()}
        for key, shapes in calls.items()
    }
    return DeviceProfile(made, 0.0, LOAD_BYTES_PER_S, loads_s)


def _profile(call: _Call, where: str) -> CallProfile:
    if not call.seconds:
        raise ProfileError(f"{where}: there are figures for several devices and none for one.")
    seconds = Curve(tuple(sorted(call.seconds.items())))
    alone_s = seconds.at(1)
    speedups = {degree: alone_s / shared_s for degree, shared_s in sorted(call.shared_s.items()) if shared_s > 0}
    return CallProfile(seconds, Curve(tuple(sorted(call.bytes_.items()))) if call.bytes_ else None, speedups)
