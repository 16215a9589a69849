"""The Python programs of ours that go into a sandbox: a driver that tests functions, and what runs checkers.

Tests and the tested program never share an interpreter. The driver is started with everything on its standard
input, so that nothing of the tests lies where a program could read it; it starts the program in a process of its
own, sends arguments and gets values back as plain data. So a program can neither reach the tests nor the verdict:
what it redefines, patches or exits, it does to itself, and the values that tests compare are built-in types made
anew, on which no `__eq__` of the program's counts. The driver closes its memory and files to its equals
(PR_SET_DUMPABLE, prctl(2)); a program that kills it gets no verdict, which is a failed test.

They are texts, for they run elsewhere, under whatever Python 3.7 or newer there is.
"""

from __future__ import annotations

from typing import Final

CODEC: Final = r'''
import fractions, decimal


def to_data(value, depth=0):
    """Turn a value into JSON; what JSON lacks becomes an object with the kind as its one key."""
    if depth > 200:
        raise TypeError("nested too deeply")
    inner = lambda items: [to_data(item, depth + 1) for item in items]
    if value is None or value is True or value is False:
        return value
    for kind in (float, str):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, int):
        # Python refuses to write numbers of thousands of digits in decimal.
        return int(value) if abs(value) < 1 << 64 else {"int": hex(value)}
    if isinstance(value, (list, tuple, set, frozenset)):
        name = "list" if isinstance(value, list) else "tuple" if isinstance(value, tuple) else "set"
        return inner(value) if name == "list" else {name: inner(value)}
    if isinstance(value, dict):
        return {"dict": [inner(pair) for pair in value.items()]}
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": bytes(value).hex()}
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    if isinstance(value, fractions.Fraction):
        return {"fraction": [value.numerator, value.denominator]}
    if isinstance(value, decimal.Decimal):
        return {"decimal": str(value)}
    if hasattr(value, "tolist"):  # numpy's scalars and arrays
        return to_data(value.tolist(), depth + 1)
    if hasattr(value, "__iter__"):
        items = []
        for item in value:
            items.append(to_data(item, depth + 1))
            if len(items) > 1000000:
                raise TypeError("endless")
        return {"iterator": items}
    raise TypeError("a value of type %s" % type(value).__name__)


MAKERS = {
    "int": lambda data: int(data, 16),
    "tuple": tuple,
    "set": set,
    "dict": dict,
    "iterator": iter,
    "bytes": lambda data: bytes.fromhex(data),
    "complex": lambda data: complex(*data),
    "fraction": lambda data: fractions.Fraction(*data),
    "decimal": decimal.Decimal,
}


def from_data(data):
    if isinstance(data, list):
        return [from_data(item) for item in data]
    if isinstance(data, dict):
        [(name, content)] = data.items()
        return MAKERS[name](from_data(content))
    return data
'''

_CHILD: Final = (
    CODEC
    + r"""
import json, os, sys

requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
nowhere = os.open(os.devnull, os.O_RDWR)
for standard in (0, 1, 2):
    os.dup2(nowhere, standard)


def reply(message):
    replies.write(json.dumps(message).encode() + b"\n")
    replies.flush()


def told(error, kind="runtime_error"):
    kind = "memory_limit" if isinstance(error, MemoryError) else kind
    try:
        text = str(error)
    except BaseException:
        text = ""
    return {"error": [kind, type(error).__name__, text[:500]]}


def define(job):
    space = {"__name__": "__main__", "__builtins__": __builtins__}
    exec(job["prelude"], space)
    try:
        code = compile(job["program"], "program.py", "exec")
    except (SyntaxError, ValueError) as error:
        return None, told(error, "compile_error")
    try:
        exec(code, space)
        owner = space.get("Solution")
        if job["method"] and hasattr(owner, job["entry_point"]):
            return getattr(owner(), job["entry_point"]), None
        return space[job["entry_point"]], None
    except KeyError as error:
        if error.args == (job["entry_point"],):
            return None, {"error": ["missing_function", "NameError", "%s is not defined" % job["entry_point"]]}
        return None, told(error)
    except BaseException as error:
        return None, told(error)


function, failure = define(json.loads(requests.readline()))
reply(failure or {"ready": True})
for line in requests if failure is None else ():
    call = json.loads(line)
    try:
        value = function(*from_data(call["args"]), **{k: from_data(v) for k, v in call["kwargs"].items()})
        message = {"value": to_data(value)}
    except BaseException as error:
        message = told(error)
    reply(message)
"""
)

DRIVER: Final = (
    CODEC
    + f"CHILD = {_CHILD!r}\n"
    + r'''
import builtins, ctypes, json, os, select, signal, subprocess, sys, time

sys.path[:] = [folder for folder in sys.path if folder not in ("", os.getcwd())]  # the program may write there
try:
    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE
except Exception:
    pass  # another system; the walls are then the sandbox's alone
signal.signal(signal.SIGINT, signal.SIG_IGN)
LONGEST = 32 * 1024 * 1024


class Ended(Exception):
    """The program ended, was ended, or broke the protocol: there is no calling it any more."""

    def __init__(self, status, message):
        self.status, self.message = status, message


class Program:
    """The tested program, in a process of its own."""

    def __init__(self, job):
        self.job, self.process = job, None

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, close_fds=True,
        )
        self.rest = b""
        self.limit = 3600.0
        return self.ask({key: self.job[key] for key in ("program", "prelude", "entry_point", "method")})

    def stop(self):
        self.process.kill()
        self.process.wait()

    def call(self, args, kwargs):
        message = {"args": to_data(list(args)), "kwargs": {key: to_data(value) for key, value in kwargs.items()}}
        self.limit = self.job["call_s"] or 3600.0
        return self.ask(message)

    def ask(self, message):
        try:
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()
        except OSError:
            raise self.gone()
        try:
            answer = json.loads(self.line())
            if not isinstance(answer, dict) or not ({"value", "error", "ready"} & set(answer)):
                raise ValueError("not a reply")
            return answer
        except (ValueError, RecursionError):
            raise Ended("runtime_error", "the program wrote into the channel of its results")

    def line(self):
        deadline = time.monotonic() + self.limit
        pipe = self.process.stdout.fileno()
        while b"\n" not in self.rest:
            if len(self.rest) > LONGEST:
                raise Ended("output_limit", "a result of more than %d bytes" % LONGEST)
            if not select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise Ended("timeout", "no result within %g s" % self.limit)
            chunk = os.read(pipe, 1 << 20)
            if not chunk:
                raise self.gone()
            self.rest += chunk
        line, _, self.rest = self.rest.partition(b"\n")
        return line

    def gone(self):
        code = self.process.wait()
        how = "signal %d ended the program" % -code if code < 0 else "the program exited with status %d" % code
        return Ended("runtime_error", how + " before its tests were done")


def raised(error):
    """Return the exception that a program's error is to the tests."""
    status, name, text = error
    kind = getattr(builtins, name, None)
    known = isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, (OSError, UnicodeError))
    exception = kind(text) if known else RuntimeError("%s: %s" % (name, text))
    exception.of_program = (status, "%s: %s" % (name, text))
    return exception


def run_tests(job, program):
    """Run a test script against the program; return what came of it."""
    unsupported = []

    def candidate(*args, **kwargs):
        try:
            answer = program.call(args, kwargs)
        except (TypeError, ValueError) as error:
            unsupported.append("the tests pass what can't be sent: %s" % error)
            raise
        if "error" in answer:
            raise raised(answer["error"])
        try:
            return from_data(answer["value"])
        except Exception:
            raise Ended("runtime_error", "the program wrote into the channel of its results")

    candidate.__name__ = job["entry_point"]
    space = {"__name__": "tests"}
    try:
        exec(compile(job["prompt"], "prompt.py", "exec"), space)  # helpers that the tests may use
    except Exception:
        space = {"__name__": "tests"}
    space[job["entry_point"]] = candidate
    exec(compile(job["test"], "tests.py", "exec"), space)
    started = program.start()
    if "error" in started:
        status, name, text = started["error"]
        return {"status": status, "message": "%s: %s" % (name, text)}
    try:
        space["check"](candidate)
        return {"status": "passed", "message": ""}
    except Ended as error:
        return {"status": error.status, "message": error.message}
    except Exception as error:
        if unsupported:
            return {"status": "unsupported", "message": unsupported[0]}
        status, message = getattr(error, "of_program", None) or ("wrong_answer", failed_at(error, job["test"]))
        return {"status": status, "message": message}


def failed_at(error, source):
    lines, step, number = source.splitlines(), error.__traceback__, 0
    while step is not None:
        if step.tb_frame.f_code.co_filename == "tests.py":
            number = step.tb_lineno
        step = step.tb_next
    where = lines[number - 1].strip() if 0 < number <= len(lines) else ""
    return ("%s: %s: %s" % (type(error).__name__, error, where))[:500]


def run_calls(job, program):
    """Call the program with each list of arguments; return what each call came to."""
    results, started = [], None
    for args in job["calls"]:
        try:
            started = started or program.start()
            answer = started if "error" in started else program.call(args, {})
        except Ended as error:
            program.stop()
            started, answer = None, {"error": [error.status, "", error.message]}
        results.append(answer)
        if "error" in answer and job["stop"]:
            break
    return {"status": "called", "results": results}


job = json.loads(sys.stdin.buffer.read())
os.chdir("/")
program = Program(job)
try:
    verdict = (run_calls if job["calls"] is not None else run_tests)(job, program)
except Ended as error:
    verdict = {"status": error.status, "message": error.message}
print(json.dumps(dict(verdict, nonce=job["nonce"])))
sys.stdout.flush()
os._exit(0)  # the program may still be running; it ends with the sandbox
'''
)

CONTEST_PRELUDE: Final = """\
import sys
from typing import *
from collections import *
from functools import *
from itertools import *
from heapq import *
from bisect import *
from math import *
from operator import *
from random import *
from re import *
from string import *
from datetime import *
import bisect, collections, copy, datetime, functools, heapq, io, itertools, json, math, operator
import os, random, re, statistics, string, time, typing
from builtins import *
sys.setrecursionlimit(50000)
"""
"""What contest sites import for a solution beforehand, and what solutions therefore leave out."""

CHECKER: Final = """\
import json, sys

job = json.load(sys.stdin)
for name, text in job["files"].items():
    with open(name, "w", encoding="utf-8", errors="surrogatepass", newline="") as file:
        file.write(text)
sys.argv = ["checker.py", *job["arguments"]]
exec(compile(job["checker"], "checker.py", "exec"), {"__name__": "__main__"})
"""
"""Runs a checker that is a Python program; it comes with its files on the standard input."""
