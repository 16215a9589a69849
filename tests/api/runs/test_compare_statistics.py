"""Statistics of two stored runs: of scores, of a corpus, of costs and time; what is left out is counted."""

from __future__ import annotations

import json
import math
import statistics
from typing import Any

import attrs
import pytest

from themis import InMemoryRunStore, evaluate, generator, import_outputs
from themis.api.runs.compare_statistics import compare_statistics, read_statistic, statistics_of_runs
from themis.api.runs.view import RunView
from themis.core import DataError, GenerationResult, SpecError
from themis.pure.components.translation import Bleu, Chrf, corpus_score
from themis.pure.report.statistics import statistics_text
from themis.pure.stats.drawn_statistics import Quantile
from themis.pure.stats.paired_bootstrap import adjusted_statistics

ROWS = [
    {
        "case_id": str(i),
        "input": f"{i}",
        "expected_output": f"the cat number {i} sat on the mat by the door",
        "metadata": {"topic": str(i % 7)},
    }
    for i in range(30)
]


def model(name: str, wrong: int, tokens: int, latency: float) -> Any:
    @generator(component_id=name)
    def answer(case: Any, ctx: Any) -> GenerationResult:
        number = int(case.input)
        text = f"the cat number {number} sat on the mat by the door"
        if number % wrong == 0:
            text = f"a cat number {number} stood on the mat"
        usage = {"prompt_tokens": 10 + number, "completion_tokens": tokens, "total_tokens": 10 + number + tokens}
        return GenerationResult(candidate_id="one", final_output=text, token_usage=usage, latency_ms=latency + number)

    return answer


@pytest.fixture(scope="module")
def runs() -> tuple[InMemoryRunStore, str, str]:
    store = InMemoryRunStore()
    metrics = ["builtin/exact_match", "builtin/chrf", "builtin/bleu"]
    made = [
        evaluate(model=model(*of), data=ROWS, metric=metrics, store=store).run_id
        for of in (("slow", 4, 40, 200.0), ("fast", 3, 20, 100.0))
    ]
    return store, made[0], made[1]


def compared(runs: tuple[InMemoryRunStore, str, str], *words: Any, **named: Any) -> Any:
    store, a, b = runs
    return compare_statistics(store, a, store, b, *words, **named)


def test_time_tokens_and_costs_of_cases(runs: tuple[InMemoryRunStore, str, str]) -> None:
    (latency,) = compared(runs, "median", of="latency")
    assert (latency.name, latency.statistic, latency.pairs) == ("latency_ms", "median", 30)
    assert (latency.value_a, latency.value_b, latency.value) == (214.5, 114.5, -100.0)
    (tokens,) = compared(runs, "mean", of="completion_tokens", contrast="ratio")
    assert tokens.value == pytest.approx(0.5)
    prices = {name: {"prompt": 1.0, "completion": 2.0} for name in ("slow", "fast")}
    (cost,) = compared(runs, "mean", of="cost", prices=prices)
    assert cost.value_a == pytest.approx(1e-6 * (24.5 + 2 * 40))
    assert cost.value == pytest.approx(1e-6 * -40)
    (unknown,) = compared(runs, "mean", of="cost")
    assert "state prices" in unknown.warnings[-1]
    assert unknown.pairs == 0


def test_scores_of_every_metric_are_one_family(runs: tuple[InMemoryRunStore, str, str]) -> None:
    found = compared(runs, "mean", cluster_by="topic")
    assert [each.name for each in found] == ["builtin/bleu", "builtin/chrf", "builtin/exact_match"]
    assert {each.family_size for each in found} == {3}
    assert {each.clusters for each in found} == {7}
    assert found[2].value == pytest.approx(20 / 30 - 22 / 30)
    assert all(each.p_holm >= each.test.p_value for each in found)
    (one,) = compared(runs, "p75", metric_ids=["builtin/chrf"], resamples=99)
    assert one.statistic == "quantile 0.75"
    assert one.interval.method == "BCa bootstrap (B=99)" or one.interval.reason


@pytest.mark.parametrize(("name", "metric"), [("builtin/bleu", Bleu()), ("builtin/chrf", Chrf())])
def test_a_corpus_is_scored_as_sacrebleu_does(
    runs: tuple[InMemoryRunStore, str, str], name: str, metric: Bleu | Chrf
) -> None:
    store, *ids = runs
    (found,) = compared(runs, "corpus", metric_ids=[name])
    for run_id, value in zip(ids, (found.value_a, found.value_b), strict=True):
        rows = [row for row in RunView.of(store, run_id).rows() if row.metric_id == name]
        assert value == pytest.approx(corpus_score(metric, [row.details for row in rows]), abs=1e-9)
        assert value != pytest.approx(100 * statistics.fmean(row.value or 0.0 for row in rows), abs=0.1)
    assert found.interval.defined
    assert compared(runs, "corpus", metric_ids=[name.removeprefix("builtin/")]) == (found,)
    assert [each.name for each in compared(runs, "corpus")] == ["builtin/bleu", "builtin/chrf"]


def test_answers_that_could_not_be_parsed_are_said_to_be_missing_from_the_corpus() -> None:
    @generator(component_id="half")
    def half(case: Any, ctx: Any) -> str:
        number = int(case.input)
        return "no json" if number % 5 == 0 else json.dumps(f"the cat number {number} sat on the rug")

    store = InMemoryRunStore()
    run = evaluate(model=half, data=ROWS, metric="builtin/chrf", parser="builtin/json", store=store).run_id
    (found,) = compare_statistics(store, run, store, run, "corpus")
    assert (found.pairs, found.unscored) == (24, 6)
    assert "12 answers that could not be parsed are not in the corpus" in found.warnings[-1]


def test_changed_cases_and_those_of_one_run_are_left_out(runs: tuple[InMemoryRunStore, str, str]) -> None:
    store, a, _ = runs
    rows = [{**row, "expected_output": "changed"} if i < 2 else row for i, row in enumerate(ROWS[:20])]
    other = evaluate(model=model("fast", 3, 20, 100.0), data=rows, metric="builtin/exact_match", store=store).run_id
    for of in ("score", "latency"):
        found = compare_statistics(store, a, store, other, "mean", of=of)[0]
        assert (found.pairs, found.changed, found.unmatched_a) == (18, 2, 10)


def test_text_for_a_terminal_says_what_was_found(runs: tuple[InMemoryRunStore, str, str]) -> None:
    text = statistics_text([*compared(runs, "mean", of="latency"), *compared(runs, "mean", of="cost")])
    assert "latency_ms |      mean | 214.5 | 114.5 |  -100" in text
    assert "cost, mean: no interval: no case has a value in both runs" in text
    ratio = statistics_text(compared(runs, "median", of="prompt_tokens", contrast="ratio"))
    assert "b / a" in ratio


def test_statistics_from_text() -> None:
    assert read_statistic("p99.9") == Quantile(0.999)
    assert read_statistic("corpus") == "corpus"
    for text in ("medain", "p100", "90", ""):
        with pytest.raises(SpecError, match="a percentile such as p90"):
            read_statistic(text)


def test_what_can_t_be_compared_is_refused(runs: tuple[InMemoryRunStore, str, str]) -> None:
    with pytest.raises(DataError, match="builtin/exact_match has no corpus score"):
        compared(runs, "corpus", metric_ids=["builtin/exact_match"])
    with pytest.raises(DataError, match=r"both runs need scores of \['nothing'\]"):
        compared(runs, "mean", metric_ids=["nothing"])
    with pytest.raises(SpecError, match="corpus is one of scores; found it of latency"):
        compared(runs, "corpus", of="latency")


def test_a_function_of_ones_own(runs: tuple[InMemoryRunStore, str, str]) -> None:
    (found,) = compared(runs, lambda values: math.sqrt(statistics.fmean(v * v for v in values)), of="latency")
    assert found.statistic == "<lambda>"
    assert found.value < 0


def test_several_statistics_read_the_runs_once(runs: tuple[InMemoryRunStore, str, str]) -> None:
    store, *ids = runs
    passes = []

    @attrs.frozen(kw_only=True, slots=False)
    class Counted(RunView):
        def case_events(self) -> Any:
            passes.append(self.run_id)
            return super().case_events()

    views = [Counted(snapshot=store.load_snapshot(run_id), store=store) for run_id in ids]
    found = statistics_of_runs((views[0], views[1]), ["mean", "p90"], of="latency")
    assert passes == ids
    assert adjusted_statistics(found[1:]) == compared(runs, "p90", of="latency")
    mixed = statistics_of_runs((views[0], views[1]), ["mean", "corpus", "median"], metric_ids=["chrf"])
    assert [each.statistic for each in mixed] == ["mean", "corpus", "median"]
    assert adjusted_statistics(mixed[1:2]) == compared(runs, "corpus", metric_ids=["chrf"])


def test_cases_of_two_tools_are_paired_by_what_they_ask() -> None:
    store = InMemoryRunStore()
    ids = []
    for name in ("a", "b"):
        rows = [
            {"id": f"{name}{n}", "input": f"{n} + 0?", "output": str(n), "latency_ms": 10.0 * n, "topic": name}
            for n in range(1, 5)
        ]
        ids.append(import_outputs(rows, name=name, store=store).run_id)
    [found] = compare_statistics(store, ids[0], store, ids[1], "median", of="latency")
    assert (found.pairs, found.unmatched_a, found.unmatched_b, found.changed) == (4, 0, 0, 0)
    assert found.value_a == found.value_b == 25
    assert found.warnings[-1] == "4 cases were paired by content, for the ids differ"
