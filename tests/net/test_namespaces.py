"""Goal: between two hosts, tcp and UCX over tcp keep every promise that they keep on one, also when packets are late or
lost, and when no packet comes through for a while.

Method: two network namespaces of this machine with a link between them. The near end of each suite runs in one, the far
end's process in the other, so nothing but the link connects their sockets; UCX is confined to tcp, or it would find
shared memory. What the link does to packets is said by `weather` (support/netns.py): netem, or a wire in user space on
kernels without it. Root only.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.netns import Link, Weather, two_namespaces

ROOT = Path(__file__).resolve().parent.parent.parent


def run_near(link: Link, *arguments: str, timeout_s: float = 300) -> str:
    """pytest in the near namespace. Its own output is what a failure shows."""
    environment = {**os.environ, **link.environment()}
    inside = ["ip", "netns", "exec", link.near, sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*inside, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout_s
    )
    assert done.returncode == 0, f"over {link.how}:\n{done.stdout[-8000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def test_the_conformance_suites_pass_across_namespaces() -> None:
    with two_namespaces() as link:
        suites = ["tests/conformance/test_inbox.py", "tests/conformance/test_fabric.py"]
        run_near(link, *suites, "-k", "tcp-lossless or ([tcp] or [ucx-tcp]) and not stopped")  # ucx-tcp-lossless too


@pytest.mark.parametrize("weather", [Weather(delay_s=0.05), Weather(delay_s=0.002, loss=0.01)], ids=["delay", "loss"])
def test_progress_is_made_in_bad_weather(weather: Weather) -> None:
    with two_namespaces(weather) as link:
        print(link.how)
        run_near(link, "tests/net/across.py", "-k", "weather")


def test_a_partition_heals() -> None:
    with two_namespaces(Weather(delay_s=0.001)) as link:
        print(link.how)
        run_near(link, "tests/net/across.py", "-k", "partition")
