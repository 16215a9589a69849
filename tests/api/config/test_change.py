"""One value of an experiment changed is what an override of its file makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from themis import Experiment
from themis.api.config.change import with_value
from themis.pure.errors import SpecError, ThemisError

CONFIG = """\
generation:
  generator: {id: openai/gpt-4o, temperature: 0.2}
  prompt_spec: {instructions: Answer.}
  candidate_policy: {num_samples: 2}
evaluation: {metrics: [builtin/exact_match, builtin/f1], parsers: [builtin/text]}
datasets: [{path: rows.jsonl, limit: 3}]
"""
CHANGES: dict[str, st.SearchStrategy[Any]] = {
    "generation.generator.temperature": st.sampled_from([0, 0.5, 1.5]),
    "generation.generator.max_tokens": st.integers(1, 100),
    "generation.generator.extra.top_k": st.integers(1, 9),
    "generation.candidate_policy.num_samples": st.integers(1, 9),
    "generation.prompt_spec.instructions": st.text("ab", max_size=3),
    "generation.prompt_spec": st.just({"template": "Q: {input}"}),
    "generation.reducer": st.just("builtin/majority_vote"),
    "generation.generator": st.sampled_from(["builtin/demo_model", {"id": "openai/gpt-4o", "top_p": 0.5}]),
    "evaluation.metrics.1": st.just("builtin/contains"),
    "evaluation.metrics": st.sampled_from(["builtin/f1", ["builtin/contains"]]),
    "evaluation.unparsed": st.sampled_from(["missing", "incorrect"]),
    "evaluation.parsers.0.strip_reasoning": st.sampled_from(["auto", "none"]),
    "datasets.0.limit": st.integers(1, 5),
    "runtime.max_cost": st.sampled_from([1, 2.5]),
}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("change")
    rows = "".join(json.dumps({"input": str(n), "expected_output": str(n)}) + "\n" for n in range(5))
    (folder / "rows.jsonl").write_text(rows, encoding="utf-8")
    (folder / "e.yaml").write_text(CONFIG, encoding="utf-8")
    return folder / "e.yaml"


def came_to(make: Any) -> Any:
    try:
        made = make()
        return made.compile().run_id, made.runtime
    except SpecError:
        return "refused"


@settings(max_examples=40, deadline=None)
@given(key=st.sampled_from(sorted(CHANGES)), data=st.data())
def test_a_value_is_changed_as_an_override_changes_it(file: Path, key: str, data: st.DataObject) -> None:
    value = data.draw(CHANGES[key])
    experiment = Experiment.from_config(file)
    overridden = came_to(lambda: Experiment.from_config(file, overrides=[f"{key}={json.dumps(value)}"]))
    assert came_to(lambda: with_value(experiment, key, value, file.parent)) == overridden


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("generation.generator.temprature", 1, "did you mean temperature"),
        ("generation.x", 1, "x: unknown key; "),
        ("evaluation.unparsed", "odd", "one of 'incorrect', 'missing' expected"),
        ("generation.candidate_policy.num_samples", "many", "a whole number expected"),
        ("datasets.3.limit", 3, "is no place in a list of 1"),
        ("runtime.max_cost", -1, "a number above 0 expected"),
        ("evaluation.metrics", "builtin/f2", "no metric 'builtin/f2'"),
        ("generation.selector.k", 2, "there is no selector that could be given k"),
        ("name.first", "a", "name: str expected"),
    ],
)
def test_what_a_value_can_not_be_is_said(file: Path, key: str, value: Any, told: str) -> None:
    with pytest.raises(ThemisError, match=told):
        with_value(Experiment.from_config(file), key, value, file.parent)
