"""Goal: the inbox's protocol has no reachable state in which a record is torn, lost, handled twice or a ghost, whoever
dies or stands still wherever; and each rule of the protocol is needed for that.

Method: SPIN explores every interleaving of small models (two producers, a third that takes over a lane, a consumer that
starts again). Mutants that leave one rule out, and the paper's locked ring, have to fail; docs/internals/inbox.md shows
how. The models speak of sequentially consistent memory, which is what the native words promise.
"""

import subprocess
from pathlib import Path

import pytest

from support.spin import FAIL, HOLD, PAGE, VERSION, Case, check, missing, section_of, trace

pytestmark = pytest.mark.skipif(
    missing() is not None, reason=f"{missing()} is not installed (Debian: apt install spin)"
)


@pytest.mark.parametrize("case", HOLD, ids=lambda case: case.name)
def test_the_lossless_ring_holds(case: Case, tmp_path: Path) -> None:
    failed, report = check(case, tmp_path)
    assert not failed, f"{report}\n{trace(case, tmp_path)}"


@pytest.mark.parametrize("case", FAIL, ids=lambda case: case.name)
def test_what_leaves_a_rule_out_fails_as_the_page_shows(case: Case, tmp_path: Path) -> None:
    failed, report = check(case, tmp_path)
    assert failed, "the check would not notice that this rule is missing"
    assert case.breaks in report, report
    if VERSION in subprocess.run(["spin", "-V"], capture_output=True, text=True).stdout:
        assert trace(case, tmp_path) in section_of(PAGE.read_text(encoding="utf-8")), "run python tests/support/spin.py"
