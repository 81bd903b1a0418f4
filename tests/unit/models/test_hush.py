"""Goal: an executor that starts says nothing on its standard error, whatever packages are installed beside it.

Method: a fresh process imports what an executor's forkserver imports, and then the library for 8-bit weights; after
that a logger that was hushed says something else, which must be heard.
"""

import subprocess
import sys

PROGRAM = """
import brickwork.models.preload
import logging, torchao.quantization
logging.getLogger("torchao").warning("something else")
"""


def test_starting_is_silent_and_other_warnings_are_heard() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "something else\n")
