"""What is said of wrong configs, word for word: a change of wording shows here, and is meant."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema.validators import Draft202012Validator

from themis.api.experiment.experiment import Experiment
from themis.pure.errors import ThemisError

HERE = Path(__file__).parent
GOOD = """\
generation: {generator: builtin/demo_model}
evaluation: {metrics: builtin/exact_match}
datasets: [{dataset_id: d, path: rows.jsonl}]
"""

CASES: dict[str, tuple[str, str, list[str]]] = {
    "nothing": ("e.yaml", "", []),
    "only a comment": ("e.yaml", "# nothing\n", []),
    "a list": ("e.yaml", "- 1\n", []),
    "text": ("e.yaml", "hello\n", []),
    "a number": ("e.json", "3", []),
    "a truth value": ("e.json", "true", []),
    "an open bracket": ("e.yaml", "generation: {a: [1, 2\n", []),
    "a wrong indentation": ("e.yaml", "a: 1\n b: 2\n", []),
    "a tab": ("e.yaml", "a:\n\tb: 1\n", []),
    "a tag": ("e.yaml", "a: !!python/object/apply:os.system ['true']\n", []),
    "an unknown alias": ("e.yaml", "a: *b\n", []),
    "two documents": ("e.yaml", "a: 1\n---\nb: 2\n", []),
    "a key that comes twice": ("e.yaml", "a: 1\nb: {c: 1}\na: 2\n", []),
    "an inner key that comes twice": ("e.yaml", "a:\n  b: 1\n  c: 1\n  b: 2\n", []),
    "a key that is a number": ("e.yaml", "a: {1: 2}\n", []),
    "a key that is nothing": ("e.yaml", "null: 2\n", []),
    "a key that is a list": ("e.yaml", "? [1]\n: 2\n", []),
    "a character that YAML forbids": ("e.yaml", "a: \x01\n", []),
    "broken TOML": ("e.toml", "a = \n", []),
    "a TOML key that comes twice": ("e.toml", "a = 1\na = 2\n", []),
    "broken JSON": ("e.json", "{", []),
    "a JSON key that comes twice": ("e.json", '{"a": 1, "b": {"c": 1, "c": 2}}', []),
    "another ending": ("e.txt", "a: 1\n", []),
    "a TOML date": (
        "e.toml",
        "seeds = [2024-01-01]\nenvironment_metadata = {day = 2024-01-01}\ngit_commit = 2024-01-01\n"
        '[generation]\ngenerator = "builtin/demo_model"\n[[datasets]]\npath = "rows.jsonl"\n'
        "[evaluation.judge_config]\nday = 2024-01-01\n",
        [],
    ),
    "no number": (
        "e.json",
        '{"generation": {"generator": "builtin/demo_model"}, "datasets": [{"path": "rows.jsonl"}], '
        '"runtime": {"max_cost": NaN, "generation_timeout": Infinity}, "evaluation": {"judge_config": {"x": [NaN]}}}',
        [],
    ),
    "empty": ("e.yaml", "{}\n", []),
    "no generation": ("e.yaml", "datasets: [{path: rows.jsonl}]\n", []),
    "no datasets": ("e.yaml", "generation: {generator: builtin/demo_model}\n", []),
    "unknown keys at each level": (
        "e.yaml",
        GOOD,
        [
            "dataset=3",
            "generation.genrator=a",
            "generation.prompt_spec.prefx=a",
            "datasets.0.limt=3",
            "runtime.max_cst=1",
            "storage.stor=a",
            "evaluation.metric=a",
        ],
    ),
    "neither cases nor a path": ("e.yaml", GOOD, ["datasets=[{dataset_id: a}]"]),
    "cases and a path": ("e.yaml", GOOD, ["datasets.0.cases=[{input: 1}]"]),
    "a file's keys beside cases": (
        "e.yaml",
        GOOD,
        ["datasets=[{cases: [{input: 1}], limit: 3, input_field: q, format: csv}]"],
    ),
    "wrong cases": ("e.yaml", GOOD, ["datasets=[{cases: [3, {inpt: 1}, {input: 1, metadata: {n: {a: 3}}}]}]"]),
    "a case without input": ("e.yaml", GOOD, ["datasets=[{cases: [{case_id: a}]}]"]),
    "a missing file": ("e.yaml", GOOD, ["datasets.0.path=row.jsonl"]),
    "a file of no known kind": ("e.yaml", GOOD, ["datasets.0.path=e.yaml"]),
    "an unknown component": ("e.yaml", GOOD, ["evaluation.metrics=[exact_mach, builtin/f1]"]),
    "an unknown model": ("e.yaml", GOOD, ["generation.generator=opnai/gpt-4o"]),
    "an unknown argument": ("e.yaml", GOOD, ["generation.generator.errorrate=1"]),
    "an argument of nothing": ("e.yaml", GOOD, ["evaluation.metrics={id: builtin/exact_match, a: 1}"]),
    "a wrong argument of a model": ("e.yaml", GOOD, ["generation.generator={id: openai/m, temperature: hot}"]),
    "an unknown argument of a model": ("e.yaml", GOOD, ["generation.generator={id: openai/m, temprature: 1}"]),
    "a module that is not there": ("e.yaml", GOOD, ["evaluation.metrics=nosuch_module:thing"]),
    "a name that a module lacks": ("e.yaml", GOOD, ["evaluation.metrics=fault_metrics:close_enogh"]),
    "an argument of an object": ("e.yaml", GOOD, ["evaluation.metrics={id: 'fault_metrics:close_enough', a: 1}"]),
    "an unknown argument of a class": ("e.yaml", GOOD, ["evaluation.metrics={id: 'fault_metrics:Scaled', factr: 1}"]),
    "a module that raises": ("e.yaml", GOOD, ["evaluation.metrics=fault_raises:f"]),
    "a component without an id": ("e.yaml", GOOD, ["generation.generator={temperature: 0}"]),
    "a component's id that is a number": ("e.yaml", GOOD, ["generation.generator={id: 3}"]),
    "a wrong prompt block": ("e.yaml", GOOD, ["generation.prompt_spec.blocks=[{text: a}, {role: user}]"]),
    "an unknown policy": ("e.yaml", GOOD, ["generation.candidate_policy={samples: 3, pass_k: 0}"]),
    "wrong shares": ("e.yaml", GOOD, ["runtime.budget_shares={score: 0.5, judge: 2}"]),
    "wrong prices": ("e.yaml", GOOD, ["runtime.prices={'vllm/m': {prompt: 1}, 'vllm/n': 3}"]),
    "wrong limits": ("e.yaml", GOOD, ["runtime.provider_rate_limits={openai: 0, vllm: many}"]),
    "several numbers out of bounds": (
        "e.yaml",
        GOOD,
        ["runtime={max_cost: -1, max_concurrent_tasks: 0, store_retry_delay: -1}"],
    ),
    "no choice": ("e.yaml", GOOD, ["runtime.existing_run_policy=again"]),
    "wrong metadata": ("e.yaml", GOOD, ["environment_metadata={a: 1, b: [x]}"]),
    "wrong seeds": ("e.yaml", GOOD, ["seeds=[1, a, 2.5]"]),
    "facts that are no text": ("e.yaml", GOOD, ["git_commit=3"]),
    "variables that are not set": (
        "e.yaml",
        GOOD,
        [
            "datasets.0.revision=${oc.env:THEMIS_NOT_SET}",
            "runtime.max_cost=${oc.env:THEMIS_NOT_SET}",
            "generation.prompt_spec.prefix=a ${oc.env:THEMIS_NOT_SET} b",
        ],
    ),
    "malformed references": (
        "e.yaml",
        GOOD,
        ["datasets.0.revision=${oc.env:}", "environment_metadata.a=${oc.env:A B}", "environment_metadata.b=${oc.env:A"],
    ),
    "a reference to text where a number is meant": ("e.yaml", GOOD, ["runtime.max_cost=${oc.env:THEMIS_NOT_SET,much}"]),
    "a reference to nothing where a number is meant": (
        "e.yaml",
        GOOD,
        ["runtime.max_concurrent_tasks=${oc.env:THEMIS_NOT_SET,}"],
    ),
    "a credential by name": ("e.yaml", GOOD, ["generation.generator.api_key=abc"]),
    "a credential by looks": ("e.yaml", GOOD, ["environment_metadata.note=sk-proj-abcdefghijklmnop1234"]),
    "a credential in a store's address": (
        "e.yaml",
        GOOD,
        ["storage.parameters.dsn=postgresql://me:hunter2@localhost/db"],
    ),
    "a credential from the environment": ("e.yaml", GOOD, ["environment_metadata.note=${oc.env:OPENAI_API_KEY}"]),
    "a credential and other faults": (
        "e.yaml",
        GOOD,
        ["generation.generator.api_key=abc", "datasets.0.limt=3", "runtime.max_cost=no", "runtime.max_tokens=0"],
    ),
    "faults of all kinds at once": (
        "e.yaml",
        GOOD,
        [
            "datasets.0.limt=3",
            "evaluation.metrics=exact_mach",
            "runtime.max_cost=no",
            "generation.reducer=vote",
            "datasets.0.revision=${oc.env:THEMIS_NOT_SET}",
        ],
    ),
    "no override": ("e.yaml", GOOD, ["runtime", "=3", "a"]),
    "overrides of what is not there": (
        "e.yaml",
        GOOD,
        ["datasets.4.limit=1", "datasets.x=1", "datasets.0.limit.x=1", "seeds=[3]", "seeds.0.x=1"],
    ),
    "an override that is no YAML": ("e.yaml", GOOD, ["runtime.stage_concurrency={judge: 2"]),
    "an override with a key that comes twice": ("e.yaml", GOOD, ["runtime.stage_concurrency={judge: 2, judge: 3}"]),
}

# A name, and the file's name, its text, and the overrides; what is said of them stands in `said.txt`.

FILES = {
    "rows.jsonl": '{"input": 1}\n',
    "fault_metrics.py": """\
import attrs
from themis import metric

@metric
def close_enough(parsed, case):
    return 1.0

@attrs.frozen
class Scaled:
    factor: float = 1.0
""",
    "fault_raises.py": 'raise RuntimeError("no GPU here")\n',
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("THEMIS_TEST_TEXT", "7")
    monkeypatch.delenv("THEMIS_NOT_SET", raising=False)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def plain(message: str, path: Path) -> str:
    """Return a message without what differs from folder to folder, or grows with the components."""
    message = message.replace(str(path), "FILE").replace(str(path.parent), "FOLDER")
    return re.sub(r"known names: anthropic.*?\(", "known names: ... (", message)


def said(file: str) -> dict[str, str]:
    parts = (HERE / file).read_text(encoding="utf-8").split("## ")[1:]
    return {title: message.rstrip("\n") for title, _, message in (part.partition("\n") for part in parts)}


SAID = said("said.txt")


def test_each_case_has_its_words() -> None:
    assert list(SAID) == list(CASES)


@pytest.mark.parametrize("name", CASES)
def test_what_is_said(folder: Path, name: str) -> None:
    file, text, overrides = CASES[name]
    path = folder / file
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ThemisError) as caught:
        Experiment.from_config(path, overrides=overrides)
    assert f"{type(caught.value).__name__} {plain(str(caught.value), path)}" == SAID[name]


# --- every key of the schema, with a value of each kind ---------------------------------------------------

SCHEMA: Any = json.loads((HERE.parents[2] / "docs" / "reference" / "config.schema.json").read_text(encoding="utf-8"))
VALUES: tuple[Any, ...] = (None, True, -1, 0, 2.5, "", "x", "${oc.env:THEMIS_TEST_TEXT}", [], [3], {}, {"x": 3})
Place = tuple[str | int, ...]


def whole() -> Any:
    """Return a config in which every key can be replaced."""
    return {
        "generation": {"generator": "builtin/demo_model", "prompt_spec": {"instructions": "Add."}},
        "evaluation": {"metrics": "builtin/exact_match", "prompt_spec": {"instructions": "Judge."}},
        "datasets": [{"dataset_id": "d", "cases": [{"case_id": "a", "input": 1, "expected_output": 1}]}],
        "storage": {"store": "memory"},
        "runtime": {"max_concurrent_tasks": 8},
    }


def places(schema: Any, place: Place = ()) -> Iterator[Place]:
    for name, part in schema.get("properties", {}).items():
        yield (*place, name)
        inner = part.get("items", part)
        yield from places(inner, (*place, name) if inner is part else (*place, name, 0))


def dotted(place: Place) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


def put(place: Place, value: Any) -> Any:
    """Return the whole config with a value at a place."""
    config = inner = whole()
    for part in place[:-1]:
        inner = inner[part] if isinstance(part, int) else inner.setdefault(part, {})
    inner[place[-1]] = value
    if place[0] == "datasets" and place[2:] == ("path",):
        del inner["cases"]
    return config


def wrong() -> Iterator[tuple[Place, str, Any]]:
    """Yield each place, what is put there, and the config in which it stands there."""
    for place in places(SCHEMA):
        for value in VALUES:
            yield place, json.dumps(value), put(place, value)
        yield place, "(its name misspelt)", put((*place[:-1], f"{place[-1]}_"), 3)


def faults(config: Any, path: Path) -> list[str]:
    """Return what is said of a config, a fault an item; nothing if it describes an experiment."""
    path.write_text(json.dumps(config), encoding="utf-8")
    try:
        Experiment.from_config(path)
    except ThemisError as error:
        message = plain(str(error), path).removeprefix("FILE").removeprefix(": ")
        return message.split("\n  - ")[1:] if " problems:\n" in message else [message]
    return []


def told(path: Path) -> str:
    """Return what is said of each wrong config: the value and what is said, and the keys of which it is said."""
    found: dict[str, list[str]] = {}
    for place, value, config in wrong():
        key = dotted(place)
        words = [f"  {fault}".replace(f"  {key}", "  KEY") for fault in faults(config, path)]
        found.setdefault("\n".join([value, *(words or ["  (accepted)"])]), []).append(key)
    return "\n\n".join(f"{words}\n    {' '.join(keys)}" for words, keys in sorted(found.items()))


def test_what_is_said_of_each_key(folder: Path) -> None:
    """A paragraph of `said_of_keys.txt` holds a value, what is said of it, and the keys of which it is said."""
    kept = (HERE / "said_of_keys.txt").read_text(encoding="utf-8")
    assert told(folder / "e.json").splitlines() == kept.splitlines()


def test_editors_and_the_command_judge_alike(folder: Path) -> None:
    """What the schema refuses, the command refuses with a fault at that key, and the other way round."""
    validator = Draft202012Validator(SCHEMA)
    for place, value, config in wrong():
        if "oc.env" in value:  # an editor can't know what it will be
            continue
        problems = [fault for fault in faults(config, folder / "e.json") if not OF_CONTENT.search(fault)]
        assert validator.is_valid(config) == (not problems), (dotted(place), value, problems)
        assert all(fault.startswith(dotted(place[:-1])) for fault in problems), (dotted(place), value, problems)


OF_CONTENT = re.compile(
    "is no rule for stopping|no (?:model|judge model|metric|parser|reducer|selector) '|budget_shares\\.x"
    "|what kind of file|for files, and|there is no such file|no field in it|and blocks hold"
)
"""What no schema can tell: whether a name is known, a file is there, and what belongs together."""
