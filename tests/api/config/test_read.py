"""Config files, right and wrong: what is wrong is said with file, dotted key, what was found and what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from themis.api.experiment.experiment import Experiment
from themis.pure.errors import LiteralSecretError, SpecError
from themis.pure.json import thaw

YAML = """\
generation:
  generator: {id: builtin/demo_model, error_rate: 0.5}
  candidate_policy: {num_samples: 2}
  reducer: builtin/majority_vote
evaluation:
  metrics: [builtin/exact_match]
  parsers: builtin/text
datasets:
  - dataset_id: sums
    path: data/rows.jsonl
    metadata: {who: "${oc.env:THEMIS_TEST_WHO,nobody}"}
storage: {store: sqlite, parameters: {path: runs/a.sqlite3}}
runtime: {max_concurrent_tasks: "${oc.env:THEMIS_TEST_TASKS,8}"}
seeds: [1, 2]
"""
TOML = """\
seeds = [1, 2]
[generation]
generator = {id = "builtin/demo_model", error_rate = 0.5}
candidate_policy = {num_samples = 2}
reducer = "builtin/majority_vote"
[evaluation]
metrics = ["builtin/exact_match"]
parsers = "builtin/text"
[[datasets]]
dataset_id = "sums"
path = "data/rows.jsonl"
metadata = {who = "${oc.env:THEMIS_TEST_WHO,nobody}"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    rows = '{"input": "1+1", "expected_output": "2"}\n{"input": "2+2", "expected_output": "4"}\n'
    (tmp_path / "data" / "rows.jsonl").write_text(rows, encoding="utf-8")
    (tmp_path / "e.yaml").write_text(YAML, encoding="utf-8")
    (tmp_path / "e.toml").write_text(TOML, encoding="utf-8")
    return tmp_path


def load(folder: Path, *overrides: str, name: str = "e.yaml") -> Experiment:
    return Experiment.from_config(folder / name, overrides=list(overrides))


def test_yaml_and_toml_describe_the_same_run(folder: Path) -> None:
    assert load(folder).compile().run_id == load(folder, name="e.toml").compile().run_id


def test_paths_are_relative_to_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    experiment = Experiment.from_config(Path("../e.yaml"))
    assert [case.case_id for case in experiment.datasets[0].cases] == ["1", "2"]
    assert Path(str(experiment.storage.parameters["path"])).resolve() == folder / "runs" / "a.sqlite3"


def test_the_environment_stands_in_for_numbers_and_text(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(folder).runtime.max_concurrent_tasks == 8
    monkeypatch.setenv("THEMIS_TEST_TASKS", "3")
    monkeypatch.setenv("THEMIS_TEST_WHO", "7")
    experiment = load(folder)
    assert experiment.runtime.max_concurrent_tasks == 3
    assert experiment.datasets[0].metadata == {"who": "7"}  # where text is meant, it stays text


def test_credentials_of_a_store_stay_references(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEMIS_TEST_DSN", "postgresql://me:hunter2@localhost/db")
    experiment = load(folder, "storage.store=postgres", "storage.parameters.dsn=${oc.env:THEMIS_TEST_DSN}")
    assert experiment.storage.parameters["dsn"] == "${oc.env:THEMIS_TEST_DSN}"
    assert "hunter2" not in str(experiment.compile().to_dict())


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("generation.generator.error_rate=0.25", ("generation", "generator", "error_rate"), 0.25),
        ("runtime.max_concurrent_tasks = 4", ("runtime", "max_concurrent_tasks"), 4),
        ("evaluation.metrics[0]=builtin/f1", ("evaluation", "metrics"), ("builtin/f1",)),
        ("evaluation.metrics.1=builtin/f1", ("evaluation", "metrics"), ("builtin/exact_match", "builtin/f1")),
        ("evaluation.workflow_overrides.rubric=a: b #1", ("evaluation", "workflow_overrides"), {"rubric": "a: b #1"}),
        ("evaluation.workflow_overrides.rubric=no", ("evaluation", "workflow_overrides"), {"rubric": "no"}),
        ("runtime.stage_concurrency={judge: 2}", ("runtime", "stage_concurrency"), {"judge": 2}),
        ("storage=", ("storage", "store"), "memory"),
    ],
)
def test_overrides_stand_as_if_in_the_file(folder: Path, override: str, path: tuple[str, ...], value: Any) -> None:
    found: Any = load(folder, override)
    for name in path:
        found = getattr(found, name)
    found = tuple(getattr(item, "component_id", item) for item in found) if isinstance(value, tuple) else found
    assert (thaw(found) if isinstance(value, dict) else found) == value


FAULTS = {
    "a wrong key": (["datasets.0.limt=3"], ["datasets[0].limt", "did you mean limit"]),
    "a wrong top key": (["dataset=3"], ["dataset: unknown key; did you mean datasets"]),
    "a wrong type": (["runtime.max_concurrent_tasks=many"], ["runtime.max_concurrent_tasks", "number", "'many'"]),
    "a truth value for a number": (["runtime.max_concurrent_tasks=true"], ["a whole number", "truth value true"]),
    "out of bounds": (["runtime.max_cost=-1"], ["runtime.max_cost", "above 0", "-1"]),
    "no such choice": (["runtime.existing_run_policy=again"], ["'auto', 'error', 'rerun'", "'again'"]),
    "an unknown component": (["evaluation.metrics=exact_mach"], ["evaluation.metrics", "builtin/exact_match"]),
    "an unknown argument": (["generation.generator.errorrate=1"], ["generation.generator", "did you mean error_rate"]),
    "an import path to nothing": (["evaluation.metrics=nosuch:thing"], ["evaluation.metrics", "nosuch"]),
    "a missing file": (["datasets.0.path=data/row.jsonl"], ["datasets[0]", "no such file", "rows.jsonl"]),
    "a variable that is not set": (["datasets.0.revision=${oc.env:THEMIS_NOT_SET}"], ["THEMIS_NOT_SET is not set"]),
    "a malformed reference": (["datasets.0.revision=${oc.env:}"], ["datasets[0].revision", "${oc.env:NAME}"]),
    "no datasets": (["datasets=[]"], ["datasets", "at least one"]),
    "neither cases nor a path": (["datasets=[{dataset_id: a}]"], ["datasets[0]", "cases or path", "neither"]),
    "both": (["datasets.0.cases=[{input: 1}]"], ["datasets[0]", "cases or path", "cases and path"]),
    "a case that is no object": (["datasets=[{cases: [3]}]"], ["datasets[0].cases[0]", "an object", "3"]),
    "an unknown policy": (["generation.candidate_policy.samples=3"], ["candidate_policy.samples", "num_samples"]),
    "a place that is not there": (["datasets.4.limit=1"], ["no place 4 in a list of 1"]),
    "an override that is no YAML": (["runtime.stage_concurrency={judge: 2"], ["runtime.stage_concurrency", "expected"]),
    "no override": (["runtime"], ["'runtime'", "key=value"]),
    "inside a number": (["seeds.0.x=1"], ["seeds", "nothing inside"]),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_says_where_what_and_what_is_allowed(folder: Path, name: str) -> None:
    overrides, words = FAULTS[name]
    with pytest.raises(SpecError) as caught:
        load(folder, *overrides)
    for word in words:
        assert word in str(caught.value)


def test_all_faults_are_reported_at_once_with_the_file_s_name(folder: Path) -> None:
    overrides = ["datasets.0.limt=3", "evaluation.metrics=exact_mach", "runtime.max_cost=no", "generation.reducer=vote"]
    with pytest.raises(SpecError) as caught:
        load(folder, *overrides)
    message = str(caught.value)
    assert message.startswith(f"{folder / 'e.yaml'}; 4 problems:")
    assert message.count("(from an override)") == 4


SECRETS = {
    "by name": "generation.generator.api_key=abc",
    "by looks": "environment_metadata.note=sk-proj-abcdefghijklmnop1234",
    "in a store's address": "storage.parameters.dsn=postgresql://me:hunter2@localhost/db",
    "from the environment": "environment_metadata.note=${oc.env:OPENAI_API_KEY}",
    "as an argument from the environment": "generation.generator.error_rate=${oc.env:MY_TOKEN,1}",
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_credential_is_refused_and_not_repeated(folder: Path, name: str) -> None:
    override = SECRETS[name]
    with pytest.raises(LiteralSecretError) as caught:
        load(folder, override)
    key, _, value = override.partition("=")
    assert key in str(caught.value)
    assert value.removeprefix("${oc.env:") not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.yaml", "generation: {a: [1, 2\n", ["a.yaml:2:1", "not YAML"]),
        ("a.yaml", "a: 1\na: 2\n", ["a.yaml:2", "'a' is there twice"]),
        ("a.yaml", "1: 2\n", ["1 is not text"]),
        ("a.yaml", "", ["expected, found nothing"]),
        ("a.yaml", "- 1\n", ["expected, found list"]),
        ("a.yaml", "a: !!python/object/apply:os.system ['true']\n", ["not YAML"]),
        ("a.toml", "a = \n", ["not TOML", "line 1"]),
        ("a.json", '{"a": 1, "a": 2}', ["'a' is there twice"]),
        ("a.json", "{", ["not JSON", "line 1"]),
        ("a.txt", "a: 1\n", ["ends in .yaml"]),
    ],
)
def test_files_that_hold_no_config(tmp_path: Path, name: str, text: str, words: list[str]) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        load(tmp_path, name=name)
    for word in words:
        assert word in str(caught.value)


def test_a_missing_file_names_its_neighbours(folder: Path) -> None:
    with pytest.raises(SpecError, match=r"no such file.*e\.yaml"):
        load(folder, name="f.yaml")


def test_a_models_headers_keep_a_reference_to_a_credential(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_KEY", "a1B2c3D4e5F6g7H8i9J0")
    header = "Bearer ${oc.env:GATEWAY_KEY}"
    generator = f'{{id: openai/m, key_needed: false, headers: {{X-Gateway-Auth: "{header}"}}}}'
    (folder / "e.yaml").write_text(YAML.replace("{id: builtin/demo_model, error_rate: 0.5}", generator))
    assert load(folder).components().generator.component.endpoint.headers == {"X-Gateway-Auth": header}


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)
)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("e.yaml", BOMB, "its aliases stand for more than 100,000 values"),
        ("e.yaml", "a: &a [1, *a]\n", "an alias stands for what it is a part of"),
        ("e.yaml", "a: " + "[" * 5_000 + "]" * 5_000, "nested too deep"),
        ("e.json", '{"a": ' + "[" * 200_000 + "]" * 200_000 + "}", "nested too deep"),
        ("e.toml", "a = " + "[" * 5_000 + "]" * 5_000, "nested too deep"),
        ("e.json", '{"a": ' + "9" * 5_000 + "}", "not JSON"),
        ("e.toml", "a = " + "9" * 5_000, "not TOML"),
    ],
    ids=["aliases", "a part of itself", "deep YAML", "deep JSON", "deep TOML", "digits in JSON", "digits in TOML"],
)
def test_a_config_that_a_stranger_made_is_refused_at_once(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(SpecError, match=words):
        Experiment.from_config(tmp_path / name)


def test_aliases_that_save_writing_are_read(folder: Path) -> None:
    twice = (
        YAML.replace("{num_samples: 2}", "&two {num_samples: 2}") + "environment_metadata: {note: &n x, again: *n}\n"
    )
    (folder / "e.yaml").write_text(twice, encoding="utf-8")
    assert load(folder).environment_metadata == {"note": "x", "again": "x"}
