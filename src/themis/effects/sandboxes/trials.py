"""Trial programs: run like any other, they prove before a run that a sandbox runs a language, and say what runs it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from themis.pure.records.sandbox import SandboxRequest, SandboxResult
from themis.pure.text import shortened

TRIED: Final = ("python", "cpp")

# What programs, drivers and checkers of ours import; an interpreter without one of them fails every right program.
MODULES: Final = (
    *("base64", "bisect", "builtins", "collections", "copy", "ctypes", "decimal", "fractions", "functools", "hashlib"),
    *("heapq", "io", "itertools", "json", "math", "os", "random", "re", "select", "signal", "statistics", "string"),
    *("subprocess", "sys", "threading", "time", "types", "typing", "unittest"),
)
_PYTHON: Final = """
import importlib, json, platform, sys
lacks = []
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


def trial_of(language: str, modules: Sequence[str] = ()) -> SandboxRequest:
    """Return the trial of a language; `modules` are to be there beside those that any Python has."""
    if language == "cpp":
        return SandboxRequest(
            command=("./trial",),
            files={"trial.cpp": _CPP},
            language="cpp",
            build=("g++", "-O2", "-std=gnu++17", "-o", "trial", "trial.cpp"),
            artifact="trial",
        )
    text = f"NAMES = {json.dumps([*MODULES, *modules])!r}\n{_PYTHON}"
    return SandboxRequest(command=("python3", "trial.py"), files={"trial.py": text})


def version_tried(result: SandboxResult) -> tuple[str, str]:
    """Return what ran a trial, and what is wrong with it; the first is empty if nothing ran."""
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
