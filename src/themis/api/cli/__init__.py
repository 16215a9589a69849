"""The command line: `themis`. Commands parse what was typed, call the public API, and print; they decide nothing else.

Exit codes: 0 done, 1 a gate failed, 2 usage or configuration, 3 incomplete or with errors, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NoReturn

from themis.api.cli.output import finish, harmless, make_streams_hold_all, say

if TYPE_CHECKING:
    from cyclopts import App

at_the_end: Final = contextlib.ExitStack()
"""Closes what a command opened when the command ends."""

DONE, GATE_FAILED, USAGE, INCOMPLETE, INTERRUPTED = 0, 1, 2, 3, 130

HELP: Final = """\
Evaluate language models, reproducibly.

For example:
  themis doctor
  themis quick-eval file questions.csv --model openai/gpt-4o --metric f1
  themis init my-evaluation
  themis run my-evaluation/experiment.yaml
  themis report latest --store my-evaluation/runs/themis.sqlite3"""

EXIT_CODES: Final = """\
Exit codes: 0 done, 1 a gate failed, 2 usage or configuration, 3 incomplete or
with errors, 130 interrupted. Every option can come from a variable: --store
from THEMIS_STORE. --debug shows the traceback of an error."""

COMMANDS: Final[dict[str, tuple[tuple[str, str, str], ...]]] = {
    "Evaluate": (
        ("init", "init:init", "Write a working starter project into a folder."),
        ("quick-eval", "quick_eval:app", "Evaluate a model on data at hand, in one command."),
        ("run", "run:run", "Run the experiment of a config file."),
        ("resume", "run:resume", "Go on with a run that was interrupted."),
        ("study", "study:app", "Run a matrix of models, prompts, data and options as one, and report on it."),
        ("preview", "preview:app", "Show what a model would be sent for the first cases, with tokens and cost."),
        ("plan", "plan:plan", "Say what a run would do, reuse and cost, without doing it."),
        ("estimate", "plan:estimate", "Count a whole run's steps and tokens before it runs."),
        ("catalog", "catalog:app", "Look at the benchmarks that come with Themis."),
    ),
    "Evaluate again": (
        ("replay", "replay:replay", "Do a run's stages again from stored answers."),
        ("rejudge", "replay:rejudge", "Ask the judges again about stored answers."),
        ("score", "imports:score", "Score a stored run's answers by other metrics, without a config."),
        ("recompute", "imports:recompute", "Make the scores that came with answers again, by their tool's rules."),
        ("verify", "replay:verify", "Check that a run's numbers follow from its recorded outputs, or check a seal."),
    ),
    "Look at runs": (
        ("list", "runs:list_runs", "List the runs of a store, with what they differ in, scores and costs."),
        ("search", "runs:search", "Find text in a store's cases and answers."),
        ("quickcheck", "runs:quickcheck", "Show a run in a few lines."),
        ("report", "runs:report", "Write a run's report."),
        ("inspect", "runs:inspect", "Look into a stored run."),
        ("cases", "cases:cases", "List the cases of a run that meet conditions, with answers and scores."),
        ("compare", "compare:compare", "Compare two runs, case by case."),
        ("explain", "explain:explain", "Explain why the means of two runs differ."),
        ("label", "label:label", "Label a run's answers, and see how far a metric agrees with people."),
        ("leaderboard", "leaderboard:leaderboard", "Show runs as a leaderboard of models and benchmarks."),
        ("rank", "rank:rank", "Rank several runs on one metric, with intervals."),
        ("export", "bundles:export", "Write one stage of a run as a portable bundle, or its scores for other tools."),
        ("seal", "seal:seal", "Write a run's result into one file that a stranger can check, signed."),
        ("import", "imports:app", "Bring bundles, other tools' logs, or tables of answers into a store."),
    ),
    "Later and elsewhere": (
        ("submit", "deferred:submit", "Queue an experiment for a worker or as a batch."),
        ("worker", "deferred:worker", "Work off queued experiments."),
        ("batch", "deferred:batch", "Work off an experiment that was submitted as a batch."),
    ),
    "Set up": (
        ("doctor", "doctor:doctor", "Say what this machine has and lacks: extras, sandbox, keys and endpoints."),
        ("schema", "init:schema", "Print the JSON Schema of config files."),
        ("completion", "init:completion", "Print the completion script of a shell."),
    ),
}
"""Group, command, where it is, and what the overview says of it: the modules are loaded when they are called."""


def make_app(words: Sequence[str] = ()) -> App:
    """Return the command line.

    Args:
        words: what was typed; a command that is named brings its own help along.
    """
    from cyclopts import App, CycloptsPanel, Group
    from cyclopts.config import Env

    from themis._version import __version__

    app = App(
        name="themis",
        version=__version__,
        config=Env("THEMIS_", command=False, show=False),
        suppress_keyboard_interrupt=False,  # what was interrupted can be resumed, and `run` says so
        result_action="return_value",
        help=HELP,
        help_epilogue=EXIT_CODES,
        help_format="plaintext",
        error_formatter=lambda error: CycloptsPanel(harmless(str(error))),
    )
    for order, (title, commands) in enumerate(COMMANDS.items()):
        group = Group(title, sort_key=order)
        for name, place, line in commands:
            line_shown = None if name in words else line
            app.command(f"themis.api.cli.{place}", name=name, group=group, help=line_shown)
    app["--help"].group = app["--version"].group = Group("Help", sort_key=len(COMMANDS))
    return app


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    def show_warning(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: object = None,
        line: str | None = None,
    ) -> None:
        """Say what Themis warns of as its errors are said; a place in its source means nothing to who typed."""
        if category.__module__.startswith("themis."):
            say(f"themis: warning: {message}")
        else:
            say(warnings.formatwarning(message, category, filename, lineno, line).rstrip())

    warnings.showwarning = show_warning
    sys.excepthook = lambda *error: say("".join(traceback.format_exception(*error)).rstrip())
    make_streams_hold_all()
    sys.exit(run_command(sys.argv[1:] if arguments is None else arguments))


def run_command(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; errors become one message on stderr."""
    from cyclopts import CycloptsError

    words = [word for word in arguments if word != "--debug"]
    debug = len(words) < len(arguments) or bool(os.environ.get("THEMIS_DEBUG"))
    try:
        code = make_app(words)(words, exit_on_error=False, print_error=True)
    except CycloptsError:
        code = USAGE
    except KeyboardInterrupt as error:
        why = str(error) or "interrupted: what finished is stored; run the same command again to go on from there"
        say(f"themis: {why}")
        code = INTERRUPTED
    except SystemExit as error:
        causes = set(map(type, _contexts(error)))
        if BrokenPipeError not in causes:
            raise
        # Rich prints help and refusals, and ends the process where nobody reads on.
        code = USAGE if any(issubclass(cause, CycloptsError) for cause in causes) else DONE
    except Exception as error:
        if debug:
            raise
        say(f"themis: {_message(error)}")
        code = _code(error)
    finally:
        at_the_end.close()
        finish()
    return code if isinstance(code, int) else DONE


def _contexts(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__context__


def _is_of_locale(error: Exception) -> bool:
    """Tell whether a name of a file can't be said to this system: its locale has no such characters."""
    return isinstance(error, UnicodeEncodeError) and error.encoding == sys.getfilesystemencoding() != "utf-8"


def _message(error: Exception) -> str:
    from themis.pure.errors import ThemisError
    from themis.pure.security import redact

    if _is_of_locale(error):
        return f"error: {error}: this locale can't name such a file; set PYTHONUTF8=1, or LC_ALL to a locale of UTF-8"

    if isinstance(error, ThemisError | OSError):
        return f"error: {redact(str(error))}"
    what = redact(f"{type(error).__name__}: {error}")
    return f"error: {what}; this is a fault in Themis or in a component: --debug shows where"


def _code(error: Exception) -> int:
    from themis.pure.errors import CallError, StoreError, ThemisError

    is_usage = _is_of_locale(error) or (isinstance(error, ThemisError | OSError) and not isinstance(error, CallError))
    return USAGE if is_usage or isinstance(error, StoreError) else INCOMPLETE
