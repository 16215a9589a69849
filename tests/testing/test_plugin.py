"""The pytest plugin, used as its users do: in test files of their own, run by a pytest of their own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# Pytester forgets the modules that a run within this process loads; what is loaded here stays one and the same.
import themis.adapters
import themis.api.runs.gates
import themis.api.runs.report
import themis.effects.providers.openai
import themis.pure.components.registry
import themis.testing.cassettes
import themis.testing.endpoint  # noqa: F401
from themis.pure.errors import DataError
from themis.testing.cassettes import CassetteError, record_run, replay_run
from themis.testing.pipelines import Pipeline

pytest_plugins = ["pytester"]

EXPERIMENT = """
import pytest
from themis import Case, Dataset, EvaluationConfig, Experiment, GenerationConfig, generator, metric, parser

CALLS = []

@generator
async def model(case):
    CALLS.append(case.case_id)
    return "5" if case.input == "2+2" and {wrong} else case.expected_output

def sums(metric="builtin/exact_match", **evaluation):
    rows = [dict(case_id=str(i), input=f"{{i}}+{{i}}", expected_output=str(2 * i)) for i in range(40)]
    return Experiment(
        generation=GenerationConfig(generator=model),
        evaluation=EvaluationConfig(metrics=metric, **evaluation),
        datasets=Dataset(dataset_id="sums", cases=rows),
    )
"""


@pytest.fixture
def users(pytester: pytest.Pytester) -> pytest.Pytester:
    """A user's folder with an `experiments.py`."""
    pytester.makepyfile(experiments=EXPERIMENT.format(wrong=True))
    pytester.makeini("[pytest]\nfilterwarnings = error\nxfail_strict = true")
    return pytester


def run(users: pytest.Pytester, *options: str) -> pytest.RunResult:
    return users.runpytest_inprocess("-p", "no:cacheprovider", *options)


def test_a_marked_test_passes_and_fails_by_its_threshold(users: pytest.Pytester) -> None:
    users.makepyfile("""
        import pytest
        from experiments import sums

        @pytest.mark.evaluation(metric="builtin/exact_match", at_least=0.9, on="mean")
        def test_mean():
            return sums()

        @pytest.mark.evaluation("exact_match", 0.9)
        def test_interval():
            return sums()

        @pytest.mark.evaluation("exact_match", 0.99)
        def test_too_much(themis_store):
            return sums().run(store=themis_store)
    """)
    result = run(users)
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        [
            "FAILED  builtin/exact_match>=0.9: lower end of the * is below 0.9",
            "*evaluations*",
            "*test_mean",
            "  passed  builtin/exact_match>=0.9: mean 0.975 reaches 0.9",
            "  metric *value*",
            "  builtin/exact_match *0.975*",
        ]
    )
    assert "Traceback" not in result.stdout.str()


def test_several_marks_are_several_thresholds(users: pytest.Pytester) -> None:
    users.makepyfile("""
        import pytest
        from experiments import sums

        @pytest.mark.evaluation("exact_match", 0.9, on="mean")
        @pytest.mark.evaluation("f1", 0.99, on="mean")
        def test_both():
            return sums(["builtin/exact_match", "builtin/f1"])
    """)
    result = run(users)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["FAILED  builtin/f1>=0.99: mean 0.975 is below 0.99"])
    assert "FAILED  builtin/exact_match" not in result.stdout.str()


def test_cases_in_error_fail_a_test_that_does_not_expect_them(users: pytest.Pytester) -> None:
    users.makepyfile("""
        import pytest
        from themis import ScoreError, metric
        from experiments import sums

        @metric
        def small(parsed):
            return True if int(parsed.value) < 70 else ScoreError(metric_id="small", reason="too large")

        @pytest.mark.evaluation("small", 0.5)
        def test_strict():
            return sums(small)

        @pytest.mark.evaluation("small", 0.5, max_errors=5)
        def test_lenient():
            return sums(small)
    """)
    result = run(users)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["FAILED  small>=0.5: *5 of 40 are not scored, and count as lowest *; 5 cases in error, and 0 may be"]
    )


@pytest.mark.parametrize(
    ("mark", "returned", "message"),
    [
        ('("exact_mach", 0.5)', "sums()", "*no metric 'exact_mach'; did you mean builtin/exact_match?"),
        ('("exact_match")', "sums()", "*missing 1 required positional argument: 'at_least'*"),
        ('("exact_match", 0.5, on="median")', "sums()", "*on must be 'interval' or 'mean', found 'median'*"),
        ('("exact_match", "high")', "sums()", "*at_least must be a number, found 'high'*"),
        ('("exact_match", 0.5)', "None", "*returns an Experiment or a RunResult, found NoneType*"),
        ('("exact_match", 0.5, cassette="x.json")', "sums()", "*x.json: there is no cassette; record one: pytest *"),
    ],
)
def test_a_mistake_is_told_before_any_model_is_called(
    users: pytest.Pytester, mark: str, returned: str, message: str
) -> None:
    users.makepyfile(f"""
        import pytest
        import experiments
        from experiments import sums

        @pytest.mark.evaluation{mark}
        def test_it():
            return {returned}

        def test_nothing_was_called():
            assert experiments.CALLS == []
    """)
    result = run(users)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([message])
    assert "Traceback" not in result.stdout.str()


def test_an_unmarked_test_is_left_alone(users: pytest.Pytester) -> None:
    users.makepyfile("def test_plain(tmp_path):\n    assert tmp_path.exists()\n")
    result = run(users)
    result.assert_outcomes(passed=1)
    assert "evaluations" not in result.stdout.str()


RECORDED = """
    import experiments
    from experiments import sums

    def test_it(recorded_run):
        result = recorded_run(sums({metric}), {cassette})
        assert result.benchmark.metric_means["builtin/{name}"] == 0.975
        assert len(experiments.CALLS) == {calls}
"""


@pytest.mark.parametrize("cassette", ["'sums.json.gz'", "'kept/sums.json'", "'sums.sqlite3'", "None"])
def test_a_recorded_run_is_replayed_without_the_model(users: pytest.Pytester, cassette: str) -> None:
    def test(calls: int, name: str = "exact_match") -> Path:
        text = RECORDED.format(cassette=cassette, calls=calls, name=name, metric=f'"builtin/{name}"')
        return users.makepyfile(test_recorded=text)

    test(calls=40)
    run(users, "--themis-record").assert_outcomes(passed=1)
    files = {path: path.read_bytes() for path in users.path.rglob("*sums.*")}
    test(calls=0)
    run(users).assert_outcomes(passed=1)
    test(calls=0, name="f1")  # another metric is computed on the same answers
    run(users).assert_outcomes(passed=1)
    assert {path: path.read_bytes() for path in users.path.rglob("*sums.*")} == files


def test_a_changed_generator_needs_a_new_recording(users: pytest.Pytester) -> None:
    users.makepyfile(test_recorded=RECORDED.format(cassette="None", calls=40, name="exact_match", metric=""))
    run(users, "--themis-record").assert_outcomes(passed=1)
    users.makepyfile(experiments=EXPERIMENT.format(wrong=False))
    result = users.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*CassetteError: *cassettes?test_it.json.gz lacks 40 generations of this experiment*--themis-record*"]
    )


def test_a_marked_test_replays_its_cassette(users: pytest.Pytester) -> None:
    users.makepyfile("""
        import pytest
        from experiments import sums

        @pytest.mark.evaluation("exact_match", 0.9, on="mean", cassette="sums.json")
        def test_it():
            return sums()
    """)
    run(users).assert_outcomes(failed=1)
    run(users, "--themis-record").assert_outcomes(passed=1)
    run(users).assert_outcomes(passed=1)


def test_the_endpoint_and_the_stores(users: pytest.Pytester) -> None:
    users.makepyfile("""
        from themis import evaluate
        from themis.adapters import openai

        def test_it(fake_endpoint, themis_store, themis_memory_store):
            model = openai("tiny", base_url=fake_endpoint.base_url)
            rows = [{"input": "hi", "expected_output": "hi"}]
            for store in (themis_store, themis_memory_store):
                result = evaluate(model=model, data=rows, metric="builtin/contains", store=store)
                assert result.progress.completed_cases == 1
            assert len(fake_endpoint.log) == 2
    """)
    run(users).assert_outcomes(passed=1)


def test_the_plugin_loads_nothing_that_it_does_not_need_yet() -> None:
    code = (
        "import sys, pytest; before = set(sys.modules); import themis.testing.plugin; "
        "print(sorted({m.partition('.')[0] for m in set(sys.modules) - before}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out == "['themis']\n"


@pytest.mark.parametrize("name", ["judged.sqlite3", "judged.json"])
def test_judges_are_not_asked_on_a_replay(tmp_path: Path, name: str) -> None:

    pipeline = Pipeline(
        cases=3, samples=1, generator=("right",), reducer=None, parser=None, metrics=(), judge=("right",), repeats=2
    )
    recorded = record_run(pipeline.experiment(), tmp_path / name)
    again = pipeline.experiment()
    replayed = replay_run(again, tmp_path / name)
    assert replayed.digest == recorded.digest
    assert again.generation.generator.calls.counts == {}
    assert again.evaluation.judge_models[0].calls.counts == {}
    # Another judge is another run: the candidates are there, and its answers are not.
    other = Pipeline(
        cases=3, samples=1, generator=("right",), reducer=None, parser=None, metrics=(), judge=("wrong",)
    ).experiment()
    with pytest.raises(CassetteError, match=r"lacks 3 answers of judges"):
        replay_run(other, tmp_path / name)
    assert other.evaluation.judge_models[0].calls.counts == {}


def test_a_recording_that_lacks_answers_is_refused_and_the_old_one_kept(tmp_path: Path) -> None:

    def experiment(*script: str) -> Any:
        made = Pipeline(cases=2, samples=1, generator=script, reducer=None, parser=None, metrics=(), judge=None)
        return made.experiment()

    path = tmp_path / "kept.json"
    record_run(experiment("right"), path)
    before = path.read_bytes()
    with pytest.raises(CassetteError, match="is not recorded: 2 generations failed"):
        record_run(experiment("raise"), path)
    assert path.read_bytes() == before
    path.write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match=r"kept\.json"):
        replay_run(experiment("right"), path)


def test_a_replay_may_stand_beside_a_running_loop(tmp_path: Path) -> None:
    experiment = Pipeline(2, 1, ("right",), None, None, (("right",),), None).experiment()
    recorded = record_run(experiment, tmp_path / "c.json")

    async def cell() -> str:
        return replay_run(experiment, tmp_path / "c.json").digest

    assert asyncio.run(cell()) == recorded.digest
