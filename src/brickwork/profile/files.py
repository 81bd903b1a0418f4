"""Profiles as YAML files. Errors name the file and the field; the format is shown in `starter-cpu.yaml`."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from brickwork.profile.csv_files import parse_csv_profile
from brickwork.profile.errors import ProfileError
from brickwork.profile.table import ANY_SHAPE, CallProfile, Curve, Defaults, DeviceProfile, LinkProfile, Profile

FORMAT = "brickwork-profile/1"


SHIPPED = ("starter-cpu", "h800", "h100")
"""Profiles inside the package: the starter model on a CPU; published figures of known models on two GPUs."""


def starter_profile() -> Profile:
    """The profile that is shipped for the starter model on a CPU."""
    return shipped_profile("starter-cpu")


def shipped_profile(name: str) -> Profile:
    """A profile of `SHIPPED`."""
    return read_profile(Path(str(files("brickwork.profile") / f"{name}.yaml")))


def read_profile(path: Path) -> Profile:
    """Read a profile file: YAML, or a table when its name ends in .csv (see `csv_files.py`).

    raises    ProfileError naming file, line or field, and what was expected
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ProfileError(f"{path}: cannot be read ({error.strerror}); give the path of a profile file.") from error
    except UnicodeDecodeError:
        raise ProfileError(f"{path}: is not UTF-8 text; give the path of a profile file.") from None
    return parse_csv_profile(text, str(path)) if path.suffix == ".csv" else parse_profile(text, str(path))


def parse_profile(text: str, name: str = "profile") -> Profile:
    """Read a profile from YAML text; `name` stands for the file in errors."""
    try:
        document = yaml.safe_load(text)
    except (RecursionError, ValueError) as error:
        raise ProfileError(f"{name}: cannot be read as YAML ({type(error).__name__}).") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise ProfileError(f"{name}: {line}{getattr(error, 'problem', None) or error}.") from error
    try:
        return _profile(_Field(document, ""))
    except _Wrong as wrong:
        raise ProfileError(f"{name}: {wrong.path or 'the file'}: {wrong.expected}.") from None


def write_profile(profile: Profile, source: str) -> str:
    """The YAML text of `profile`. `source` tells where its figures come from."""
    document = {
        "format": FORMAT,
        "source": source,
        "defaults": {
            "call_s": profile.defaults.call_s,
            "row_share": profile.defaults.row_share,
            "activation_bytes_per_element": profile.defaults.activation_bytes_per_element,
        },
        "local": {"base_s": profile.local.base_s, "bytes_per_s": profile.local.bytes_per_s},
        "remote": {"base_s": profile.remote.base_s, "bytes_per_s": profile.remote.bytes_per_s},
        "devices": {name: _written_device(device) for name, device in profile.devices.items()},
    }
    return str(yaml.safe_dump(document, sort_keys=False))


def _written_device(device: DeviceProfile) -> dict[str, Any]:
    calls = {
        key: {
            shape: {"seconds": dict(call.seconds.points)}
            | ({"activation_bytes": dict(call.activation_bytes.points)} if call.activation_bytes else {})
            | ({"speedups": dict(call.speedups)} if call.speedups else {})
            for shape, call in shapes.items()
        }
        for key, shapes in device.calls.items()
    }
    load: dict[str, Any] = {"base_s": device.load_base_s, "bytes_per_s": device.load_bytes_per_s}
    if device.loads_s:
        load["seconds"] = dict(device.loads_s)
    return {"load": load, "calls": calls}


class _Wrong(Exception):
    def __init__(self, path: str, expected: str):
        self.path = path
        self.expected = expected


class _Field:
    """A value of the document together with its path, so that every complaint can say where."""

    def __init__(self, value: Any, path: str):
        self.value = value
        self.path = path

    def items(self) -> list[tuple[Any, "_Field"]]:
        if not isinstance(self.value, dict) or not self.value:
            raise _Wrong(self.path, f"expected a table with at least one entry, found {self.value!r}")
        return [(key, _Field(value, f"{self.path}.{key}".lstrip("."))) for key, value in self.value.items()]

    def get(self, name: str) -> "_Field | None":
        return dict(self.items()).get(name)

    def need(self, name: str) -> "_Field":
        found = self.get(name)
        if found is None:
            raise _Wrong(f"{self.path}.{name}".lstrip("."), "is missing")
        return found

    def only(self, *names: str) -> None:
        for key, field in self.items():
            if key not in names:
                raise _Wrong(field.path, f"is not known here; expected one of {', '.join(names)}")

    def number(self, positive: bool = False) -> float:
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or (positive and value == 0):
            raise _Wrong(self.path, f"expected a number {'> 0' if positive else '>= 0'}, found {value!r}")
        return float(value)


def _profile(document: _Field) -> Profile:
    document.only("format", "source", "defaults", "local", "remote", "devices")
    if document.need("format").value != FORMAT:
        raise _Wrong("format", f"expected {FORMAT!r}, found {document.need('format').value!r}")
    shipped = Profile({})
    defaults, local, remote = (document.get(name) for name in ("defaults", "local", "remote"))
    return Profile(
        devices={str(name): _device(device) for name, device in document.need("devices").items()},
        defaults=_defaults(defaults) if defaults else shipped.defaults,
        local=_link(local) if local else shipped.local,
        remote=_link(remote) if remote else shipped.remote,
    )


def _defaults(field: _Field) -> Defaults:
    field.only("call_s", "row_share", "activation_bytes_per_element")
    return Defaults(
        field.need("call_s").number(positive=True),
        share.number() if (share := field.get("row_share")) else Defaults().row_share,
        field.need("activation_bytes_per_element").number(),
    )


def _link(field: _Field) -> LinkProfile:
    field.only("base_s", "bytes_per_s")
    return LinkProfile(field.need("base_s").number(), field.need("bytes_per_s").number(positive=True))


def _device(field: _Field) -> DeviceProfile:
    field.only("load", "calls")
    load = field.need("load")
    load.only("base_s", "bytes_per_s", "seconds")
    seconds = load.get("seconds")
    calls = {
        str(key): {_shape(shape, call): _call(call) for shape, call in shapes.items()}
        for key, shapes in field.need("calls").items()
    }
    return DeviceProfile(
        calls,
        load.need("base_s").number(),
        load.need("bytes_per_s").number(positive=True),
        {str(model): value.number() for model, value in seconds.items()} if seconds else {},
    )


def _shape(shape: Any, field: _Field) -> str:
    text = str(shape)
    if text not in ("", ANY_SHAPE) and not all(size.isdigit() and int(size) > 0 for size in text.split("x")):
        raise _Wrong(field.path, 'expected a shape such as "16x8x8", or "any"')
    return text


def _call(field: _Field) -> CallProfile:
    field.only("seconds", "activation_bytes", "speedups")
    activation, speedups = field.get("activation_bytes"), field.get("speedups")
    return CallProfile(
        _curve(field.need("seconds")),
        _curve(activation) if activation else None,
        {degree: value.number(positive=True) for degree, value in speedups.items()} if speedups else {},
    )


def _curve(field: _Field) -> Curve:
    points = []
    for rows, value in field.items():
        if isinstance(rows, bool) or not isinstance(rows, int) or rows < 1:
            raise _Wrong(value.path, f"expected a number of rows >= 1 as the key, found {rows!r}")
        points.append((rows, value.number()))
    return Curve(tuple(sorted(points)))
