"""An experiment, written as a config and read again, compiles to the same `run_id`, whatever it holds."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from jsonschema.validators import Draft202012Validator

from themis import adapters
from themis.api.config.files import read_yaml, write_yaml
from themis.api.config.read import build
from themis.api.config.record import EvaluationConfig, GenerationConfig
from themis.api.config.schema import config_schema
from themis.api.config.write import config_of
from themis.api.experiment.experiment import Experiment
from themis.effects.sources.files import CaseFields, file_dataset
from themis.pure.components.basic import DemoModel, MajorityVote
from themis.pure.components.functions import metric
from themis.pure.components.metrics import ExactMatch
from themis.pure.errors import SpecError
from themis.pure.json import thaw
from themis.pure.records.config import RuntimeConfig, StorageConfig
from themis.pure.records.dataset import Case, Dataset
from themis.pure.records.prompt import PromptSpec
from themis.pure.security import find_secrets
from themis.pure.templates import escaped
from themis.testing import strategies

TRICKY = st.sampled_from(
    ["no", "1e3", "2024-01-01", "~", "null", "True", "0x1F", "1_000", "- a", "a: b", "#c", "${oc.env:HOME}",
     r"\${oc.env:HOME}", "${oc.env:", "a\nb\n", " x ", "ü€\x85\u2028", "", "<<", "=", "!tag", "*a", "&a", "1:30"]
)  # fmt: skip
TEXT = st.one_of(TRICKY, st.text(st.characters(codec="utf-8"), max_size=12))
JSON = st.one_of(strategies.json_values(), TRICKY)


def prompts(**more: st.SearchStrategy[Any]) -> st.SearchStrategy[PromptSpec | None]:
    block = st.one_of(
        st.fixed_dictionaries({"text": TEXT}),
        st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": JSON}),
        st.fixed_dictionaries({"input": JSON, "output": JSON}),
        st.fixed_dictionaries({"data": JSON}),
    )
    part = st.none() | TEXT
    return st.none() | st.builds(
        PromptSpec, instructions=part, prefix=part, suffix=part, blocks=st.lists(block, max_size=2), **more
    )


def inline_datasets() -> st.SearchStrategy[Dataset]:
    case = st.builds(
        lambda value, expected, metadata: {"input": value, "expected_output": expected, "metadata": metadata},
        JSON.filter(lambda value: value is not None),
        JSON,
        st.dictionaries(TEXT, JSON.filter(lambda value: not isinstance(value, dict)), max_size=2),
    )

    def make(rows: list[dict[str, Any]], name: str, revision: str | None) -> Dataset:
        cases = [Case(case_id=f"no {i}", **row) for i, row in enumerate(rows)]
        return Dataset(dataset_id=name, cases=cases, revision=revision)

    return st.builds(
        make, st.lists(case, min_size=1, max_size=4), st.sampled_from(["no", "a b", "1"]), st.none() | TEXT
    )


adapters.openai("m")  # loads the HTTP client now: its import draws random numbers, which no strategy may

GENERATORS = st.one_of(
    st.sampled_from(["builtin/demo_model", "demo_model"]),
    st.builds(DemoModel, error_rate=st.floats(0, 1)),
    st.builds(
        lambda temperature, stop, api: adapters.openai(
            "m",
            base_url="http://127.0.0.1:9/v1",
            temperature=temperature,
            stop=[] if api == "responses" else stop,  # this protocol stops at no texts
            api=api,
        ),
        st.none() | st.floats(0, 2),
        st.lists(TEXT.filter(bool), max_size=2),
        st.sampled_from(["chat", "completions", "responses"]),
    ),
    st.builds(lambda seconds: adapters.anthropic("claude", max_tokens=seconds), st.integers(1, 99)),
)


@st.composite
def experiments(draw: st.DrawFn) -> Experiment:
    samples = draw(st.integers(1, 3))
    return Experiment(
        generation=GenerationConfig(
            generator=draw(GENERATORS),
            candidate_policy={"num_samples": samples} if samples > 1 else {},
            prompt_spec=draw(
                prompts(
                    template=st.none() | TEXT.map(lambda text: f"{escaped(text)}{{input}}"),
                    answer_template=st.none() | TEXT.map(lambda text: f"{escaped(text)}{{output}}"),
                )
            ),
            reducer=draw(st.sampled_from(["builtin/majority_vote", MajorityVote()])) if samples > 1 else None,
        ),
        evaluation=EvaluationConfig(
            metrics=draw(st.sampled_from(["builtin/exact_match", [ExactMatch(), "builtin/f1"], ["f1"]])),
            parsers=draw(st.sampled_from([None, "builtin/text", ["builtin/json_identity", "builtin/text"]])),
            prompt_spec=draw(prompts()),
            judge_config=draw(st.dictionaries(st.sampled_from(["repeats", "note"]), JSON, max_size=1)),
            workflow_overrides=draw(st.dictionaries(st.just("rubric"), TEXT, max_size=1)),
        ),
        datasets=[draw(inline_datasets())],
        storage=draw(st.sampled_from([StorageConfig(), StorageConfig(store="sqlite", parameters={"path": "a/b.db"})])),
        runtime=RuntimeConfig(
            max_concurrent_tasks=draw(st.integers(1, 9)),
            stage_concurrency=draw(st.dictionaries(st.just("judge"), st.integers(1, 4))),
            max_cost=draw(st.none() | st.floats(0.01, 10)),
            existing_run_policy=draw(st.sampled_from(["auto", "error", "rerun"])),
        ),
        seeds=draw(st.just([]) | st.lists(st.integers(0, 2**31), min_size=samples, max_size=samples)),
        environment_metadata=draw(st.dictionaries(TEXT, TEXT, max_size=2)),
    )


@given(experiments())
def test_what_is_written_compiles_to_the_same_run(experiment: Experiment) -> None:
    folder = Path("/somewhere")
    tree = config_of(experiment, relative_to=folder)
    assume(
        not any(find_secrets({**tree, "datasets": None}))
    )  # a key may be called APIKEY by chance, and then is refused
    assert Draft202012Validator(config_schema()).is_valid(tree)
    for text, read in ((write_yaml(tree), read_yaml), (json.dumps(tree), json.loads)):
        again = build(Experiment, read(text), folder)
        assert again.compile().run_id == experiment.compile().run_id
        assert again.runtime == experiment.runtime
        assert again.storage.store == experiment.storage.store
        assert again.environment_metadata == experiment.environment_metadata


@given(JSON)
def test_yaml_is_read_as_it_was_written(value: Any) -> None:
    assert read_yaml(write_yaml(value)) == value


@pytest.mark.parametrize(
    ("metadata", "kept"), [(("t",), {"t": "algebra"}), (("*",), {"n": 3, "t": "algebra"})], ids=["named", "all"]
)
def test_a_file_s_dataset_is_written_with_its_path_and_fields(
    metadata: tuple[str, ...], kept: dict[str, Any], tmp_path: Path
) -> None:
    rows = tmp_path / "data" / "rows.txt"
    rows.parent.mkdir()
    rows.write_text('{"q": "1+1", "a": "2", "n": 3, "t": "algebra"}\n' * 3, encoding="utf-8")
    fields = CaseFields(input="q", expected="a", metadata=metadata)
    experiment = Experiment(
        generation=GenerationConfig(generator="builtin/demo_model"),
        evaluation=EvaluationConfig(metrics="builtin/exact_match"),
        datasets=file_dataset(rows, fields=fields, limit=2, kind="jsonl", revision="r1"),
        storage=StorageConfig(store="sqlite", parameters={"path": str(tmp_path / "runs" / "a.sqlite3")}),
    )
    written = tmp_path / "configs" / "e.yaml"
    tree = experiment.to_config(written)
    assert tree["datasets"][0]["path"] == "../data/rows.txt"
    assert tree["storage"]["parameters"] == {"path": "../runs/a.sqlite3"}
    again = Experiment.from_config(written)
    assert again.compile().run_id == experiment.compile().run_id
    assert len(again.datasets[0].cases) == 2
    assert thaw(next(iter(again.datasets[0].cases)).metadata) == kept


MODULE = """
import attrs
from themis import metric, ParsedOutput, Case, Score

@metric
def same(parsed: ParsedOutput, case: Case) -> float:
    return float(parsed.value == case.expected_output)

@attrs.frozen
class Scaled:
    factor: float = 1.0
    component_id: str = "scaled"
    version: str = "1"
    def score(self, parsed, case, ctx):
        return Score(metric_id=self.component_id, value=self.factor)
"""


def test_components_of_a_module_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "round_trip_metrics.py").write_text(MODULE, encoding="utf-8")
    config = tmp_path / "e.yaml"
    config.write_text(
        "generation: {generator: builtin/demo_model}\n"
        "evaluation: {metrics: [round_trip_metrics:same, {id: round_trip_metrics:Scaled, factor: 0.5}]}\n"
        "datasets: [{cases: [{input: 1, expected_output: 1}]}]\n",
        encoding="utf-8",
    )
    experiment = Experiment.from_config(config)
    same, scaled = experiment.evaluation.metrics
    assert (same.component_id, scaled.factor) == ("same", 0.5)
    tree = experiment.to_config(tmp_path / "again.yaml")
    assert tree["evaluation"]["metrics"] == [
        "round_trip_metrics:same",
        {"id": "round_trip_metrics:Scaled", "factor": 0.5},
    ]
    assert Experiment.from_config(tmp_path / "again.yaml").compile().run_id == experiment.compile().run_id


def test_what_no_file_can_name_is_refused_with_every_place() -> None:
    @metric
    def local(parsed: Any, case: Any) -> float:
        return 1.0

    experiment = Experiment(
        generation=GenerationConfig(generator="builtin/demo_model"),
        evaluation=EvaluationConfig(metrics=[local, "builtin/f1"], parsers=[object()]),
        datasets=Dataset(dataset_id="d", cases=[{"case_id": "a", "input": 1}]),
    )
    with pytest.raises(SpecError, match=r"2 problems") as caught:
        experiment.to_config()
    assert "evaluation.metrics[0]: local is an object of" in str(caught.value)
    assert "evaluation.parsers[0]" in str(caught.value)


HERE = "http://gpu:1/v1"
AWAY = "http://other:2/v1"
ADDRESSES = ("VLLM_BASE_URL", "OPENAI_BASE_URL", "GROQ_BASE_URL", "BEDROCK_BASE_URL")
SAID = ("AZURE_OPENAI_ENDPOINT", "AWS_REGION", "AWS_DEFAULT_REGION")
MODELS: dict[str, Callable[[], Any]] = {
    "vllm": lambda: adapters.vllm("m", base_url=HERE, top_k=3),
    "vllm, from the environment": lambda: adapters.vllm("m"),
    "openai": lambda: adapters.openai("m", base_url=HERE),
    "a provider": lambda: adapters.openai("m", provider="groq", base_url=HERE),
    "a provider of one's own": lambda: adapters.openai("m", provider="mine", base_url=HERE),
    "azure": lambda: adapters.openai("m", provider="azure", base_url="https://x.openai.azure.com"),
    "azure of a version": lambda: adapters.openai(
        "m", provider="azure", base_url="https://x.openai.azure.com", api_version="2024-10-21"
    ),
    "bedrock": lambda: adapters.from_model_string("bedrock/m", base_url="https://b.example"),
    "bedrock of a region": lambda: adapters.from_model_string("bedrock/m", region="eu-west-1"),
}


@pytest.mark.parametrize("read_where", [None, AWAY])
@pytest.mark.parametrize("written_where", [HERE, AWAY, None])
@pytest.mark.parametrize("name", MODELS)
def test_a_model_s_address_is_written_down_whatever_the_environment_says(
    name: str, written_where: str | None, read_where: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def at(address: str | None) -> None:
        for variable in (*ADDRESSES, *SAID):
            monkeypatch.delenv(variable, raising=False)
        for variable in ADDRESSES if address else ():
            monkeypatch.setenv(variable, str(address))

    if name == "vllm, from the environment" and written_where is None:
        return  # its own address, which the environment may replace
    at(written_where)
    experiment = Experiment(generation=GenerationConfig(generator=MODELS[name]()), datasets=[{"input": "1"}])
    tree = experiment.to_config()
    at(read_where)
    assert build(Experiment, tree, Path("/somewhere")).compile().run_id == experiment.compile().run_id


def test_an_address_with_a_password_stays_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_BASE_URL", "http://me:open-sesame-42@gpu:1/v1")
    experiment = Experiment(generation=GenerationConfig(generator=adapters.vllm("m")), datasets=[{"input": "1"}])
    tree = experiment.to_config()
    assert tree["generation"] == {"generator": "vllm/m"}
    assert build(Experiment, tree, Path("/somewhere")).compile().run_id == experiment.compile().run_id
