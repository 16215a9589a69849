"""Labels that people give: what becomes of them, and that nothing else changes."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from themis import (
    Case,
    HumanLabel,
    InMemoryRunStore,
    Reporter,
    RunResult,
    RuntimeConfig,
    evaluate,
    generator,
    get_case_view,
    get_execution_state,
    get_timeline,
    give_labels,
    import_labels,
    next_labels,
    quickcheck,
    verify,
)
from themis.api.runs.labels import LabelColumns, label_sheet
from themis.pure.errors import DataError, LiteralSecretError, RunLockedError, SpecError
from themis.pure.protocols import RunStore

EXACT = "builtin/exact_match"
ROWS = [{"case_id": f"c{n}", "input": f"{n}+{n}", "expected_output": str(2 * n)} for n in range(120)]


def again(result: RunResult) -> RunResult:
    """Return a result that has read nothing yet."""
    return RunResult(snapshot=result.snapshot, store=result.store)


def run(store: RunStore | None = None, **changes: Any) -> RunResult:
    given = {"model": "builtin/demo_model", "data": ROWS, "metric": EXACT, "store": store or InMemoryRunStore()}
    return evaluate(**{**given, **changes})


@pytest.fixture
def result() -> RunResult:
    return run()


def said(result: RunResult) -> list[tuple[str, Any, str]]:
    return [(label.case_id, label.value, label.who) for label in again(result).labels()]


# --- one by one -------------------------------------------------------------------------------------------


def test_a_later_label_replaces_the_earlier_and_none_takes_it_back(result: RunResult) -> None:
    result.label("c1", True, who="ada", note="fine")
    result.label("c1", 0.0, who="ada")
    result.label("c1", True, who="bob")
    assert said(result) == [("c1", 0.0, "ada"), ("c1", True, "bob")]
    result.label("c1", None, who="ada")
    assert said(result) == [("c1", True, "bob")]
    stored = [event for event in again(result).view.events() if event.event_type == "label_given"]
    assert len(stored) == 4  # what was said before stays in the log


def test_what_was_said_before_and_what_was_never_said_are_no_news(result: RunResult) -> None:
    assert result.label("c1", True, who="ada").stored == 1
    assert result.label("c1", True, who="ada").unchanged == 1
    assert result.label("c1", 1.0, who="ada").stored == 1  # a number is another thing to say
    assert result.label("c2", None, who="ada").stored == 0
    earlier = datetime.now(UTC) - timedelta(days=1)
    assert result.label("c1", False, who="ada", when=earlier).stored == 0
    assert said(result) == [("c1", 1.0, "ada")]


def test_labels_change_nothing_else(result: RunResult) -> None:
    before, rows = quickcheck(result.store, result.run_id), list(result.benchmark.score_rows)
    count = result.view.event_count
    result.label("c3", False, who="ada")
    found = again(result)
    after = quickcheck(result.store, result.run_id)
    assert after.evolve(event_count=before.event_count) == before
    assert (found.digest, list(found.benchmark.score_rows)) == (result.digest, rows)
    assert found.usage == result.usage
    assert [line.status for line in result.store.list_runs()] == ["completed"]
    assert [line.updated_at for line in result.store.list_runs()] == [before.ended_at]
    assert found.view.event_count == count + 2  # the label, and how the run ended, with the new count
    assert verify(result.store, result.run_id).ok


def test_a_labelled_run_goes_on_without_a_call(result: RunResult) -> None:
    result.label("c3", False, who="ada")
    resumed = run(result.store)
    assert resumed.progress.completed_cases == 120
    generated = [event for event in resumed.view.events() if event.event_type == "generation_completed"]
    assert len(generated) == 120
    assert said(resumed) == [("c3", False, "ada")]
    assert verify(result.store, result.run_id).ok


def test_a_run_that_is_being_written_takes_no_labels(result: RunResult) -> None:
    result.store.acquire(result.run_id)
    with pytest.raises(RunLockedError):
        result.label("c1", True)
    result.store.release(result.run_id)
    assert result.label("c1", True).stored == 1


def test_an_interrupted_run_takes_labels_between_its_attempts() -> None:
    store = InMemoryRunStore()
    asked: list[str] = []

    @generator
    def stops(case: Case) -> str:
        asked.append(case.case_id)
        if len(asked) == 60:
            raise KeyboardInterrupt
        return case.case_id

    with pytest.raises(KeyboardInterrupt):
        run(store, model=stops, runtime=RuntimeConfig(max_concurrent_tasks=1))
    (line,) = store.list_runs()
    label = HumanLabel(case_id=asked[0], metric_id=EXACT, value=True, who="ada")
    assert give_labels(store, line.run_id, [label]).stored == 1
    assert [each.status for each in store.list_runs()] == ["failed"]
    with pytest.raises(DataError, match="the case has no answer to label"):
        give_labels(store, line.run_id, [label.evolve(case_id="c119")])
    whole = run(store, model=stops)
    assert (whole.progress.completed_cases, said(whole)) == (120, [(label.case_id, True, "ada")])


# --- several answers, several metrics ---------------------------------------------------------------------


def test_of_several_answers_a_label_says_which() -> None:
    result = run(samples=3)
    result.label("c1", False, who="ada", candidate="c1-candidate-2")
    with pytest.raises(DataError, match=r"several answers; say which: c1-candidate-0, c1-candidate-1, c1-candidate-2"):
        result.label("c1", True)
    with pytest.raises(DataError, match=r"no answer 'c1-candidate-3'; did you mean"):
        result.label("c1", True, candidate="c1-candidate-3")
    numbered = [{"case_id": "c1", "sample": 2, "value": "no"}]
    assert import_labels(result.store, result.run_id, numbered, who="ada").unchanged == 1
    for number in range(40):
        for sample in range(3):
            result.label(f"c{number}", (number + sample) % 4 > 0, who="ada", candidate=f"c{number}-candidate-{sample}")
    found = again(result).labelled()[EXACT]
    assert (found.answers, found.cases, found.corrected.clusters, found.corrected.judged) == (120, 40, 40, 360)
    assert found.rogan_gladen is None
    assert verify(result.store, result.run_id).ok


def test_the_metric_is_named_where_there_are_several() -> None:
    result = run(metric=[EXACT, "builtin/f1"])
    with pytest.raises(SpecError, match="say which one the labels are for: builtin/exact_match, builtin/f1"):
        result.label("c1", True)
    result.label("c1", 0.5, metric="builtin/f1", who="ada")
    with pytest.raises(SpecError, match="did you mean builtin/f1"):
        result.label("c1", 0.5, metric="builtin/f2")
    assert [label.metric_id for label in again(result).labels()] == ["builtin/f1"]
    assert again(result).labels(EXACT) == ()
    assert set(again(result).labelled()) == {"builtin/f1"}
    rows = [{"case_id": "c1", "value": 1, "metric": "f1", "who": "eve"}, {"case_id": "c2", "value": 1, "metric": "f9"}]
    with pytest.raises(DataError, match=r"rows\[1\]: metric: the run has no metric 'f9'"):
        import_labels(result.store, result.run_id, rows)
    with pytest.raises(SpecError, match="say which one the labels are for"):
        import_labels(result.store, result.run_id, [{"case_id": "c1", "value": 1}])
    assert import_labels(result.store, result.run_id, rows[:1]).stored == 1
    entry = get_timeline(result.store, result.run_id).entries[-2]
    assert (entry.event_type, entry.case_id, entry.metric_id) == ("label_given", "c1", "builtin/f1")


# --- files and rows ---------------------------------------------------------------------------------------


def test_a_sheet_is_filled_in_and_imported_once(result: RunResult, tmp_path: Path) -> None:
    rows = next_labels(result.store, result.run_id, 30)
    names = "case_id dataset_id candidate_id metric prompt expected_output answer value who note"
    assert list(rows[0]) == names.split()
    sheet = [*csv.DictReader(io.StringIO("".join(label_sheet(rows))))]
    for number, row in enumerate(sheet[:25]):
        row["value"] = "correct" if row["answer"] == row["expected_output"] else "no"
        row["note"] = "Umlaut ä" if number == 0 else ""
    path = tmp_path / "labels.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(sheet[0]))
        writer.writeheader()
        writer.writerows(sheet)
    taken = import_labels(result.store, result.run_id, path, who="ada")
    assert (taken.stored, taken.unchanged, taken.empty) == (25, 0, 5)
    count = again(result).view.event_count
    taken = import_labels(result.store, result.run_id, path, who="ada")
    assert (taken.stored, taken.unchanged, taken.empty) == (0, 25, 5)
    assert again(result).view.event_count == count
    assert {label.note for label in again(result).labels()} == {"", "Umlaut ä"}
    assert str(taken) == "0 labels stored (25 known already, 5 without a value)"
    later = next_labels(result.store, result.run_id, 10)
    assert [row["case_id"] for row in later[:5]] == [row["case_id"] for row in rows[25:]]
    by_bob = next_labels(result.store, result.run_id, 30, who="bob")
    assert [row["case_id"] for row in by_bob] == [row["case_id"] for row in rows]


def test_all_faults_of_a_file_are_told_and_nothing_of_it_is_stored(result: RunResult, tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    rows: list[dict[str, Any]] = [
        {"id": "c1", "verdict": True, "by": "ada"},
        {"id": "d2", "verdict": True, "by": "ada"},
        {"id": "c3", "verdict": 7, "by": "ada"},
        {"id": "c4", "verdict": 1, "by": "ada", "chance": "often"},
        {"id": "c5", "verdict": 1, "by": "ada", "chance": 2},
        {"id": "c6", "verdict": None, "by": "ada"},
    ]
    path.write_text("\n".join(map(json.dumps, [{**{"chance": None}, **row} for row in rows])), encoding="utf-8")
    columns = LabelColumns(case="id", value="verdict", who="by", probability="chance")
    with pytest.raises(DataError) as caught:
        import_labels(result.store, result.run_id, path, columns=columns)
    assert f"{path}:4: probability: a number expected, found 'often'" in str(caught.value)
    path.write_text("\n".join(map(json.dumps, [{**{"chance": None}, **row} for row in rows if row["id"] != "c4"])))
    with pytest.raises(DataError) as caught:
        import_labels(result.store, result.run_id, path, columns=columns)
    message = str(caught.value)
    assert f"{path}:2: the run has no case 'd2'" in message
    assert f"{path}:3: case 'c3': value: builtin/exact_match scores from 0 to 1; found 7" in message
    assert f"{path}:4: case 'c5': probability: a number from 1e-9 to 1 expected, found 2" in message
    assert said(result) == []


def test_columns_that_are_not_there_are_named_with_what_is(result: RunResult) -> None:
    with pytest.raises(DataError) as caught:
        import_labels(result.store, result.run_id, [{"case": "c1", "labels": "yes"}])
    assert "columns found: case, labels" in str(caught.value)
    assert "no column 'case_id' for the case; did you mean case" in str(caught.value)
    assert "no column 'value' for the value" in str(caught.value)


def test_a_credential_is_not_stored(result: RunResult) -> None:
    key = "sk-" + "a1B2c3D4" * 6
    with pytest.raises(LiteralSecretError) as caught:
        result.label("c1", True, note=f"the key {key} works")
    assert key not in str(caught.value)
    assert said(result) == []


def test_a_sheet_holds_no_formula_and_its_ids_come_back() -> None:
    rows = [{"case_id": "=c1", "input": "=cmd()", "expected_output": "2"}]
    result = run(data=rows)
    text = "".join(label_sheet(next_labels(result.store, result.run_id, 5)))
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["case_id"], row["prompt"]) == ("'=c1", "'=cmd()")
    assert import_labels(result.store, result.run_id, [{**row, "value": "yes"}], who="ada").stored == 1
    assert said(result) == [("=c1", True, "ada")]


def test_a_label_comes_back_from_a_sheet_as_it_was_said(result: RunResult) -> None:
    result.label("c1", "=off topic", who="@ada", note="- too long")
    known = {"value": "=off topic", "who": "@ada", "note": "- too long", "case_id": "c1", "metric": EXACT}
    (row,) = csv.DictReader(io.StringIO("".join(label_sheet([known]))))
    assert (row["value"], row["who"], row["note"]) == ("'=off topic", "'@ada", "'- too long")
    assert import_labels(result.store, result.run_id, [row]).unchanged == 1
    assert [(label.value, label.who, label.note) for label in again(result).labels()] == [
        ("=off topic", "@ada", "- too long")
    ]


def test_where_nothing_is_scored_there_is_nothing_to_label() -> None:
    @generator
    def fails(case: Case) -> str:
        raise OSError("down")

    failed = run(data=ROWS[:3], model=fails)
    with pytest.raises(DataError, match="no answer has a score of builtin/exact_match"):
        next_labels(failed.store, failed.run_id, 5)


def test_a_large_sheet_tells_how_far_it_is(result: RunResult) -> None:
    heard: list[int] = []
    rows = [{"case_id": f"c{n % 120}", "value": "1", "who": f"w{n // 120}"} for n in range(3000)]
    assert import_labels(result.store, result.run_id, rows, told=heard.append).stored == 3000
    assert heard == [0, 1000, 2000]


def test_scores_are_left_out_of_a_sheet_unless_asked_for(result: RunResult) -> None:
    assert "score" not in next_labels(result.store, result.run_id, 1)[0]
    assert next_labels(result.store, result.run_id, 1, blind=False)[0]["outcome"] in ("correct", "incorrect")


# --- what they say ----------------------------------------------------------------------------------------


def labelled(result: RunResult, count: int = 60, *, who: tuple[str, ...] = ("ada",), wrong: int = 10) -> None:
    """Label answers of a random sample: each `wrong`th otherwise than the metric has it."""
    scores = {row.case_id: row.value for row in result.benchmark.score_rows}
    rows = next_labels(result.store, result.run_id, count)
    labels = [
        HumanLabel(
            case_id=row["case_id"], metric_id=EXACT, value=bool(scores[row["case_id"]]) != (n % wrong == 0), who=w
        )
        for n, row in enumerate(rows)
        for w in who
    ]
    give_labels(result.store, result.run_id, labels)


def test_reports_say_what_labels_say(result: RunResult) -> None:
    labelled(result, who=("ada", "bob"))
    found = again(result).labelled()[EXACT]
    assert (found.answers, found.cases, [each.who for each in found.labellers]) == (60, 60, ["ada", "bob"])
    assert found.corrected.mean is not None
    assert found.corrected.judge.mean == again(result).benchmark.metric_means[EXACT]
    assert found.among_labellers is not None
    assert found.among_labellers.value == 1.0
    assert found.rogan_gladen is not None
    reporter = Reporter(result.store)
    data = json.loads(reporter.export_json(result.run_id))["human_labels"][EXACT]
    assert data["corrected"]["mean"] == found.corrected.mean
    for text in (reporter.export_markdown(result.run_id), reporter.export_html(result.run_id)):
        assert "human labels" in text
        assert "corrected by labels" in text
        assert "random sample" in text
    assert "corrected by labels" in reporter.export_latex(result.run_id)


def test_a_run_without_labels_says_nothing_of_them(result: RunResult) -> None:
    assert result.labelled() == {}
    assert "label" not in Reporter(result.store).export_markdown(result.run_id)


def test_words_are_counted_and_held_against_no_score(result: RunResult) -> None:
    labelled(result, 30)
    result.label("c1", "too long", who="eve")
    result.label("c2", "off topic", who="eve")
    found = again(result).labelled()[EXACT]
    assert found.words == 2
    assert [(each.who, each.labels) for each in found.labellers] == [("ada", 30), ("eve", 0)]
    assert found.corrected.labelled <= 30
    assert found.among_labellers is not None


def test_labels_chosen_by_uncertainty_state_their_probability() -> None:
    @generator
    def echo(case: Case) -> str:
        return str(case.input)

    rows = [{"case_id": f"c{n}", "input": "a b c d"[: 1 + 2 * (n % 4)], "expected_output": "a b"} for n in range(80)]
    result = run(metric="builtin/f1", model=echo, data=rows)
    sure = run(data=ROWS[:10], model="builtin/demo_generator")
    with pytest.raises(DataError, match="take a random sample"):
        next_labels(sure.store, sure.run_id, 5, by="uncertainty")
    first = next_labels(result.store, result.run_id, 30, by="uncertainty")
    assert all(0 < row["probability"] <= 1 for row in first)
    import_labels(result.store, result.run_id, [{**row, "value": 0.5} for row in first], who="ada")
    more = next_labels(result.store, result.run_id, 10, by="uncertainty")
    assert [row["value"] for row in more[:30]] == [0.5] * 30
    taken = import_labels(result.store, result.run_id, [{**row, "value": 0.5} for row in more], who="ada")
    assert taken.stored > 10  # those that were there state their new probability
    found = again(result).labelled()["builtin/f1"].corrected
    assert (found.method, found.labelled) == ("PPI++ with inverse probabilities", 40)


def test_a_case_shows_its_labels(result: RunResult) -> None:
    result.label("c7", False, who="ada", note="it is 14")
    view = get_case_view(result.store, result.run_id, "c7")
    assert [(label.who, label.value) for label in view.labels] == [("ada", False)]
    assert "builtin/exact_match, label by ada:\n  wrong: it is 14" in str(view)
    state = get_execution_state(result.store, result.run_id).to_dict()["case_states"]["4:data:c7"]
    assert [label["who"] for label in state["labels"].values()] == ["ada"]
