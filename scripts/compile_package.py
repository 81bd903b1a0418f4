"""Builds an environment in which `brickwork` is partly compiled by mypyc; prints where. scripts/compiled uses it.

    python scripts/compile_package.py           build it where the sources have changed
    python scripts/compile_package.py --built   do not; print nothing when it is not there

The environment is a venv in build/compiled, named by a digest of all that it is made of, so it is built once and never
stale. Its own `brickwork` package consists of links to the files of src, with the compiled modules beside them, which
Python prefers; everything else is found in the environment that runs this.
"""

import fcntl
import hashlib
import os
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Iterator
from contextlib import chdir, redirect_stdout
from importlib.metadata import version
from pathlib import Path

import written_inits

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "brickwork"
BUILDS = ROOT / "build" / "compiled"
MODULES = [
    "compiler/instance.py",
    "profile/correction.py",
    "profile/pace.py",
    "profile/table.py",
    "sim/batch.py",
    "sim/cluster.py",
    "sim/contents.py",
    "sim/executor.py",
    "sim/ledger.py",
    "sim/links.py",
    "sim/loop.py",
    "sim/report.py",
    "sim/runs.py",
]
"""Beside all of control. No module whose types cross a wire: compiled classes do not keep the types of their fields,
by which msgspec decodes."""

INTERPRETED = {"__init__.py", "check.py"}
"""Of control: `check.py` is for tests."""


def compiled_modules() -> list[str]:
    """Paths of the modules to compile, from the root."""
    control = [path for path in (SOURCE / "control").glob("*.py") if path.name not in INTERPRETED]
    return [str(path.relative_to(ROOT)) for path in sorted([*control, *(SOURCE / name for name in MODULES)])]


def native_extension() -> Path:
    """The installed native part."""
    from brickwork import _native

    return Path(_native.__file__)


def package_files() -> Iterator[Path]:
    return (path for path in sorted(SOURCE.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)


def digest() -> str:
    """Of everything that decides what is built; data files count by name, as they are links."""
    scripts = [Path(script).read_text() for script in (__file__, written_inits.__file__)]
    parts = [sys.version, version("mypy"), str(native_extension()), *scripts]
    parts += [f"{path}\n{path.read_text() if path.suffix == '.py' else ''}" for path in package_files()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def write_sources(scratch: Path) -> None:
    """The package as mypyc takes it."""
    modules = {ROOT / module for module in compiled_modules()}
    for path in package_files():
        place = scratch / path.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        if path in modules:
            place.write_text(written_inits.with_inits(path.read_text()))
        elif path.suffix in (".py", ".pyi"):
            place.symlink_to(path)


def compile_into(site: Path, scratch: Path) -> None:
    """Put the compiled modules into `site`."""
    from mypyc.build import mypycify
    from setuptools import Distribution

    write_sources(scratch)
    options = [f"--config-file={ROOT / 'pyproject.toml'}", f"--cache-dir={scratch / 'mypy-cache'}"]
    with chdir(scratch):
        extensions = mypycify(
            [*options, *compiled_modules()],
            opt_level="2",
            debug_level="0",
            target_dir=str(scratch),
            group_name="brickwork",
        )
        command = Distribution({"ext_modules": extensions}).get_command_obj("build_ext")
        command.build_lib, command.build_temp = str(site), str(scratch)
        command.parallel = os.cpu_count()
        command.ensure_finalized()
        command.run()


def link_package(site: Path) -> None:
    for path in package_files():
        place = site / "brickwork" / path.relative_to(SOURCE)
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            place.symlink_to(path)
    native = native_extension()
    if not (place := site / "brickwork" / native.name).exists():
        place.symlink_to(native)


def build(place: Path) -> None:
    with tempfile.TemporaryDirectory(dir=BUILDS, prefix="new-") as scratch:
        environment = Path(scratch) / "environment"
        venv.create(environment, symlinks=True)
        site = Path(sysconfig.get_path("purelib", vars={"base": str(environment), "platbase": str(environment)}))
        compile_into(site, Path(scratch) / "c")
        link_package(site)
        others = [path for path in sys.path if path.endswith("-packages")]
        (site / "others.pth").write_text("\n".join(others) + "\n")
        command = environment / "bin" / "brickwork"
        command.write_text('#!/bin/sh\nexec "$(dirname "$0")/python" -m brickwork.cli "$@"\n')
        command.chmod(0o755)
        environment.rename(place)


def main() -> None:
    os.chdir(ROOT)
    place = BUILDS / digest()
    if sys.argv[1:] == ["--built"]:
        print(place if place.exists() else "")
        return
    BUILDS.mkdir(parents=True, exist_ok=True)
    with open(BUILDS / "lock", "w") as lock, redirect_stdout(sys.stderr):
        fcntl.flock(lock, fcntl.LOCK_EX)  # who comes second waits, and finds it done
        if not place.exists():
            print("brickwork: compiling; about two minutes, once per change of the sources")
            build(place)
            if BUILDS / digest() != place:
                sys.exit("brickwork: the sources changed meanwhile; start again.")
    print(place)


if __name__ == "__main__":
    main()
