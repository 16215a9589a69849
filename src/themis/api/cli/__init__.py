"""The command line: `themis`. Commands parse what was typed, call the public API, and print; they decide nothing else.

Exit codes: 0 done, 1 a gate failed, 2 usage or configuration, 3 incomplete or with errors, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from cyclopts import App, CycloptsError

from themis import __version__

DONE, GATE_FAILED, USAGE, INCOMPLETE, INTERRUPTED = 0, 1, 2, 3, 130

app = App(
    name="themis",
    version=__version__,
    suppress_keyboard_interrupt=False,  # what was interrupted can be resumed, and `run` says so
    help="Evaluate language models, reproducibly.",
    help_epilogue="Exit codes: 0 done, 1 a gate failed, 2 usage or configuration, 3 incomplete or with errors, "
    "130 interrupted.",
)
app.command("themis.api.cli.quick_eval:app", name="quick-eval")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; errors become one message on stderr."""
    from themis.pure.errors import ThemisError
    from themis.pure.security import redact

    debug = "--debug" in arguments or bool(os.environ.get("THEMIS_DEBUG"))
    try:
        code = app([word for word in arguments if word != "--debug"], exit_on_error=False, print_error=True)
    except CycloptsError:
        return USAGE
    except KeyboardInterrupt:
        _say("interrupted: what finished is stored; run the same command again to go on from there")
        return INTERRUPTED
    except (ThemisError, OSError) as error:
        if debug:
            raise
        _say(f"error: {redact(str(error))}")
        return USAGE
    return code if isinstance(code, int) else DONE


def _say(message: str) -> None:
    sys.stderr.write(f"themis: {message}\n")
