"""The one table of builtins: ids, kinds, summaries, options, and fingerprints made from code."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import pytest

from themis.pure.components.registry import builtins, component_ids, make_builtin
from themis.pure.components.text import choice, choice_marks, code, json_text, math_answer, reasoning
from themis.pure.errors import SpecError
from themis.pure.fingerprints import fingerprint

NEEDED = {"builtin/regex": {"pattern": "a"}}


def source_of(value: Any) -> str | None:
    try:
        return inspect.getsource(value)
    except (OSError, TypeError):
        return None


@pytest.mark.parametrize("name", component_ids())
def test_every_builtin_has_a_summary_a_version_and_no_fingerprint_by_hand(name: str) -> None:
    entry = builtins()[name]
    made = make_builtin(name, **NEEDED.get(name, {}))
    assert made.component_id == name
    assert made.version == entry.version
    assert 10 < len(entry.summary) <= 120
    assert not hasattr(made, "fingerprint")
    assert len(fingerprint(made, source_of)) == 64


def test_ids_are_listed_by_kind() -> None:
    assert "builtin/choice_letter" in component_ids("parser")
    assert "builtin/choice_letter" not in component_ids("metric")
    assert component_ids() == sorted(builtins())
    with pytest.raises(SpecError, match="the kinds are generator, judge_model, metric"):
        component_ids("metrics")


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("choice_letter", {}, {"options": 4}),
        ("choice_letter", {}, {"multiple": True}),
        ("text", {}, {"strip_reasoning": False}),
        ("code_text", {}, {"language": "cpp"}),
        ("regex", {"pattern": "a"}, {"pattern": "b"}),
        ("numeric_match", {}, {"rel_tol": 0.1}),
        ("bleu", {}, {"tokenize": "char"}),
        ("json_schema", {"schema": {"type": "array"}}, {"schema": {"type": "object"}}),
        ("rubric_points", {}, {"batch": 4}),
    ],
)
def test_an_option_changes_the_fingerprint(name: str, first: dict[str, Any], second: dict[str, Any]) -> None:
    prints = [fingerprint(make_builtin(name, **options), source_of) for options in (first, first, second)]
    assert prints[0] == prints[1] != prints[2]


@pytest.mark.parametrize(
    ("name", "modules"),
    [
        ("choice_letter", [choice, reasoning]),
        ("code_text", [code, reasoning]),
        ("json", [json_text, reasoning]),
        ("math_answer", [math_answer, reasoning]),
    ],
)
def test_a_fingerprint_rests_on_every_function_behind_a_parser(name: str, modules: list[Any]) -> None:
    asked: set[str] = set()

    def watch(value: Any) -> str | None:
        asked.add(f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}")
        return source_of(value)

    fingerprint(make_builtin(name), watch)
    for module in modules:
        functions = [f for _, f in inspect.getmembers(module, inspect.isfunction) if f.__module__ == module.__name__]
        assert functions
        assert {f"{f.__module__}.{f.__qualname__}" for f in functions} <= asked


def test_an_edited_pattern_changes_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(make_builtin("choice_letter"), source_of)
    monkeypatch.setattr(choice, "VERDICT", choice_marks.BOXED)
    assert fingerprint(make_builtin("choice_letter"), source_of) != before


PURITY = """
import sys, time
from themis.pure.components.registry import component_ids, make_builtin, builtins
from themis.testing.single import parse_one, score_one

parsers = [make_builtin(n, **({"pattern": "a+"} if n.endswith("regex") else {})) for n in component_ids("parser")]
metrics = [make_builtin(n) for n in component_ids("metric") if hasattr(builtins()[n].make, "score")]
ANSWERS = ["<think>x</think>Answer: C", "```python\\nx = 1\\n```", '{"a": 1}', "x^2 + 1", "12", "9**9**9"]

def everything():
    found = [parse_one(p, a).to_dict() for p in parsers for a in ANSWERS]
    for m in metrics:
        for a in ANSWERS:
            for r in ("C", "1+x^2", "12", {"type": "object"}):
                found.append(score_one(m, a, r).to_dict())
    return found

once = everything()
watching = True
def watch(event, arguments):
    if watching and event.startswith(("open", "os.", "socket.", "subprocess.", "shutil.", "ctypes.", "import")):
        raise RuntimeError(f"{event} {arguments!r}"[:300])
def no_clock(*_):
    if watching:
        raise RuntimeError("the clock was read")
    return 0.0
for name in ("time", "monotonic", "perf_counter", "process_time", "sleep", "time_ns"):
    setattr(time, name, no_clock)
sys.addaudithook(watch)
again = everything()
watching = False
different = [(a, b) for a, b in zip(once, again) if a != b]
assert not different, different[:3]
sys.stdout.write("pure")
"""


def test_parsing_and_scoring_again_touch_nothing_and_come_to_the_same() -> None:
    done = subprocess.run([sys.executable, "-c", PURITY], capture_output=True, text=True, check=False)
    assert done.stdout == "pure", done.stderr
