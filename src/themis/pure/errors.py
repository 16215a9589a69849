"""Every exception that Themis raises on purpose.

    ThemisError
    ├── JSONValueError (ValueError)           a value that JSON can't hold (in `themis.pure.json`)
    ├── InvalidRecordError (ValueError)       a record's fields are wrong; every fault with its path
    ├── SpecError (ValueError)                an experiment, config or component can't be run as written
    │   ├── UnknownComponentError             no builtin, model string or import path of that name
    │   ├── WorkflowBuildError                a metric can't build its judge workflow
    │   ├── LiteralSecretError                a config holds a credential, which only the environment may
    │   └── MissingExtraError                 a feature needs an optional dependency
    ├── DataError (ValueError)                a dataset, bundle or file can't be read as what it should be
    │   ├── StatisticsError (SpecError)       a function of statistics was given what it can't take
    │   └── NoAnswerError                     none of a case's candidates holds an answer: it could not be parsed
    ├── UnclearVerdictError (ValueError)      a judge's answer holds no clear verdict; the judge is asked once more
    ├── StoreError                            a store can't be opened, read or written
    │   ├── RunNotFoundError (LookupError)    no run of that id in the store
    │   ├── RunExistsError                    the run is stored already and the policy refuses to touch it
    │   ├── RunLockedError                    another process is writing the run
    │   └── SchemaVersionError                the store was written by a newer Themis
    ├── RunningLoopError (RuntimeError)       a sync entry point was called inside a running event loop
    └── CallError                             a model call, sandbox run or component failed (see `themis.pure.calls`)

An error says what is wrong, where, what was found and what to do next. Faults of one input are reported all
at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Final

DISTRIBUTION: Final = "themis-evals"
"""What the package index calls this package; its import is `themis`, which is another distribution's name there."""


class ThemisError(Exception):
    """The base of every exception that Themis raises on purpose."""


class InvalidRecordError(ThemisError, ValueError):
    """A record's fields are wrong.

    Attributes:
        faults: one line per fault, each starting with the path of the field.
    """

    def __init__(self, record: str, faults: Sequence[str]) -> None:
        self.record = record
        self.faults: tuple[str, ...] = tuple(faults)
        super().__init__(listed(f"{record} is not valid", self.faults))

    def __reduce__(self) -> tuple[type[InvalidRecordError], tuple[str, tuple[str, ...]]]:
        return type(self), (self.record, self.faults)


class SpecError(ThemisError, ValueError):
    """An experiment, config or component can't be run as it is written."""


class UnknownComponentError(SpecError):
    """No builtin component, model string or import path has this name."""


class WorkflowBuildError(SpecError):
    """A metric can't build a valid judge workflow from what it was given."""


class LiteralSecretError(SpecError):
    """A config holds a credential; only the environment may."""


class MissingExtraError(SpecError):
    """A feature needs an optional dependency that is not installed."""


def pip_install(extra: str) -> str:
    """Return the command that installs an extra.

    >>> pip_install("math")
    "pip install 'themis-evals[math]'"
    """
    return f"pip install '{DISTRIBUTION}[{extra}]'"


class DataError(ThemisError, ValueError):
    """A dataset, bundle or file can't be read as what it should be."""


class NoAnswerError(DataError):
    """None of a case's candidates holds an answer that can be used.

    A reducer that raises it says that the model has failed, and not the run: the case's answer could not be parsed.
    """


class StatisticsError(DataError, SpecError):
    """A function of statistics was given what it can't take: NaN, say, or a name that there isn't."""


class UnclearVerdictError(ThemisError, ValueError):
    """A judge's answer holds no verdict, none that was asked for, or several that contradict each other.

    A workflow's `parse_judgment` that raises it has the judge asked once more, with a reminder of what was asked for;
    any other exception ends the judgment.

    Attributes:
        problem: what is wrong with the answer.
        asked: what was asked for, such as `one of correct, incorrect`.
    """

    def __init__(self, problem: str, asked: str) -> None:
        self.problem = problem
        self.asked = asked
        super().__init__(f"{problem}; {asked} was asked for")

    def __reduce__(self) -> tuple[type[UnclearVerdictError], tuple[str, str]]:
        return type(self), (self.problem, self.asked)


class StoreError(ThemisError):
    """A store can't be opened, read or written."""


class RunNotFoundError(StoreError, LookupError):
    """The store holds no run of that id."""


class RunExistsError(StoreError):
    """The run is stored already, and the policy refuses to touch it."""


class RunLockedError(StoreError):
    """Another process is writing this run."""


class SchemaVersionError(StoreError):
    """The store or record was written by a newer Themis than this one."""


class RunningLoopError(ThemisError, RuntimeError):
    """A synchronous entry point was called inside a running event loop."""


class CallError(ThemisError):
    """A model call, a sandbox run or a component failed."""


def listed(headline: str, faults: Sequence[str]) -> str:
    """Join faults into one message: on one line if there is one, else one a line."""
    if len(faults) == 1:
        return f"{headline}: {faults[0]}"
    return "\n".join([f"{headline}; {len(faults)} problems:", *(f"  - {fault}" for fault in faults)])


_MOST_NAMES = 12
"""Names that an error lists: more are a list of their own."""


def nearest(name: str, known: Iterable[str], listing: str = "") -> str:
    """Return the end of an error about an unknown name: the nearest known ones, or all if they are few.

    Args:
        name: the unknown one.
        known: the known ones.
        listing: the command that lists them all, where they may be many.

    >>> nearest("builtin/exact_mach", ["builtin/exact_match", "builtin/f1"])
    'did you mean builtin/exact_match?'
    >>> nearest("x", map(str, range(100, 120)), listing="themis catalog list")
    'known names: 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111 and 8 more (`themis catalog list`)'
    """
    names = sorted(known)
    if not names:
        return "there are none"
    close = difflib.get_close_matches(str(name), names, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(close)}?"
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"known names: {', '.join(names[:_MOST_NAMES])}{more}{f' (`{listing}`)' if more and listing else ''}"


def said(error: BaseException) -> str:
    """Return an exception's text, whatever it does when it is asked for it; nothing if it has none."""
    try:
        return str(error)
    except Exception as another:  # of a component's own class, or a value in it that has no text
        return f"its text can't be made: {type(another).__name__}"
