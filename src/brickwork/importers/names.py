"""Names that a user gave to model directories, kept in one JSON file of the user's."""

import json
import os
import re
import tempfile
from pathlib import Path

from brickwork.core.errors import ModelError
from brickwork.workflow.components import read_json

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}\Z")


def known() -> dict[str, Path]:
    """Directories by name, in the order of the names."""
    file = _file()
    found = read_json(file) if file.exists() else {}
    return {name: Path(path) for name, path in sorted(found.items()) if isinstance(path, str)}


def add(name: str, directory: Path) -> None:
    """Remember `directory` as `name`.

    raises    ModelError when the name is no name, or another directory has it
    """
    if not NAME.match(name):
        raise ModelError(f"{name!r} is no name; use lower case letters, digits, dots, dashes and underscores.")
    names = known()
    if names.get(name, directory) != directory:
        raise ModelError(f"{name} is {names[name]} already; remove it first, or choose another name.")
    _write(names | {name: directory})


def remove(name: str) -> Path:
    """Forget a name; the directory stays as it is. Returns the directory."""
    names = known()
    if name not in names:
        raise ModelError(f"there is no model {name!r}; known: {', '.join(names) or 'none'}.")
    directory = names.pop(name)
    _write(names)
    return directory


def _file() -> Path:
    root = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(root) / "brickwork" / "models.json"


def _write(names: dict[str, Path]) -> None:
    """Beside itself first: a reader sees the old list or the new one."""
    target = _file()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=target.parent, delete=False, encoding="utf-8") as stream:
        json.dump({name: str(path) for name, path in names.items()}, stream, indent=2)
    os.replace(stream.name, target)
