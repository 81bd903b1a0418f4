"""Runs SPIN on the models of tests/model. As a script it writes the traces of what must fail into
docs/internals/inbox.md."""

import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parents[1] / "model"
PAGE = HERE.parents[1] / "docs/internals/inbox.md"
MARKS = ("<!-- traces: written by tests/support/spin.py -->", "<!-- end of traces -->")
TIMEOUT_S = 300
VERSION = "6.5.2"
"""Traces are compared with the page only under this version: another one may find another shortest trace."""


@dataclass(frozen=True)
class Case:
    """One run. `fails`: what the mutant shows and the assertion it breaks; empty for what has to hold."""

    name: str
    model: str
    defines: tuple[str, ...] = ()
    fails: str = ""
    breaks: str = ""
    liveness: bool = False


HOLD = [
    Case("two producers", "lossless.pml", ("RECORDS=2",)),
    Case("a successor takes a lane", "lossless.pml", ("SUCCESSOR",)),
    Case("single-producer lanes", "lanes.pml"),
    Case("liveness", "lossless.pml", ("LIVE", "RECORDS=2", "TICKETS=6"), liveness=True),
]
FAIL = [
    Case(
        "payload in the slot",
        "lossless.pml",
        ("PAYLOAD_IN_SLOT",),
        "A record lies where the slot is, not in its writer's lane. Who wakes up late writes over another's record.",
        "x==y",
    ),
    Case(
        "skip by plain store",
        "lossless.pml",
        ("SKIP_BY_STORE",),
        "The consumer looks at the slot and then stores SKIPPED. What was committed in between is lost.",
        "handled[1]==appended[1]",
    ),
    Case(
        "no sequence number",
        "lossless.pml",
        ("NO_SEQUENCE",),
        "The consumer dies between handling and acknowledging. Nobody can tell that the record comes again.",
        "(x%4)>=handled[k]",
    ),
    Case(
        "lane reused before fencing",
        "lossless.pml",
        ("SUCCESSOR", "REUSE_BEFORE_FENCING"),
        "A lane is given to another life because its owner was silent, not because it is dead.",
        "x==y",
    ),
    Case(
        "lanes: end before record",
        "lanes.pml",
        ("END_BEFORE_RECORD",),
        "The ring of single-producer lanes: the lane's end is put without a flush after the record, and lands first.",
        "(x/4)==known",
    ),
    Case(
        "lanes: drained is equal",
        "lanes.pml",
        ("EQUAL_IS_DRAINED",),
        "A lane counts as drained when its two ends are equal. The consumer dies after clearing one, before the other.",
        "(x/4)==known",
    ),
    Case(
        "the locked ring",
        "locked.pml",
        (),
        "The paper's locked double ring, as reconstructed.",
        "handled[1]==appended[1]",
    ),
]


def missing() -> str | None:
    """Which program is not there, or None."""
    return next((program for program in ("spin", "gcc") if not shutil.which(program)), None)


def check(case: Case, directory: Path) -> tuple[bool, str]:
    """Explore all states. Returns whether an error was found, and SPIN's report; leaves a trail in `directory`."""
    defines = [f"-D{define}" for define in case.defines]
    _run(["spin", "-a", *defines, str(HERE / case.model)], directory)
    kind = ["-DNFAIR=3"] if case.liveness else ["-DSAFETY", *(["-DBFS"] if case.fails else [])]
    _run(["gcc", "-O1", "-w", "-DCOLLAPSE", *kind, "-o", "pan", "pan.c"], directory)
    fairly = ["-a", "-f"] if case.liveness else []
    ends = ["-E"] if case.fails else []  # a mutant shall show what becomes of records, not who waits for them
    report = _run(["./pan", "-m1000000", *fairly, *ends], directory)
    if "out of memory" in report or "max search depth too small" in report:
        raise RuntimeError(f"{case.name}: SPIN could not explore all states:\n{report}")
    errors = re.search(r"errors: (\d+)", report)
    if not errors:
        raise RuntimeError(f"{case.name}: SPIN did not finish:\n{report}")
    return errors[1] != "0", report


def trace(case: Case, directory: Path) -> str:
    """The shortest way to the failure, one access to shared memory a line."""
    defines = [f"-D{define}" for define in case.defines]
    trail = directory / f"{case.model}.trail"
    steps = _run(["spin", "-t", "-p", "-k", str(trail), *defines, str(HERE / case.model)], directory)
    pattern = re.compile(r"proc +(\d) \((:init:|producer|successor|consumer):1\).*\t\[(.*)\]$", re.MULTILINE)
    lines, found = [], pattern.findall(steps)
    for number, (process, kind, statement) in enumerate(found, 1):
        if statement.startswith("assert") and number < len(found):
            continue  # it held
        if kind != ":init:" and (told := _told(statement)):
            name = "consumer" if kind == "consumer" else f"producer {process}"
            lines.append(f"{name:<12}{told}")
    return "\n".join(lines)


TOLD = {
    "goto over": "dies",
    "goto start": "dies and starts again",
    "ticket = tail": "takes the tail as its ticket",
    "tail = ": "advances the tail",
    "first_half[": "writes the first half of its record",
    "second_half[": "writes the second half of its record",
    "slot[(ticket%2)].state = READY": "commits: its slot is READY",
    "slot[(head%2)].state = SKIPPED": "gives the slot up: SKIPPED",
    "x = first_half[": "reads the first half of the record",
    "y = second_half[": "reads the second half of the record",
    "handled[k] = ": "handles the record",
    "head = ": "advances the head",
    "slot[((head-1)%2)].state = FREE": "frees the slot for the next lap",
    "lane[0].noticed = ": "thinks that the life in lane 0 is dead",
    "lane[0].life = 0": "gives lane 0 back",
    "lane[mine].life = 3": "joins as life 3 in that lane",
    "unit[((mine*5)+(start%5))]": "writes the first half of its record",
    "unit[((mine*5)+((start+1)%5))]": "writes the second half of its record",
    "lane[mine].written = ": "commits: moves its lane's end",
    "x = unit[": "reads the first half of the record",
    "y = unit[": "reads the second half of the record",
    "handled[known[": "handles the record",
    "lane[1].consumed = cursor": "acknowledges",
    "lane[1].written = 0": "gives the dead one's lane back: clears its end",
    "cursor[1] = lane[1].consumed": "looks where it was in that lane",
    "lock = life": "takes the lock",
    "lock = 0": "unlocks",
    "busy[(ticket%2)] = 1": "claims the entry at its ticket",
    "busy[(head%2)] = 0": "frees the entry",
    "assert": "finds that this does not hold: ",
}
"""What a statement of the models means; the others do not touch what is shared."""


def _told(statement: str) -> str | None:
    for start, meaning in TOLD.items():
        if statement.startswith(start):
            return meaning + statement[len("assert((") : -len("))")] if start == "assert" else meaning
    return None


def traces() -> str:
    """The section of the page, without its marks."""
    parts = []
    for case in FAIL:
        with tempfile.TemporaryDirectory() as directory:
            failed, report = check(case, Path(directory))
            if not failed or case.breaks not in report:
                raise RuntimeError(f"{case.name} did not break {case.breaks}:\n{report}")
            text = trace(case, Path(directory))
        parts.append(f"### {case.name[0].upper()}{case.name[1:]}\n\n{case.fails}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


def section_of(page: str) -> str:
    return page.split(MARKS[0] + "\n")[1].split(MARKS[1])[0]


def _run(command: list[str], directory: Path) -> str:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=TIMEOUT_S)
    if done.returncode != 0 and command[0] != "./pan":
        raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, after = page.split(MARKS[0])[0], page.split(MARKS[1])[1]
    PAGE.write_text("".join([before, MARKS[0], "\n", traces(), MARKS[1], after]), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
