"""Which workflows the command line knows: the shipped ones by name, others as `module:name` or `file.py:name`."""

import difflib
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from brickwork.core.errors import BrickworkError, WorkflowError
from brickwork.workflow.api import Workflow


def shipped_names(model: Path | None = None) -> list[str]:
    """The shipped workflows that run without a model of the user's, or those that suit the one in a directory.

    raises    ModelError for a bad directory
    """
    from brickwork.models.video.family import VideoFamily
    from brickwork.starter.workflows import VIDEO, WORKFLOWS
    from brickwork.workflow.catalog import family

    if model is None:
        return list(WORKFLOWS)
    found = family(model)
    if isinstance(found, VideoFamily):
        return ["image-to-video" if found.from_image else "text-to-video"]
    return [name for name in WORKFLOWS if name not in VIDEO]


def find(name: str, model: Path | None = None, **variant: Any) -> Workflow:
    """The workflow called `name`.

    model     directory that replaces the starter's, for shipped workflows
    variant   precision and compile, as `bw.family` takes them, likewise
    raises    WorkflowError for an unknown name, ModelError for a bad directory
    """
    if ":" in name:
        if model is not None or variant:
            flag = "model" if model is not None else next(iter(variant))
            raise WorkflowError(f"{name}: --{flag} is for shipped workflows; this one names its models itself")
        return _from_module(name)
    from brickwork.starter.workflows import VIDEO, WORKFLOWS

    shipped = WORKFLOWS | VIDEO
    if name not in shipped:
        near = difflib.get_close_matches(name, shipped, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        known = ", ".join(shipped)
        raise WorkflowError(f"no workflow {name!r}.{hint} Known: {known}; your own: module:name or file.py:name.")
    if model is None and name not in WORKFLOWS:
        raise WorkflowError(f"{name}: no model for it is shipped; give one with --model DIR")
    return shipped[name](model, **variant) if model is not None else shipped[name](**variant)


def _from_module(reference: str) -> Workflow:
    source, _, attribute = reference.rpartition(":")
    module = _from_file(Path(source)) if source.endswith(".py") else _imported(source)
    workflow = getattr(module, attribute, None)
    if not isinstance(workflow, Workflow):
        names = [name for name, value in vars(module).items() if isinstance(value, Workflow)]
        raise WorkflowError(f"{source} has no workflow {attribute!r}; it has: {', '.join(names) or 'none'}")
    return workflow


def _imported(name: str) -> ModuleType:
    sys.path.insert(0, "")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise WorkflowError(f"cannot import {name}: {error}") from None
    finally:
        sys.path.remove("")


def _from_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise WorkflowError(f"no such file: {path}")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BrickworkError:
        raise
    except Exception as error:  # the user's own file: say what it raised, and where
        raise WorkflowError(f"{path} raised {type(error).__name__}: {error}") from error
    return module
