"""Goal: `brickwork bench` measures what it says, prints what it has when it is interrupted, and names wrong flags.

Method: the command in a real process against a scripted server on loopback; mistakes through click's runner, in which
nothing is sent.
"""

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from brickwork.cli.bench import bench
from support.scripted_server import Received, Reply, Script, ScriptedServer

URL = "http://127.0.0.1:9"
PICTURE = Reply(body={"created": 1, "data": [{"b64_json": "aGk="}]})
REFUSAL = Reply(429, {"error": {"message": "busy"}}, {"retry-after-ms": "1500"})


async def every_third_is_refused(received: Received) -> Reply:
    """By its seed: of measured requests a third, of those sent alone (without deadline) none."""
    return REFUSAL if "deadline_s" in received.body and received.body["seed"] % 3 == 0 else PICTURE


async def brickwork(url: str, *args: str) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", "brickwork.cli", "bench", url, *args]
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)


def measure(script: Script, *args: str) -> tuple[int | None, str, str]:
    async def main() -> tuple[int | None, str, str]:
        async with ScriptedServer(script) as server:
            process = await brickwork(server.url, *args)
            output, errors = await process.communicate()
            return process.returncode, output.decode(), errors.decode()

    return asyncio.run(main())


QUICK = ("--api", "images", "--rate", "60", "--seconds", "0.5", "--warm-up", "0.1")


def test_json_tells_the_figures_and_how_to_repeat_them() -> None:
    code, output, errors = measure(every_third_is_refused, *QUICK, "--deadline", "30", "--json")
    assert code == 0, errors
    found = json.loads(output)
    total = found["total"]
    assert total["offered"] == total["attained"] + total["rejected"] > 0
    assert total["attainment"] == pytest.approx(2 / 3, abs=0.1)
    assert total["goodput_per_s"] == pytest.approx(total["attained"] / found["seconds"])
    assert found["workflows"] == {"text-to-image": total}
    assert found["retry_after_s_p50"] == 1.5
    assert found["flags"]["rate"] == 60 and found["deadline_s"] == {"text-to-image": 30.0}
    assert not found["holds"] and not found["interrupted"]


def test_the_deadline_follows_from_the_latency_alone() -> None:
    code, output, errors = measure(every_third_is_refused, *QUICK, "--slo-scale", "400", "--json")
    assert code == 0, errors
    found = json.loads(output)
    assert found["deadline_s"]["text-to-image"] == pytest.approx(400 * found["solo_s"]["text-to-image"])
    assert "text-to-image: alone" in errors


def test_a_mix_is_shown_by_workflow_and_in_sum() -> None:
    mix = ("--workflow", "poster=3", "--workflow", "sketch", "--deadline", "30")
    code, output, errors = measure(every_third_is_refused, *QUICK, *mix)
    assert code == 0, errors
    assert all(name in output for name in ("poster", "sketch", "all", "attainment", "goodput"))
    assert "come back after 1.5 s" in output


def test_one_seed_offers_one_load() -> None:
    def sent(seed: str) -> list[object]:
        bodies: list[object] = []

        async def script(received: Received) -> Reply:
            bodies.append((received.body["seed"], received.body["prompt"]))
            return PICTURE

        measure(script, *QUICK, "--deadline", "30", "--seed", seed)
        return sorted(bodies)

    assert sent("1") == sent("1") != sent("2")


def test_ctrl_c_prints_what_was_measured_so_far() -> None:
    async def main() -> tuple[int | None, str, str]:
        enough = asyncio.Event()

        async def script(received: Received) -> Reply:
            if received.body["seed"] == 20:
                enough.set()
            return PICTURE

        async with ScriptedServer(script) as server:
            args = ("--api", "images", "--rate", "50", "--seconds", "600", "--warm-up", "0", "--deadline", "30")
            process = await brickwork(server.url, *args)
            await enough.wait()
            process.send_signal(signal.SIGINT)
            output, errors = await process.communicate()
            return process.returncode, output.decode(), errors.decode()

    code, output, errors = asyncio.run(main())
    assert code == 130
    assert "interrupted" in output and "100.0%" in output
    assert "Traceback" not in errors


def test_a_server_that_is_not_brickwork_is_told() -> None:
    code, output, errors = measure(every_third_is_refused)  # the jobs API asks for the workflows first
    assert code == 1 and not output
    assert "brickwork serve" in errors and "Traceback" not in errors


BAD = [
    (["--rate", "0"], "--rate"),
    (["--rate", "nan"], "--rate"),
    (["--rate", "many"], "--rate"),
    (["--rate", "1e9"], "--rate"),
    (["--seconds", "inf"], "--seconds"),
    (["--warm-up", "-1"], "--warm-up"),
    (["--arrivals", "uniform"], "--arrivals"),
    (["--cv", "3"], "--cv"),
    (["--arrivals", "gamma", "--cv", "0"], "--cv"),
    (["--trace", "nowhere.csv"], "trace"),
    (["--trace", "nowhere.csv", "--rate", "1"], "--rate"),
    (["--trace", "nowhere.csv", "--cv", "1"], "--cv"),
    (["--trace-scale", "2"], "--trace-scale"),
    (["--slo-scale", "2", "--deadline", "1"], "--slo-scale"),
    (["--slo-scale", "0"], "--slo-scale"),
    (["--workflow", "=3"], "--workflow"),
    (["--workflow", "poster=0"], "--workflow"),
    (["--workflow", "poster=nan"], "--workflow"),
    (["--input", "steps"], "--input"),
    (["--input", "image=@nowhere.png"], "image"),
    (["--prompts", "nowhere.txt"], "--prompts"),
    (["--api", "soap"], "--api"),
    (["--max-connections", "0"], "--max-connections"),
    (["--timeout", "0"], "--timeout"),
]


@pytest.mark.parametrize(("args", "named"), BAD, ids=lambda value: " ".join(value) if isinstance(value, list) else None)
def test_mistakes_name_the_flag(args: list[str], named: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(bench, [URL, *args])
    assert done.exit_code != 0
    assert named in done.output + str(done.exception)


def test_an_empty_file_of_prompts_is_told(tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text("\n  \n")
    done = CliRunner().invoke(bench, [URL, "--prompts", str(path)])
    assert done.exit_code == 2 and "no prompt" in done.output


def test_a_bad_address_is_told() -> None:
    done = CliRunner().invoke(bench, ["localhost:8000"])
    assert done.exit_code != 0 and "url: expected an address" in str(done.exception)


def test_help_has_examples() -> None:
    done = CliRunner().invoke(bench, ["--help"])
    assert done.exit_code == 0 and "--arrivals gamma" in done.output
