"""Trial programs: run like any other, they prove before a run that a sandbox runs a language, and say what runs it."""

from __future__ import annotations

import ast
import contextlib
import functools
import itertools
import json
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final

from themis.effects.host import run_anywhere
from themis.pure.records.dataset import Case
from themis.pure.records.sandbox import SandboxRequest, SandboxResult
from themis.pure.text import shortened

_LOOKED_AT: Final = 50
"""Cases whose tests are looked at: what a benchmark's tests need, they begin with."""

# What programs, drivers and checkers of ours import; an interpreter without one of them fails every right program.
_NEEDED: Final = (
    "base64 bisect builtins collections copy ctypes decimal fractions functools hashlib heapq io itertools json math "
    "os random re select signal statistics string subprocess sys threading time types typing unittest"
)
MODULES: Final = tuple(_NEEDED.split())
_PYTHON: Final = """
import importlib, json, os, platform, sys
lacks = []
library = os.path.dirname(os.path.dirname(os.path.realpath(json.__file__)))
if LIBRARIES and library not in LIBRARIES:
    lacks.append("its own library (it takes that of %s)" % library)
for name in json.loads(NAMES):
    try:
        importlib.import_module(name)
    except Exception as error:
        lacks.append("%s (%s: %s)" % (name, type(error).__name__, error))
version = platform.python_implementation() + " " + platform.python_version()
print(json.dumps({"version": version, "lacks": lacks}))
"""
_CPP: Final = """
#include <cstdio>
int main() { std::printf("{\\"version\\": \\"g++ %s\\", \\"lacks\\": []}\\n", __VERSION__); }
"""


def trial_of(language: str, modules: Sequence[str] = (), libraries: Sequence[str] = ()) -> SandboxRequest:
    """Return the trial of a language.

    Args:
        language: `python` or `cpp`.
        modules: what is to be there beside what any Python has.
        libraries: the folders that its standard library may be in; any, if none are named.
    """
    if language == "cpp":
        return SandboxRequest(
            command=("./trial",),
            files={"trial.cpp": _CPP},
            language="cpp",
            build=("g++", "-O2", "-std=gnu++17", "-o", "trial", "trial.cpp"),
            artifact="trial",
        )
    names = json.dumps([*MODULES, *modules])
    text = f"NAMES, LIBRARIES = {names!r}, {[*libraries]!r}\n{_PYTHON}"
    return SandboxRequest(command=("python3", "trial.py"), files={"trial.py": text}, memory_mb=1024)


def modules_of_tests(cases: Iterable[Case]) -> tuple[str, ...]:
    """Return what the test scripts of cases import beside the standard library; without it no answer can be scored."""
    found: set[str] = set()
    for case in itertools.islice(cases, _LOOKED_AT):
        tests = case.expected_output
        script = tests.get("test") if isinstance(tests, Mapping) and tests.get("mode") == "function" else None
        with contextlib.suppress(SyntaxError, ValueError):
            for node in ast.parse(script).body if isinstance(script, str) else ():
                if isinstance(node, ast.Import):
                    found |= {name.name.partition(".")[0] for name in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    found.add(node.module.partition(".")[0])
    return tuple(sorted(found - sys.stdlib_module_names))


def tried(run: Callable[[SandboxRequest], Awaitable[SandboxResult]], trial: SandboxRequest) -> tuple[str, str]:
    """Run a trial to its end; return what ran it, and what is wrong with it. The first is empty if nothing ran."""
    result = run_anywhere(functools.partial(run, trial))
    if result.status == "sandbox_error":
        return "", result.stderr
    if result.status != "ok":
        said = shortened(" ".join((result.stderr.strip() or result.stdout.strip()).split()), 300)
        return "", f"a trial program ended with {result.status}{f': {said}' if said else ''}"
    try:
        report = json.loads(result.stdout)
        version, lacks = str(report["version"]), list(report["lacks"])
    except (ValueError, KeyError, TypeError):
        return "", f"a trial program printed {shortened(result.stdout, 80)!r} in place of its version"
    return version, f"{version} lacks {', '.join(lacks)}" if lacks else ""
