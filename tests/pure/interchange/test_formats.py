"""Every format: what is in a log is found, and whatever is wrong with one is a stated error with its place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from themis.effects.spool import Faults, Spool
from themis.pure.errors import DataError
from themis.pure.interchange import loose
from themis.pure.interchange.records import LoggedRun, LoggedSample, NothingLoggedError
from themis.testing.strategies import json_values

from .made_logs import MADE, Made, MemoryFiles, encoded, runs_of

every_log = pytest.mark.parametrize("made", MADE.values(), ids=MADE.keys())


def found_in(files: MemoryFiles, made: Made) -> list[tuple[LoggedRun, list[LoggedSample]]]:
    return [(run, list(run.samples)) for run in runs_of(files, made.name, archive=made.archive)]


def samples_of(made: Made) -> list[LoggedSample]:
    return [sample for _, samples in found_in(made.written(), made) for sample in samples]


@every_log
def test_what_is_in_a_log_is_found(made: Made) -> None:
    found = []
    for run in runs_of(made.written(), made.name, archive=made.archive):
        faults = Faults()
        with Spool(run.dataset_id) as spool:
            spool.fill(run.samples, faults)
            faults.refuse("log")
            means = {name: tally.mean for name, tally in spool.scores.items() if tally.mean is not None}
            found.append((run.model, run.dataset_id, len(spool), spool.samples, spool.failed, means))
    assert [one[:5] for one in found] == [run[:5] for run in made.runs]
    assert [one[5] for one in found] == [pytest.approx(run[5]) for run in made.runs]


@every_log
def test_every_sample_has_its_place_and_an_answer_or_an_error(made: Made) -> None:
    for sample in samples_of(made):
        assert sample.place.startswith("logs")
        assert sample.case.input
        assert sample.result is None or sample.error is None


def test_inspect_in_all_layouts_says_the_same() -> None:
    def plain(samples: list[LoggedSample]) -> list[Any]:
        return [(one.case, one.index, one.result, one.error, one.scores) for one in samples]

    whole, chunked = (samples_of(MADE[name]) for name in ("inspect", "inspect_chunked"))
    assert plain(whole) == plain(chunked)
    assert [sample.case.case_id for sample in whole] == ["b", "b", "a", "a"]  # the dataset's order
    by_case = sorted(samples_of(MADE["inspect_json"]), key=lambda one: (one.case.case_id != "b", one.index))
    assert plain(by_case) == plain(whole)


def test_an_answer_of_inspect_is_whole() -> None:
    sample = next(one for one in samples_of(MADE["inspect"]) if (one.case.case_id, one.index) == ("a", 0))
    assert sample.case.input == [{"role": "user", "content": "What is 1 + 1?"}]
    assert sample.case.metadata == {"choices": ["1", "2"], "topic": "sums"}
    assert sample.result is not None
    assert sample.result.final_output == "2"
    assert sample.result.token_usage == {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    assert sample.result.latency_ms == 250
    assert sample.result.finish_reason == "stop"
    assert sample.result.conversation is not None
    assert [message.role for message in sample.result.conversation] == ["system", "user", "assistant"]


def test_what_inspect_scored_in_spite_of_its_error_is_an_answer() -> None:
    sample = MADE["inspect"].files["samples/b_epoch_2.json"]
    scored = {**sample, "scores": {"match": {"value": "N"}}}
    made = Made(
        files={"header.json": MADE["inspect"].files["header.json"], "samples/b_epoch_2.json": scored},
        name="a.eval",
        archive=True,
        runs=[],
    )
    [found] = samples_of(made)
    assert found.error is None
    assert found.result is not None
    assert (found.result.final_output, found.scores[0].number) == ("", 0.0)
    assert found.result.artifacts is not None
    assert found.result.artifacts["error"] == "timed out"


def test_half_a_character_is_a_replacement_character() -> None:
    assert loose.parse(b'{"a\\ud800": ["\\udfffx", "\\ud83d\\ude00"]}', "f") == {"a\ufffd": ["\ufffdx", "\U0001f600"]}


def test_a_crashed_log_says_so() -> None:
    [(run, _)] = found_in(MADE["inspect_crashed"].written(), MADE["inspect_crashed"])
    assert "left by a crash" in run.lacks[0]


def test_likelihoods_of_lm_eval_are_likelihoods_here() -> None:
    from themis.pure.components.likelihoods import likeliest, read_likelihoods

    choices = [one for one in samples_of(MADE["lm_eval"]) if "choices" in one.case.metadata]
    for sample in choices:
        assert sample.result is not None
        found = read_likelihoods(sample.result.final_output)
        assert found is not None
        assert likeliest(found) == sample.case.expected_output == 1


def test_a_prompt_of_promptfoo_that_is_messages_is_messages() -> None:
    row = MADE["promptfoo_lines"].files["out.jsonl"][0]
    asked = [{"role": "user", "content": "Paris?"}]
    changed = {**row, "prompt": {"raw": json.dumps(asked)}}
    made = Made(files={"o.jsonl": [changed]}, name="o.jsonl", runs=[])
    [sample] = samples_of(made)
    assert sample.case.input == asked


def test_letters_stand_for_references_that_were_shown_so() -> None:
    sample = next(one for one in samples_of(MADE["helm"]) if one.case.case_id == "id2")
    assert (sample.case.expected_output, sample.case.metadata["choices"]) == ("A", ["2", "3"])


def test_a_trajectory_is_a_trace() -> None:
    [sample] = samples_of(MADE["atif"])
    assert sample.result is not None
    assert (sample.case.input, sample.result.final_output) == ("Create a file", "Done")
    assert sample.result.trace is not None
    assert [step.step_name for step in sample.result.trace] == ["system", "user", "bash", "agent"]
    assert sample.result.token_usage == {"prompt_tokens": 110, "completion_tokens": 50}


# --- what is wrong ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "name", "change"),
    [
        ("inspect", "header.json", {"version": 9}),
        ("inspect_json", "sums.json", {"version": 9}),
        ("promptfoo", "out.json", {"results": {"version": 4, "prompts": [], "results": [{}]}}),
        ("eee", "x.json", {"schema_version": "0.4.0"}),
        ("eee", "x.json", {"schema_version": "1.0"}),
        ("atif", "t.json", {"schema_version": "ATIF-v2.0"}),
    ],
)
def test_what_a_newer_tool_wrote_is_refused(made: str, name: str, change: dict[str, Any]) -> None:
    log = MADE[made]
    files = Made(
        files={**log.files, name: {**log.files[name], **change}}, name=log.name, archive=log.archive, runs=log.runs
    )
    with pytest.raises(DataError, match="upgrade"):
        found_in(files.written(), files)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a.json", {**MADE["inspect_json"].files["sums.json"], "samples": None}),
        ("results_2026-01-01T00-00-00.json", {"results": {}, "configs": {}}),
        ("a.json", {"results": {"results": [], "prompts": []}}),
        ("a.json", {"name": "t", "cases": [], "failures": [], "analyses": []}),
        ("a.json", {"testCases": [], "conversationalTestCases": []}),
        ("a.json", {"schema_version": "0.3.0", "evaluation_id": "e", "evaluation_results": []}),
        ("a.json", {"schema_version": "ATIF-v1.8", "steps": []}),
        ("a.jsonl", [{"spec": {"eval_name": "e"}}]),
    ],
)
def test_a_log_without_answers_says_so(name: str, value: Any) -> None:
    with pytest.raises(NothingLoggedError, match=name):
        list(runs_of(MemoryFiles({name: encoded(name, value)}), name))


def _values(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _values(item, (*path, key))


def _replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[path[0]] = _replaced(value[path[0]], path[1:], new)
    return copied


def _without(value: Any, path: tuple[Any, ...]) -> Any:
    copied = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1:
        del copied[path[0]]
    else:
        copied[path[0]] = _without(value[path[0]], path[1:])
    return copied


ODD: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(
        [None, "", [], {}, -1, 10**30, 1e308, True, "\ud800", [[]], {"a": {}}, "9" * 5000, [None], "C", {"": 1}]
    ),
    json_values(),
)


@every_log
@settings(max_examples=60)
@given(data=st.data())
def test_a_log_with_anything_in_any_place_is_read_or_refused_with_its_place(made: Made, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(list(made.files)))
    path = data.draw(st.sampled_from(list(_values(made.files[name]))))
    is_gone = bool(path) and data.draw(st.booleans())
    value = _without(made.files[name], path) if is_gone else _replaced(made.files[name], path, data.draw(ODD))
    _read_or_refused({**made.written().content, name: _as_file(name, value)}, made)


@every_log
@settings(max_examples=40)
@given(data=st.data())
def test_a_log_that_is_cut_off_or_damaged_is_read_or_refused_with_its_place(made: Made, data: st.DataObject) -> None:
    whole = made.written().content
    name = data.draw(st.sampled_from([one for one in whole if isinstance(whole[one], bytes)]))
    place = data.draw(st.integers(0, len(whole[name])))
    damage = data.draw(st.binary(max_size=3))
    rest = b"" if data.draw(st.booleans()) else whole[name][place + len(damage) :]
    _read_or_refused({**whole, name: whole[name][:place] + damage + rest}, made)


def _as_file(name: str, value: Any) -> Any:
    if name.endswith((".jsonl", ".parquet")) and not isinstance(value, list):
        return b"PAR1" if name.endswith(".parquet") else json.dumps(value).encode()
    return encoded(name, value)


def _read_or_refused(content: dict[str, Any], made: Made) -> None:
    faults, refused = Faults(), ""
    try:
        for run in runs_of(MemoryFiles(content), made.name, archive=made.archive):
            assert run.dataset_id
            with Spool(run.dataset_id) as spool:
                spool.fill(run.samples, faults)
        faults.refuse("logs")
    except DataError as error:
        refused = str(error)
    assert not refused or "logs" in refused
    assert len(refused) < 6000


# --- JSON as others write it ------------------------------------------------------------------------------


def test_what_is_no_number_in_json_is_none() -> None:
    assert loose.parse(b'{"a": NaN, "b": [Infinity, -Infinity], "c": 1}', "f") == {"a": None, "b": [None, None], "c": 1}
    assert loose.parse(b'\xef\xbb\xbf{"a": 123456789012345678901234567890}', "f") == {
        "a": 123456789012345678901234567890
    }


@pytest.mark.parametrize("depth", [201, 1500, 100_000])
@pytest.mark.parametrize("form", [(b"[", b"]"), (b'{"a":', b"}")])
def test_deep_json_is_refused(depth: int, form: tuple[bytes, bytes]) -> None:
    with pytest.raises(DataError, match=r"f: .*nested"):
        loose.parse(form[0] * depth + b"1" + form[1] * depth, "f")


@given(st.binary(max_size=40))
def test_bytes_are_json_or_refused_with_their_place(data: bytes) -> None:
    refused = "f: "
    try:
        loose.parse(data, "f")
    except DataError as error:
        refused = str(error)
    assert refused.startswith("f: ")
