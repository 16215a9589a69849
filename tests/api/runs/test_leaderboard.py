"""Leaderboards of stored runs: each cell is its run's report, each pair its comparison, and nothing is silent."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.pdflatex import assert_compiles, needs_pdflatex

from themis import (
    Case,
    Dataset,
    InMemoryRunStore,
    Leaderboard,
    Reporter,
    RuntimeConfig,
    compare,
    evaluate,
    generator,
    leaderboard,
    metric,
    sqlite_store,
)
from themis.api.stores import as_storage
from themis.catalog import load
from themis.core import DataError, RunNotFoundError, SpecError, StoreError
from themis.pure.leaderboards.frontier import frontier
from themis.testing.hostile import HOSTILE


def answers(name: str, of_100: int) -> Any:
    @generator(component_id=name)
    def answer(case: Any, ctx: Any) -> str:
        place = int(hashlib.sha256(f"{name}{case.case_id}{ctx.candidate_index}".encode()).hexdigest(), 16) % 100
        return str(case.expected_output) if place < of_100 else "no"

    return answer


def data(name: str, count: int, first: int = 0) -> Dataset:
    return Dataset(
        dataset_id=name,
        cases=[
            Case(case_id=f"{name}{i}", input=f"question {i}", expected_output=f"a{i}", metadata={"topic": str(i % 7)})
            for i in range(first, count)
        ],
    )


MODELS: Mapping[str, int] = {"lab/good": 90, "lab/fair": 84, "lab/bad": 30}


@pytest.fixture(scope="module")
def store() -> InMemoryRunStore:
    """Three models on two benchmarks; the last lacks one."""
    made = InMemoryRunStore()
    for name, of_100 in MODELS.items():
        for dataset in (data("easy", 90), data("hard", 50)):
            if (name, dataset.dataset_id) != ("lab/bad", "hard"):
                evaluate(
                    model=answers(name, of_100), data=dataset, metric="builtin/exact_match", store=made, tags=["paper"]
                )
    return made


@pytest.fixture(scope="module")
def board(store: InMemoryRunStore) -> Leaderboard:
    return leaderboard(store=store)


def run_of(store: InMemoryRunStore, model: str, dataset: str) -> str:
    return next(
        line.run_id for line in store.list_runs() if line.generator_id == model and line.dataset_ids == (dataset,)
    )


def test_rows_are_models_columns_are_benchmarks_and_what_is_missing_is_said(board: Leaderboard) -> None:
    assert [row.name for row in board] == ["lab/good", "lab/fair", "lab/bad"]
    assert [column.name for column in board.columns] == [
        "easy exact_match",
        "hard exact_match",
        "macro average",
        "micro average",
    ]
    missing = board["lab/bad"]["hard exact_match"]
    assert missing.estimate is None
    assert missing.absent == "no run of hard scored by exact_match"
    assert board["lab/bad"]["macro average"].absent == "no average without hard exact_match"
    with pytest.raises(KeyError, match="lab/good"):
        board["lab/god"]
    with pytest.raises(KeyError, match="easy exact_match"):
        board["lab/good"]["easy"]
    assert len(board) == 3


def test_a_cell_is_the_estimate_of_its_runs_report(store: InMemoryRunStore, board: Leaderboard) -> None:
    for model, dataset in (("lab/good", "easy"), ("lab/bad", "easy"), ("lab/fair", "hard")):
        run_id = run_of(store, model, dataset)
        result = evaluate(
            model=answers(model, MODELS[model]),
            data=data(dataset, 90 if dataset == "easy" else 50),
            metric="builtin/exact_match",
            store=store,
        )
        assert result.run_id == run_id
        assert board[model][f"{dataset} exact_match"].estimate == result.estimate()["builtin/exact_match"]


def test_a_pair_is_what_compare_says_of_it(store: InMemoryRunStore, board: Leaderboard) -> None:
    pair = next(each for each in board.columns[0].differences if (each.a, each.b) == ("lab/bad", "lab/good"))
    alone = compare(store, run_of(store, "lab/bad", "easy"), store, run_of(store, "lab/good", "easy")).comparisons[0]
    assert (pair.pairs, pair.difference, pair.interval, pair.test) == (
        alone.pairs,
        alone.difference,
        alone.interval,
        alone.test,
    )
    assert pair.apart


@pytest.mark.parametrize(
    "options",
    [{"samples": 3}, {"until": "exact_match>=0.5"}, {"metric": ["builtin/exact_match", "builtin/f1"]}],
    ids=str,
)
@pytest.mark.parametrize("cluster_by", [None, "topic"])
def test_a_cell_is_its_runs_report_however_the_run_was_made(options: dict[str, Any], cluster_by: str | None) -> None:
    from themis import Reporter

    made = InMemoryRunStore()
    chosen = {"metric": "builtin/exact_match", **options}
    result = evaluate(model=answers("lab/good", 90), data=data("easy", 120), store=made, **chosen)
    report = json.loads(Reporter(made, cluster_by=cluster_by).export_json(result.run_id))
    found = leaderboard([result], cluster_by=cluster_by)
    for name, figures in report["metrics"].items():
        shown = found["lab/good"][f"easy {name.removeprefix('builtin/')}"].estimate
        assert shown is not None
        assert shown.to_dict().items() <= figures.items()


@metric(component_id="lab/length")
def length(parsed: Any, case: Any) -> float:
    """Score without a range: at most 1 on the one benchmark, more on the other, and nothing at all for some."""
    if int(case.case_id[4:]) % 10 == 3:
        raise ValueError("no score")
    return 0.5 if case.case_id.startswith("easy") else 3.0


@pytest.mark.parametrize("scored_by", ["builtin/f1", length])
def test_a_run_over_several_datasets_has_a_column_for_each_as_its_report_groups_them(scored_by: Any) -> None:
    made = InMemoryRunStore()
    result = evaluate(
        model=answers("lab/good", 80), data=[data("easy", 60), data("hard", 40)], metric=scored_by, store=made
    )
    (groups,) = json.loads(Reporter(made).export_json(result.run_id))["groups"]["dataset"].values()
    found = leaderboard([result])["lab/good"]
    for cell, group in zip(found.cells, groups["groups"], strict=False):
        assert cell.column.startswith(group["name"])
        assert cell.estimate is not None
        assert cell.estimate.to_dict() == group["estimate"]
    if scored_by is length:
        assert len(found.cells) == 2  # scores of no known range are not averaged
        return
    macro, micro = found["macro average"].estimate, found["micro average"].estimate
    assert macro is not None
    assert micro is not None
    assert (macro.mean, macro.interval.to_dict()) == (groups["macro"]["mean"], groups["macro"]["interval"])
    assert (micro.mean, micro.interval.to_dict()) == (groups["micro"]["mean"], groups["micro"]["interval"])


# --- rows -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sweep() -> InMemoryRunStore:
    """One model at two error rates and two parsers, over one benchmark."""
    made = InMemoryRunStore()
    for rate in (0.1, 0.4):
        for parser in ("text", "math_answer"):
            rows = [{"input": f"{n} + {n}", "expected_output": str(2 * n)} for n in range(40)]
            model = load("demo_model", error_rate=rate)
            evaluate(model=model, data=rows, metric="numeric_match", parser=parser, store=made, name=f"{rate} {parser}")
    return made


def test_runs_of_one_model_are_told_apart_by_what_differs(sweep: InMemoryRunStore) -> None:
    found = leaderboard(store=sweep)
    assert found.by == ("model", "error_rate", "parser")
    assert [row.name for row in found] == [
        "builtin/demo_model, error_rate 0.1, parser math_answer",
        "builtin/demo_model, error_rate 0.1, parser text",
        "builtin/demo_model, error_rate 0.4, parser math_answer",
        "builtin/demo_model, error_rate 0.4, parser text",
    ]
    assert found.rows[0].settings["error_rate"] == "0.1"
    first, second = (row.cells[0] for row in found.rows[:2])
    assert first.letters == second.letters  # both parsers read the same answers
    assert first.is_best
    assert second.is_best


def test_rows_that_are_asked_for_pool_what_agrees_in_them_and_say_so(sweep: InMemoryRunStore) -> None:
    found = leaderboard(store=sweep, rows="error_rate")
    assert [row.name for row in found] == ["error_rate 0.1", "error_rate 0.4"]
    assert found.rows[0].cells[0].marks == ("2 runs pooled",)
    assert "2 runs pooled" in found.to_text()
    assert [row.name for row in leaderboard(store=sweep, rows=["name"])][:2] == ["0.1 math_answer", "0.1 text"]
    with pytest.raises(SpecError, match="did you mean error_rate"):
        leaderboard(store=sweep, rows="eror_rate")


def test_rows_can_be_named_run_by_run(sweep: InMemoryRunStore) -> None:
    names = {line.run_id: "low" if "0.1" in str(line.name) else "high" for line in sweep.list_runs()}
    assert {row.name for row in leaderboard(store=sweep, names=names)} == {"low", "high"}


def test_a_copy_in_another_store_ties_with_the_run(tmp_path: Path) -> None:
    stores = [sqlite_store(tmp_path / f"{name}.sqlite3") for name in "ab"]
    for store in stores:
        evaluate(model="builtin/demo_model", data=list(rows_of(30)), metric="builtin/exact_match", store=store)
    found = leaderboard(store=[str(tmp_path / "a.sqlite3"), stores[1]])
    assert len(found) == 2
    assert {cell.letters for row in found for cell in row.cells} == {"a"}
    assert all("sqlite" in row.name for row in found)
    run_id = stores[0].list_runs()[0].run_id
    assert len(leaderboard([run_id[:8]], store=stores)) == 2
    for store in stores:
        store.close()


def rows_of(count: int) -> Iterator[dict[str, str]]:
    return ({"input": f"{n}+{n}", "expected_output": str(2 * n)} for n in range(count))


# --- what keeps figures from being those of whole runs ----------------------------------------------------


def test_runs_in_part_stopped_early_and_with_errors_are_marked() -> None:
    made = InMemoryRunStore()

    @generator(component_id="lab/fails")
    def fails(case: Any, ctx: Any) -> str:
        if int(case.case_id[4:]) % 10 == 0:
            raise ValueError("no answer")
        return str(case.expected_output)

    evaluate(model=fails, data=data("easy", 60), metric="builtin/exact_match", store=made)
    evaluate(
        model=answers("lab/stops", 99),
        data=data("easy", 400),
        metric="builtin/exact_match",
        store=made,
        until="exact_match>=0.5",
    )
    found = leaderboard(store=made)
    assert found["lab/fails"].cells[0].marks == ("6 cases without a score",)
    (stopped,) = found["lab/stops"].cells[0].marks
    assert stopped.startswith("stopped early, after ")
    assert any("fixed beforehand" in note for note in found.columns[0].notes)
    text = found.to_text()
    assert "6 cases without a score" in text
    assert "different versions or parts" in text
    assert "leave cases out" in text


def test_a_run_that_ended_before_its_end_is_marked() -> None:
    made, asked = InMemoryRunStore(), list[str]()

    @generator
    def stops(case: Case) -> str:
        asked.append(case.case_id)
        if len(asked) == 20:
            raise KeyboardInterrupt
        return str(case.expected_output)

    with pytest.raises(KeyboardInterrupt):
        evaluate(
            model=stops,
            data=data("easy", 30),
            metric="builtin/exact_match",
            store=made,
            runtime=RuntimeConfig(max_concurrent_tasks=1),
        )
    found = leaderboard(store=made)
    assert (found.runs[0].status, found.runs[0].marks) == ("failed", ("failed",))
    assert found.rows[0].cells[0].marks[0].endswith("of 30 cases not done")
    assert "failed" in found.to_text()


def test_costs_and_times_stand_beside_the_means() -> None:
    from themis.core import GenerationResult

    def priced(name: str, tokens: int) -> Any:
        @generator(component_id=name)
        def answer(case: Any, ctx: Any) -> GenerationResult:
            usage = {"prompt_tokens": tokens, "completion_tokens": tokens}
            return GenerationResult(
                candidate_id="c", final_output=str(case.expected_output), token_usage=usage, latency_ms=100.0 + tokens
            )

        return answer

    made = InMemoryRunStore()
    prices = {name: {"prompt": 1.0, "completion": 3.0} for name in ("lab/small", "lab/large")}
    for name, tokens in (("lab/small", 100), ("lab/large", 900), ("lab/free", 10)):
        evaluate(model=priced(name, tokens), data=data("easy", 20), metric="builtin/exact_match", store=made)
    found = leaderboard(store=made, prices=prices)
    (spent,) = found["lab/small"].spent
    assert spent.cost == pytest.approx(20 * 400 / 1e6)
    assert (spent.answers, spent.measured, spent.latency_ms, spent.unpriced) == (20, 20, 200.0, 0)
    assert (found["lab/free"].spent[0].cost, found["lab/free"].spent[0].unpriced) == (None, 20)
    points = frontier(found, found.columns[0])
    assert [(point.row, point.is_best) for point in points] == [("lab/small", True), ("lab/large", False)]
    assert "$0.0080" in found.to_text()
    # Answers that another run asked for cost this one nothing, and its row all the same.
    evaluate(model=priced("lab/small", 100), data=data("easy", 20), metric=["builtin/f1"], store=made)
    alone = leaderboard(store=made, prices=prices, metrics=["f1"])
    assert (len(alone), alone["lab/small"].spent[0].cost) == (1, spent.cost)
    assert "3 runs that have none of the columns are left out" in alone.notes
    assert leaderboard(store=made, prices=prices)["lab/small"].spent[0].cost == spent.cost


# --- what is refused --------------------------------------------------------------------------------------


def test_what_is_not_there_is_refused_with_what_is(store: InMemoryRunStore) -> None:
    faults: Sequence[tuple[dict[str, Any], type[Exception], str]] = (
        ({"columns": ["esy"], "metrics": ["exct"]}, SpecError, "did you mean easy|known names: easy"),
        ({"columns": ["esy"], "metrics": ["exct"]}, SpecError, "there is no metric 'exct'"),
        ({"baseline": "lab/god"}, SpecError, "no row 'lab/god'"),
        ({"weights": {"esy": 2.0}}, SpecError, "no benchmark 'esy'"),
        ({"weights": {"easy": 0.0, "hard": 0.0}}, SpecError, "all are 0"),
        ({"weights": {"easy": -1.0}}, SpecError, "0 or more"),
        ({"tag": "papr"}, DataError, "no run with the tag 'papr'"),
        ({"confidence": 1.5}, SpecError, "confidence is 1.5"),
        ({"cluster_by": "topc"}, SpecError, "did you mean topic|known names: topic"),
        ({"lower_is_better": ["exct"]}, SpecError, "no metric 'exct'"),
    )
    for options, kind, said in faults:
        with pytest.raises(kind, match=said):
            leaderboard(store=store, **options)
    with pytest.raises(RunNotFoundError, match="no run 'nope'"):
        leaderboard(["nope"], store=store)
    with pytest.raises(RunNotFoundError, match="no store is given"):
        leaderboard(["nope"])
    nothing: Any
    for nothing in (None, 3, [], [None]):
        with pytest.raises(SpecError, match=r"^store: .* expected"):
            leaderboard(store=nothing)


def test_columns_that_no_run_has_together_are_refused() -> None:
    made = InMemoryRunStore()
    for name, scored_by in (("easy", "exact_match"), ("hard", "f1")):
        evaluate(model=answers("lab/good", 80), data=data(name, 10), metric=scored_by, store=made)
    with pytest.raises(DataError, match="no run is of easy scored by f1"):
        leaderboard(store=made, columns=["easy"], metrics=["f1"])


def test_runs_given_one_name_are_one_row_with_what_they_agree_in(sweep: InMemoryRunStore) -> None:
    lines = {str(line.name): line.run_id for line in sweep.list_runs()}
    names = dict.fromkeys([lines["0.1 text"], lines["0.1 math_answer"]], "low")
    first = leaderboard(store=sweep, names=names)
    assert {"low"} < {row.name for row in first}
    assert "parser" not in first["low"].settings
    assert leaderboard(list(reversed(lines.values())), store=sweep, names=names) == leaderboard(
        list(lines.values()), store=sweep, names=names
    )


def test_where_stores_are_does_for_stores(tmp_path: Path) -> None:
    place = tmp_path / "a.sqlite3"
    evaluate(model="builtin/demo_model", data=list(rows_of(9)), metric="exact_match", storage=place)
    places: list[Any] = [place, str(place), as_storage(place), [place, str(place)]]
    boards = [leaderboard(store=each) for each in places]
    assert all(board == boards[0] for board in boards)
    with pytest.raises(StoreError, match="there is no store"):
        leaderboard(store=[place, tmp_path / "b.sqlite3"])
    assert not (tmp_path / "b.sqlite3").exists()


def test_weights_and_chosen_columns(store: InMemoryRunStore, board: Leaderboard) -> None:
    heavy = leaderboard(store=store, weights={"easy": 3.0}, tag="paper")
    easy, hard = (board["lab/good"][name].estimate for name in ("easy exact_match", "hard exact_match"))
    macro = heavy["lab/good"]["macro average"].estimate
    assert easy is not None
    assert hard is not None
    assert macro is not None
    assert macro.mean == pytest.approx((3 * (easy.mean or 0.0) + (hard.mean or 0.0)) / 4)
    assert "easy exact_match 3" in " ".join(heavy.to_text().split())
    alone = leaderboard(store=store, columns=["hard"], metrics=["exact_match"])
    assert [column.name for column in alone.columns] == ["hard exact_match"]
    assert alone["lab/good"].cells[0] == board["lab/good"]["hard exact_match"]


# --- formats ----------------------------------------------------------------------------------------------


def test_every_format_says_who_is_best_and_who_is_not_told_apart(board: Leaderboard) -> None:
    text, markdown, latex, page = board.to_text(), board.to_markdown(), board.to_latex(), board.to_html()
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "Not told apart: a: lab/good, lab/fair" in text
    assert str(board) == text
    best, like = (board[name]["easy exact_match"].estimate for name in ("lab/good", "lab/fair"))
    assert best is not None
    assert like is not None
    assert f"**{best.mean:.3f}**" in markdown
    assert f"*{like.mean:.3f}*" in markdown
    assert rf"\textbf{{{best.mean:.3f}}}" in latex
    assert rf"${like.mean:.3f}$$^{{\dagger}}$" in latex
    assert r"\toprule" in latex
    assert "Wilson" in latex
    assert "missing" in text
    assert 'class="like"' in page
    assert "<script" not in page
    assert page.count("<svg") >= 6
    rows = list(csv.DictReader(io.StringIO(board.to_csv(), newline="")))
    assert len(rows) == 12
    assert {row["letters"] for row in rows if row["column"] == "easy exact_match"} == {"a", "b"}
    assert Leaderboard.from_dict(json.loads(json.dumps(board.to_dict()))) == board
    assert "<table" in board._repr_html_()


def test_a_baseline_is_shown_in_every_format(store: InMemoryRunStore) -> None:
    found = leaderboard(store=store, baseline="lab/bad")
    assert found["lab/good"]["easy exact_match"].against == "better"
    assert "better" in found.to_text()
    assert r"\uparrow" in found.to_latex()
    assert "\u2191" in found.to_html()
    assert "difference to lab/bad" in found.to_markdown()


def test_a_terminal_of_80_columns_has_room_for_long_names(store: InMemoryRunStore) -> None:
    names = {line.run_id: f"{line.generator_id} {'and a long setting ' * 4}" for line in store.list_runs()}
    for baseline in (None, names[run_of(store, "lab/bad", "easy")]):
        text = leaderboard(store=store, names=names, baseline=baseline).to_text()
        assert max(map(len, text.splitlines())) <= 80, text


@pytest.fixture(scope="module")
def hostile() -> Leaderboard:
    made = InMemoryRunStore()
    for place, text in enumerate(HOSTILE):
        evaluate(
            model="builtin/demo_model",
            data=Dataset(dataset_id=HOSTILE[-1 - place], cases=[Case(case_id="a", input="1+1", expected_output="2")]),
            metric="builtin/exact_match",
            store=made,
            name=text,
        )
    return leaderboard(store=made, rows="name", title=HOSTILE[0] + HOSTILE[6])


def test_no_name_means_anything_but_itself_in_any_format(hostile: Leaderboard) -> None:
    steering = ("\x1b", "\x07", "\u202e", "\u2028", "\r")
    for text in (hostile.to_text(), hostile.to_markdown(), hostile.to_html(), hostile.to_latex()):
        assert not any(character in text for character in steering)
    page = hostile.to_html()
    assert "<script" not in page
    assert "<img" not in page
    rows = list(csv.DictReader(io.StringIO(hostile.to_csv(), newline="")))
    assert all(not str(cell).lstrip().startswith(tuple("=+@")) for row in rows for cell in row.values())


@needs_pdflatex
@pytest.mark.slow
def test_latex_compiles(hostile: Leaderboard, board: Leaderboard, store: InMemoryRunStore, tmp_path: Path) -> None:
    tables = [hostile.to_latex(), board.to_latex(), leaderboard(store=store, baseline="lab/bad").to_latex()]
    assert_compiles(tables, tmp_path)
