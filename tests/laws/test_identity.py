"""Laws 2 and 3: `run_id` changes with what can change a result and with nothing else; fingerprints stay fresh."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import textwrap
import types
from pathlib import Path
from typing import Any

import attr._make as attrs_make
import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis import (
    Case,
    Dataset,
    EvaluationConfig,
    Experiment,
    GenerationConfig,
    PromptSpec,
    RuntimeConfig,
    StorageConfig,
)
from themis.effects.sources.source_code import source_of
from themis.pure.components.functions import metric
from themis.pure.fingerprints import fingerprint
from themis.pure.identity import case_key, derive_seed
from themis.pure.json import canonical_bytes, content_hash
from themis.pure.records.generation import ParsedOutput
from themis.pure.records.snapshot import ComponentRef, DatasetRef, RunIdentity, RunProvenance
from themis.testing import strategies


def identity() -> RunIdentity:
    return RunIdentity(
        dataset_refs=[DatasetRef(dataset_id="sums", revision="r1", fingerprint="d" * 64)],
        generator_ref=ComponentRef(component_id="openai/gpt-4o", version="1", fingerprint="g" * 64),
        reducer_ref=ComponentRef(component_id="builtin/majority_vote", version="1", fingerprint="r" * 64),
        metric_refs=[ComponentRef(component_id="builtin/exact_match", version="1", fingerprint="m" * 64)],
        candidate_policy={"num_samples": 3},
        generation_prompt_spec=PromptSpec(instructions="Antworte knapp: ü €", blocks=[{"text": "x"}]),
        judge_config={"temperature": 0.1, "huge": 2**70},
        seeds=[1, 2, 3],
    )


def test_golden_hashes() -> None:
    """An upgrade that changes one of these changes the `run_id` of unchanged experiments: it must be meant."""
    assert identity().run_id == "2d009e41582a02dfe60a8c409ebff51a99658878bf5bcfa41992b421bd83913b"
    assert (
        Case(case_id="1", input={"q": "1+1", "n": 1.5}, expected_output=[2]).compute_hash()
        == "e80694da80a6d9d0ccbb33dea7429585a25af1fbf261e7e26ea66b92daa0053e"
    )
    assert (
        content_hash({"ö": [1, 1.0, 1e21, -0.0, None, True], "a": 2**64})
        == "6bb7aab78a9a2641b7700e2d469d017740f2bce07c8747e93007c6fe6b678600"
    )
    assert derive_seed("g" * 64, 0) == 1507199275
    assert case_key("math", "7") == "4:math:7"


@given(st.data())
def test_every_field_of_the_identity_counts(data: st.DataObject) -> None:
    before = identity()
    field = data.draw(st.sampled_from([f.name for f in attrs.fields(RunIdentity)]))
    value = getattr(data.draw(strategies.records(RunIdentity)), field)
    after = before.evolve(**{field: value})
    assert (after.run_id == before.run_id) == (canonical_bytes(after) == canonical_bytes(before))
    if canonical_bytes(value) != canonical_bytes(getattr(before, field)):
        assert after.run_id != before.run_id


def experiment(**changes: Any) -> Experiment:
    fields: dict[str, Any] = {
        "generation": GenerationConfig(generator="builtin/demo_generator"),
        "datasets": Dataset(dataset_id="d", cases=[{"case_id": "1", "input": "x", "expected_output": "y"}]),
    }
    return Experiment(**{**fields, **changes})


@given(strategies.records(RunProvenance), strategies.records(RuntimeConfig))
def test_nothing_of_provenance_counts(provenance: RunProvenance, runtime: RuntimeConfig) -> None:
    changed = experiment(
        runtime=runtime,
        storage=StorageConfig(store="jsonl", parameters={"path": "elsewhere"}),
        themis_version="9",
        python_version="4.0",
        platform="moon",
        git_commit="abc",
        dependency_versions={"attrs": "0"},
        environment_metadata={"a": "b"},
    )
    assert changed.compile().run_id == experiment().compile().run_id


CHANGES: dict[str, dict[str, Any]] = {
    "an input": {"datasets": Dataset(dataset_id="d", cases=[{"case_id": "1", "input": "X", "expected_output": "y"}])},
    "a reference": {
        "datasets": Dataset(dataset_id="d", cases=[{"case_id": "1", "input": "x", "expected_output": "z"}])
    },
    "the dataset's metadata": {
        "datasets": Dataset(
            dataset_id="d", cases=[{"case_id": "1", "input": "x", "expected_output": "y"}], metadata={"a": "b"}
        )
    },
    "the generator": {"generation": GenerationConfig(generator="builtin/demo_model")},
    "the prompt": {
        "generation": GenerationConfig(generator="builtin/demo_generator", prompt_spec=PromptSpec(prefix="Q: "))
    },
    "a judge's configuration": {"evaluation": EvaluationConfig(judge_config={"repeats": 2})},
    "a workflow override": {"evaluation": EvaluationConfig(workflow_overrides={"rubric": "strict"})},
    "the evaluation's prompt": {"evaluation": EvaluationConfig(prompt_spec=PromptSpec(suffix="!"))},
    "the seeds": {"seeds": [7]},
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_can_change_a_result_changes_the_run_id(change: str) -> None:
    assert experiment(**CHANGES[change]).compile().run_id != experiment().compile().run_id


# --- fingerprints -----------------------------------------------------------------------------------------


def _module(tmp_path: Path, source: str) -> Any:
    """Import a component from a module that is written here, in a fresh interpreter, and return its fingerprint."""
    (tmp_path / "mine.py").write_text(textwrap.dedent(source), encoding="utf-8")
    script = (
        "import json, mine; from themis.effects.sources.source_code import source_of;"
        "from themis.pure.fingerprints import fingerprint;"
        "print(json.dumps(fingerprint(mine.component, source_of)))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


BASE = """
    import re
    from themis import metric
    LIMIT = 10
    TABLE = {"a": 1}
    WORDS = re.compile("a+")
    def helper(text):
        return len(text)
    @metric
    def component(parsed, case):
        return helper(str(parsed.value)) < LIMIT + TABLE["a"] and not WORDS.match("b")
"""
SAME = {
    "a comment": (
        "return len(text)",
        "return len(text)  # how long it is",
    ),
    "blank lines": ("    def helper", "\n\n    def helper"),
    "code that it does not use": ("LIMIT = 10", "LIMIT = 10\n    UNUSED = 3"),
}
OTHER = {
    "its body": ("not WORDS", "bool WORDS".replace("bool", "not not")),
    "a function that it calls": ("return len(text)", "return len(text) + 1"),
    "a constant": ("LIMIT = 10", "LIMIT = 11"),
    "a table": ('{"a": 1}', '{"a": 2}'),
    "a pattern": ('"a+"', '"a*"'),
}


@pytest.mark.parametrize("change", SAME)
def test_what_cannot_matter_keeps_the_fingerprint(change: str, tmp_path: Path) -> None:
    assert _module(tmp_path, BASE.replace(*SAME[change])) == _module(tmp_path, BASE)


@pytest.mark.parametrize("change", OTHER)
def test_what_can_matter_changes_the_fingerprint(change: str, tmp_path: Path) -> None:
    assert OTHER[change][0] in BASE
    assert _module(tmp_path, BASE.replace(*OTHER[change])) != _module(tmp_path, BASE)


def _closing_over(limit: object) -> Any:
    @metric(component_id="m")
    def m(parsed: ParsedOutput) -> bool:
        return str(parsed.value) == limit

    return m


@given(strategies.json_scalars(), strategies.json_scalars())
def test_closures_count(left: Any, right: Any) -> None:
    same = canonical_bytes([left]) == canonical_bytes([right])
    assert (fingerprint(_closing_over(left), source_of) == fingerprint(_closing_over(right), source_of)) == same


def test_using_a_component_does_not_change_its_fingerprint() -> None:
    one = experiment()
    before = one.compile().run_id
    one.run()
    assert one.compile().run_id == before


def test_what_a_library_adds_to_a_class_does_not_count() -> None:
    class Plain:
        component_id = "tests/plain"

        def score(self) -> float:
            return 1.0

    before = fingerprint(Plain(), source_of)
    # As attrs adds `__replace__` to every class from Python 3.13 on: its own function, the class's module name.
    added = types.FunctionType(inspect.unwrap(attrs.evolve).__code__, vars(attrs_make), "__replace__")
    added.__module__ = Plain.__module__
    Plain.__replace__ = added  # type: ignore[attr-defined]
    assert fingerprint(Plain(), source_of) == before


def test_configuration_counts() -> None:
    from themis.pure.components.basic import DemoModel

    assert fingerprint(DemoModel(error_rate=0.1), source_of) != fingerprint(DemoModel(error_rate=0.2), source_of)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f():\n    # why\n    return '# no comment'\n", "def f():\n    return '# no comment'"),
        ('def f():\n    return """\n\n# kept\n"""\n', 'def f():\n    return """\n\n# kept\n"""'),
        ("    def f(self):\n        return 1\n", "def f(self):\n    return 1"),
    ],
)
def test_normalised_source(source: str, expected: str) -> None:
    assert code_text(source) == expected
