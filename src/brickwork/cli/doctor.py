"""`brickwork doctor`: each thing that brickwork needs of a machine, tried for real, with the remedy when it fails."""

import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from brickwork.core.errors import BrickworkError

OK, WARN, BAD = "ok", "warning", "FAILED"


def examine() -> int:
    """Print one line a check. Returns the exit status: 0 when everything that is needed works."""
    checks: list[tuple[str, Callable[[], tuple[str, str]]]] = [
        ("platform", _platform),
        ("processors", _processors),
        ("torch", _torch),
        ("native code", _native),
        ("tensor arena", _arena),
        ("starter model", _starter),
        ("executor", _executor),
        *_fabrics(),
    ]
    worst = OK
    for name, check in checks:
        try:
            verdict, detail = check()
        except (BrickworkError, OSError, ImportError, TimeoutError) as error:
            verdict, detail = BAD, str(error)
        print(f"{verdict:>8}  {name}: {detail}", flush=True)
        worst = BAD if BAD in (worst, verdict) else worst
    return 1 if worst == BAD else 0


def _platform() -> tuple[str, str]:
    has_pidfd = hasattr(os, "pidfd_open") and hasattr(os, "memfd_create")
    text = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return (OK, text) if has_pidfd else (BAD, f"{text}; memfd and pidfd are needed: Linux 5.3 or newer")


def _processors() -> tuple[str, str]:
    cores = len(os.sched_getaffinity(0))
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    free_bytes = shutil.disk_usage("/").free
    text = f"{cores} usable, {memory_bytes / 2**30:.1f} GiB memory, {free_bytes / 2**30:.0f} GiB disk free"
    return (OK if cores > 1 else WARN), text


def _torch() -> tuple[str, str]:
    from importlib.metadata import version

    import torch

    versions = ", ".join(f"{name} {version(name)}" for name in ("diffusers", "transformers"))
    device = f"{torch.cuda.device_count()} CUDA devices (not used yet)" if torch.cuda.is_available() else "CPU only"
    return OK, f"{torch.__version__}, {versions}, {device}"


def _native() -> tuple[str, str]:
    from brickwork import _native

    words = _native.Words(bytearray(16), 0, 2)
    worked = words.compare_exchange(1, 0, 7) and words.load(1) == 7
    return (OK, "atomics on mapped words work") if worked else (BAD, "atomics give wrong values; reinstall brickwork")


def _arena() -> tuple[str, str]:
    import numpy as np

    from brickwork.coordinator.values import put_array
    from brickwork.data.keeper import Keeper

    keeper = Keeper()
    try:
        handle = put_array(keeper.store, np.arange(1000, dtype=np.float32))
        with keeper.store.get(handle) as lease:
            total = float(np.frombuffer(lease.buffer, np.float32).sum())
        keeper.store.release(handle)
    finally:
        keeper.close()
    return (OK, "shared memory holds and returns a tensor") if total == 499500.0 else (BAD, "bytes differ")


def _starter() -> tuple[str, str]:
    from brickwork.starter.workflows import STARTER, WORKFLOWS

    plan = WORKFLOWS["text-to-image"]().plan
    weight_bytes = sum(model.weight_bytes for model in plan.models)
    size = sum(file.stat().st_size for file in Path(STARTER).rglob("*") if file.is_file())
    return OK, f"{len(plan.models)} models, {size / 1e6:.1f} MB on disk, {weight_bytes / 1e6:.1f} MB in memory"


def _executor() -> tuple[str, str]:
    from time import monotonic

    from brickwork.coordinator.cluster import Cluster

    start_s = monotonic()
    with Cluster(executors=1) as cluster:
        pids = ", ".join(str(pid) for pid in cluster.pids().values())
        ready_s = monotonic() - start_s
    return OK, f"process {pids} joined after {ready_s:.1f} s"


def _fabrics() -> list[tuple[str, Callable[[], tuple[str, str]]]]:
    """Each fabric's self-test with the target asleep, and which one two processes would use."""
    from brickwork.data.fabric.probe import FABRICS, Probe, probe
    from brickwork.data.fabric.select import select, this_party

    found: dict[str, Probe] = {}

    def examine(fabric: str) -> tuple[str, str]:
        one = found[fabric] = probe(fabric)
        if one.word is None:
            return (WARN if fabric == "ucx" else BAD), f"not available: {one.why_not}"
        return OK, f"{one.version}, transports {', '.join(one.transports)}; {one.word}"

    def choose() -> tuple[str, str]:
        ucx = found["ucx"]
        here = this_party(ucx.version, ucx.transports, ucx.word)
        elsewhere = replace(here, boot_id="of another host like this one")
        near, far = select(here, here), select(here, elsewhere)
        return OK, f"on this host {near.fabric} ({near.reason}); between hosts like it {far.fabric} ({far.reason})"

    checks = [(f"fabric {fabric}", partial(examine, fabric)) for fabric in FABRICS]
    return [*checks, ("fabric chosen", choose)]
