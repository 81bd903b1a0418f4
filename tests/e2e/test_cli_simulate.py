"""Goal: `brickwork simulate` and `brickwork plan` answer from a file: a table, JSON, a timeline, a plot, clear errors;
`brickwork profile` measures a real executor and writes what they can read.

Method: the real command on the shipped example with fewer requests, in processes of their own.
"""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from brickwork.profile.files import read_profile, write_profile
from support.speeds import fast_and_slow

EXAMPLE = Path(__file__).parents[2] / "examples" / "burst.yaml"


def brickwork(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from brickwork.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_policies_are_compared_in_a_table() -> None:
    done = brickwork("simulate", EXAMPLE, "--set", "requests=40", "--policy", "brickwork", "--policy", "B2")
    assert done.returncode == 0, done.stderr
    assert "(simulated)" in done.stdout and "brickwork" in done.stdout and "B2: split" in done.stdout


def test_json_timeline_and_plot(tmp_path: Path) -> None:
    timeline, plot = tmp_path / "timeline.json", tmp_path / "plot.svg"
    done = brickwork("simulate", EXAMPLE, "--set", "requests=40", "--json", "--trace", timeline, "--plot", plot)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    point = result["points"][0]
    assert result["simulated"] is True and 0 <= point["attainment"] <= 1 and point["unfinished"] == 0
    events = json.loads(timeline.read_text())["traceEvents"]
    assert {"denoise", "decode", "encode"} <= {event["name"] for event in events}
    assert all(event["dur"] >= 0 for event in events if event["ph"] == "X")
    assert ElementTree.parse(plot).getroot().tag.endswith("svg")


def test_equal_seeds_give_equal_answers() -> None:
    answers = [brickwork("simulate", EXAMPLE, "--set", "requests=30", "--json").stdout for _ in range(2)]
    assert answers[0] == answers[1] != ""


def test_plan_finds_a_fleet_and_its_price() -> None:
    done = brickwork("plan", EXAMPLE, "--set", "requests=40", "--policy", "B0", "--json")
    assert done.returncode == 0, done.stderr
    (plan,) = json.loads(done.stdout)["plans"]
    assert plan["holds"] and plan["price_per_hour"] == plan["devices"]["h800"] * 2.5
    assert plan["attainment"] >= 0.9


def test_plan_finds_a_mix_that_is_cheaper_than_each_type(tmp_path: Path) -> None:
    """Deadlines are less than what a slow device needs alone for a request."""
    (tmp_path / "two.yaml").write_text(write_profile(fast_and_slow(2.0), "of the test"))
    text = EXAMPLE.read_text().replace("profile: h800", "profile: two.yaml").replace("requests: 400", "requests: 200")
    slow = "  - {device: slow, count: 1, price_per_hour: 1.1}\n"
    (tmp_path / "plan.yaml").write_text(text.replace("workflows:", f"{slow}workflows:").replace("cv: 3", "cv: 1"))
    done = brickwork("plan", tmp_path / "plan.yaml", "--set", "slo_scale=1.8", "--json")
    assert done.returncode == 0, done.stderr
    fast, other, mix = json.loads(done.stdout)["plans"]
    assert set(fast["devices"]) == {"h800"} and set(other["devices"]) == {"slow"}
    assert set(mix["devices"]) == {"h800", "slow"} and mix["attainment"] >= 0.9
    assert mix["price_per_hour"] < min(fast["price_per_hour"], other["price_per_hour"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("simulate", "absent.yaml"), "cannot be read"),
        (("simulate", EXAMPLE, "--set", "fleet.0.count=0"), "fleet[0].count: expected `int` >= 1"),
        (("simulate", EXAMPLE, "--set", "speed=9"), "no field 'speed'"),
        (("simulate", EXAMPLE, "--policy", "best"), "'best' is not known"),
        (("simulate", EXAMPLE, "--trace", "/nowhere/t.json", "--set", "requests=1"), "cannot be written"),
        (("plan", EXAMPLE, "--most", "0"), "--most"),
        (("plan", EXAMPLE.with_name("two-sets.yaml")), "--set sets=[]"),
    ],
    ids=["absent", "zero devices", "unknown field", "unknown policy", "unwritable", "most 0", "several sets"],
)
def test_errors_are_sentences(arguments: tuple[str | Path, ...], says: str) -> None:
    done = brickwork(*arguments)
    assert done.returncode == 2
    assert says in done.stderr and "Traceback" not in done.stderr


def test_a_measured_profile_can_be_read_and_says_what_it_is_of(tmp_path: Path) -> None:
    path = tmp_path / "here.yaml"
    done = brickwork("profile", "-o", path, "--repeats", "1", "--largest", "2", "--device", "here")
    assert done.returncode == 0, done.stderr
    measured = read_profile(path)
    assert "SD3Transformer2DModel" in " ".join(measured.devices["here"].calls)
    assert all(call.seconds.at(1) > 0 for shapes in measured.devices["here"].calls.values() for call in shapes.values())
    assert "torch " in path.read_text() and "code " in path.read_text()
