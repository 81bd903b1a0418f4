"""The `brickwork` command. One file a command; nothing heavy is imported before a command needs it."""

import signal
import sys
from types import FrameType
from typing import NoReturn

import click

EXIT_FAILED = 1  # the request failed
EXIT_USAGE = 2  # what was asked for is wrong: input, workflow, model directory, scenario
EXIT_REJECTED = 75  # refused for now (EX_TEMPFAIL); the message says when to try again
EXIT_INTERRUPTED = 130  # Ctrl-C


def main() -> NoReturn:
    """Entry point. Errors that users can cause end in one sentence, never in a traceback."""
    from brickwork.core.errors import BrickworkError, FileError, InputError, ModelError, Rejected, WorkflowError

    signal.signal(signal.SIGTERM, _terminate)
    try:
        from brickwork.cli.app import app

        app(standalone_mode=False, prog_name="brickwork")  # however it was started
        code = 0
    except click.exceptions.Exit as end:
        code = end.exit_code
    except click.ClickException as error:
        error.show()
        code = EXIT_USAGE
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else EXIT_FAILED
    except (KeyboardInterrupt, click.Abort):
        print("stopped", file=sys.stderr)
        code = EXIT_INTERRUPTED
    except Rejected as error:
        when = "" if error.retry_after_s is None else f" Try again in {error.retry_after_s:.1f} s."
        print(f"refused: {error}{when}", file=sys.stderr)
        code = EXIT_REJECTED
    except (InputError, WorkflowError, ModelError, FileError) as error:
        print(f"error: {error}", file=sys.stderr)
        code = EXIT_USAGE
    except BrickworkError as error:
        print(f"error: {error}", file=sys.stderr)
        code = EXIT_FAILED
    sys.exit(code)


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
