"""The Python programs of ours that go into a sandbox: what tests functions, and what runs programs and checkers.

Tests and the tested program never share an interpreter. What tests, the driver, is started with everything on its
standard input, so that nothing of the tests lies where a program could read it; it starts the program in a process of
its own, sends arguments and gets values back as plain data. So a program can neither reach the tests nor the verdict:
what it redefines, patches or exits, it does to itself, and the values that tests compare are built-in types made
anew, on which no `__eq__` of the program's counts.

What arrives from the program is a hostile text: it can reach the channel of its results (`sys._getframe`), so of a
reply nothing but the form is believed, and no reply can say that a test passed. A program that ended, or that broke
the form, has failed, whatever the tests make of that. The driver closes its memory and files to its equals
(PR_SET_DUMPABLE, prctl(2)) and is the only one that holds its standard output, to which nothing but the verdict is
written; a program that kills it gets no verdict, which is a failed test.

They are texts, for they run elsewhere, under whatever Python 3.7 or newer there is.
"""

from __future__ import annotations

from typing import Final

_ANY_DIGITS: Final = """\
import sys

getattr(sys, "set_int_max_str_digits", id)(0)
"""
"""Lifts Python's limit of 4,300 digits for whole numbers as text, which protects servers and fails right programs."""

CODEC: Final = (
    _ANY_DIGITS
    + r'''
import decimal, fractions


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
        return int(value) if abs(value) < 1 << 64 else {"int": hex(value)}
    if isinstance(value, list):
        return inner(value)
    for kind in (tuple, set, frozenset):
        if isinstance(value, kind):
            return {kind.__name__: inner(value)}
    if isinstance(value, dict):
        return {"dict": [inner(pair) for pair in value.items()]}
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": bytes(value).hex()}
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    if isinstance(value, fractions.Fraction):
        return {"fraction": inner((value.numerator, value.denominator))}
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
    "frozenset": frozenset,
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
)

_CHILD: Final = (
    CODEC
    + r"""
import json, os, types

requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
nowhere = os.open(os.devnull, os.O_RDWR)
for standard in (0, 1, 2):
    os.dup2(nowhere, standard)


def reply(message):
    replies.write(json.dumps(message).encode() + b"\n")
    replies.flush()


def told(error, status="runtime_error"):
    status = "memory_limit" if isinstance(error, MemoryError) else status
    try:
        text = str(error)
    except BaseException:
        text = ""
    return {"error": [status, [kind.__name__ for kind in type(error).__mro__], text[:500]]}


def define(job):
    # A module of another name, as the benchmarks' own harnesses have it: what stands behind `if __name__ ==
    # "__main__":` is for those who run the answer as a program. Dataclasses look it up among the modules.
    module = sys.modules["solution"] = types.ModuleType("solution")
    space, name = vars(module), job["entry_point"]
    exec(job["prelude"], space)
    try:
        code = compile(job["program"], "solution.py", "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        return None, told(error, "compile_error")
    try:
        exec(code, space)
        owner = space.get("Solution")
        if job["method"] and hasattr(owner, name):
            return getattr(owner(), name), None
        if name not in space:
            return None, told(NameError("%s is not defined" % name), "missing_function")
        return space[name], None
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
    + r"""
import builtins, ctypes, json, os, select, signal, subprocess, time

box = os.getcwd()
sys.path[:] = [folder for folder in sys.path if folder not in ("", box)]  # the program may write there
try:
    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE
except Exception:
    pass  # another system; the walls are then the sandbox's alone
signal.signal(signal.SIGINT, signal.SIG_IGN)
LONGEST = 32 * 1024 * 1024
FAILURES = ("compile_error", "missing_function", "memory_limit", "runtime_error")


class Ended(BaseException):
    # The program ended, was ended, or broke the protocol: there is no calling it any more. It is no Exception, for a
    # test that expects an error must not take it for one.

    def __init__(self, status, message):
        self.status, self.message = status, message


class Program:
    # The tested program, in a process of its own; starting and calling it raises what it raises.

    def __init__(self, job):
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD], cwd=box,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, close_fds=True,
        )
        self.rest, self.ended, self.call_s = b"", None, job["call_s"] or 3600.0
        self.ask({key: job[key] for key in ("program", "prelude", "entry_point", "method")}, 3600.0)

    def call(self, args, kwargs):
        return self.ask({"args": args, "kwargs": kwargs}, self.call_s)

    def ask(self, message, limit):
        try:
            if self.ended is None:
                return self.answer(message, limit)
        except Ended as error:
            self.ended = error
            self.process.kill()
        raise self.ended

    def answer(self, message, limit):
        try:
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()
        except OSError:
            raise self.gone()
        line = self.line(limit)
        try:
            [(kind, content)] = json.loads(line).items()
            if kind != "error":
                return {"ready": bool, "value": from_data}[kind](content)
            status, names, text = content
            if status not in FAILURES or not all(isinstance(item, str) for item in names + [text]):
                raise ValueError("not a reply")
        except Exception:
            raise Ended("runtime_error", "the program wrote into the channel of its results")
        raise raised(status, names, text)

    def line(self, limit):
        deadline = time.monotonic() + limit
        pipe = self.process.stdout.fileno()
        while b"\n" not in self.rest:
            if len(self.rest) > LONGEST:
                raise Ended("output_limit", "a result of more than %d bytes" % LONGEST)
            if not select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise Ended("timeout", "no result within %g s" % limit)
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


def raised(status, names, text):
    # The exception that a program's error is to the tests: of the nearest builtin kind that takes a text.
    message = "%s: %s" % (names[0] if names else "", text)
    for name in names:
        kind = getattr(builtins, name, None)
        if isinstance(kind, type) and issubclass(kind, Exception):
            try:
                exception = kind(text)
            except TypeError:
                continue
            exception.of_program = (status, message)
            return exception
    return Ended(status, message)  # SystemExit and its like, which end a program


def of_program(error):
    return (error.status, error.message) if isinstance(error, Ended) else getattr(error, "of_program", None)


def verdict(status, message, **more):
    return dict(more, status=status, message=message)


def prepared_tests(job):
    program, unsupported = None, []

    def candidate(*args, **kwargs):
        try:
            data = [to_data(arg) for arg in args], {key: to_data(value) for key, value in kwargs.items()}
        except (TypeError, ValueError) as error:
            unsupported.append("the tests pass what can't be sent: %s" % error)
            raise
        return program.call(*data)

    candidate.__name__ = job["entry_point"]
    space = {"__name__": "tests"}
    try:
        exec(compile(job["prompt"], "prompt.py", "exec"), space)  # helpers that the tests may use
    except Exception:
        space = {"__name__": "tests"}
    space[job["entry_point"]] = candidate
    exec(compile(job["test"], "tests.py", "exec"), space)
    check = space["check"]

    def run():
        nonlocal program
        try:
            program = Program(job)
            check(candidate)
        except BaseException as error:
            if unsupported:
                return verdict("unsupported", unsupported[0])
            return verdict(*of_program(error) or ("wrong_answer", failed_at(error, job["test"])))
        # Tests that went on as if nothing were, after the program had ended, did not pass.
        return verdict(*of_program(program.ended) or ("passed", ""))

    return run


def failed_at(error, source):
    lines, step, number = source.splitlines(), error.__traceback__, 0
    while step is not None:
        if step.tb_frame.f_code.co_filename == "tests.py":
            number = step.tb_lineno
        step = step.tb_next
    where = lines[number - 1].strip() if 0 < number <= len(lines) else ""
    return ("%s: %s: %s" % (type(error).__name__, error, where))[:500]


def prepared_calls(job):
    calls = [[to_data(json.loads(text)) for text in texts] for texts in job["calls"]]

    def run():
        results, program = [], None
        for args in calls:
            try:
                if program is None or program.ended:
                    program = Program(job)
                results.append({"value": to_data(program.call(args, {}))})
            except BaseException as error:
                results.append({"error": of_program(error) or ("runtime_error", repr(error))})
                if job["stop"] or program is None:
                    break
        return verdict("called", "", results=results)

    return run


job = json.loads(sys.stdin.buffer.read())
report, nowhere = os.fdopen(os.dup(1), "w"), os.open(os.devnull, os.O_RDWR)
for standard in (0, 1):
    os.dup2(nowhere, standard)  # what tests print, a program may have made up
os.chdir("/")
run = (prepared_calls if job["calls"] is not None else prepared_tests)(job)
try:
    # From here on whatever goes wrong is the program's doing, and no fault of the tests.
    report.write(json.dumps(dict(run(), nonce=job["nonce"])))
    report.flush()
finally:
    os._exit(0)  # the program may still be running; it ends with the sandbox
"""
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


def program_file(prelude: str, program: str) -> str:
    """Return the file that runs a program as a program, behind what is imported for it.

    Each is compiled for itself: the program's `from __future__` imports stay first, and its lines keep their numbers.
    """
    return (
        f"{_ANY_DIGITS}for _text in {(prelude, program)!r}:\n"
        '    exec(compile(_text, "main.py", "exec", dont_inherit=True))\n'
    )


CHECKER: Final = (
    _ANY_DIGITS
    + """
import json

job = json.load(sys.stdin)
for name, text in job["files"].items():
    with open(name, "w", encoding="utf-8", errors="surrogatepass", newline="") as file:
        file.write(text)
sys.argv = ["checker.py", *job["arguments"]]
exec(compile(job["checker"], "checker.py", "exec"), {"__name__": "__main__"})
"""
)
"""Runs a checker that is a Python program; it comes with its files on the standard input."""
