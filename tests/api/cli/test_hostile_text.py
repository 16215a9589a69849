"""Every command, over a store and files whose every text tries to steer the display of who reads it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree

import pytest
from cyclopts import App
from cyclopts.argument import Argument

from themis.api import cli
from themis.api.runs.gates import write_junit
from themis.pure.stats.gates import GateResult
from themis.testing.endpoint import FakeEndpoint, Reject

Themis = Callable[..., Any]
"""Runs a command: `code`, `out`, `err`, `data` (see `conftest`)."""

STEERING = "\x1b[2J\x1b]0;title\x07\x9b31m\x7f\u202e\u2066\u200f\u2028\u2029\U000e0041\xad\ufeff\r\v"
H = f"ab{STEERING}cd\x00ef\nFORGED"
"""What may be in a text; a line of its own may be taken for the command's."""
NAMED = f"ab{STEERING.replace(chr(13), '')}"
"""What may be in a file's name and in what is typed."""

ANSWERS = f"""\
from themis import generator, metric
from themis.core import GenerationResult, Score

H = {H!r}

class Answers:
    component_id = "answers" + H
    version = H

    async def generate(self, case, ctx):
        if case.case_id.startswith("1"):
            raise ValueError(H + chr(0xDC80))
        artifacts = {{H: H, "finish_reason": H, "transport": {{"served_model": H}}}}
        return GenerationResult(candidate_id="c" + H, final_output="naive " + H, artifacts=artifacts)

    def describe(self):
        return {{"setting": H}}

class Scores:
    component_id = "scores" + H
    version = "1"
    metric_family = "pure"

    def score(self, parsed, case, ctx):
        if case.case_id.startswith("2"):
            raise ValueError(H + chr(0xDC80))
        return Score(metric_id=self.component_id, value=0.5, details={{H: H, "steps": [H]}})

answers, scores = Answers(), Scores()
"""
ROWS = [{"case_id": f"{n}{H}", "input": f"naive {H}", "expected_output": H, "topic": f"{n % 2}{H}"} for n in range(4)]
STORE = f"{NAMED}.sqlite3"
CONFIG: dict[str, Any] = {
    "name": f"named{H}",
    "tags": [f"tag{H}"],
    "generation": {"generator": "hostile:answers"},
    "evaluation": {"metrics": ["hostile:scores", "builtin/f1"], "parsers": "builtin/text"},
    "datasets": [{"path": f"{NAMED}.jsonl", "dataset_id": f"data{H}", "metadata_fields": ["*"]}],
    "storage": {"store": "sqlite", "parameters": {"path": STORE}},
    "environment_metadata": {"place": H},
}
JUDGED = {
    "name": f"judged{NAMED}",
    "evaluation": {
        "metrics": "builtin/llm_rubric",
        "parsers": "builtin/text",
        "judge_models": "builtin/demo_judge",
        "workflow_overrides": {"rubric": H},
    },
}
STUDY = {
    "name": CONFIG["name"],
    "models": {f"model{H}": "hostile:answers"},
    "prompts": {f"prompt{H}": None},
    "datasets": {f"data{H}": {"path": f"{NAMED}.jsonl"}},
    "evaluation": CONFIG["evaluation"],
    "storage": CONFIG["storage"],
}

GIVEN: dict[str, Sequence[str]] = {
    # What an argument or option of this name is given where it is needed; a command with another adds it here.
    "CONFIG": ["experiment.json"],
    "STUDY": ["study.json"],
    "RUN": ["latest"],
    "RUN-A": ["latest"],
    "RUN-B": [f"judged{NAMED}"],
    "CASE": [f"0{H}"],
    "METRIC": ["builtin/llm_rubric"],
    "TEXT": ["naive"],
    "KIND": ["score"],
    "PATH": [f"bundle{NAMED}.json.gz"],
    "DATA": [f"{NAMED}.jsonl"],
    "ANSWERS": [f"answers{NAMED}.jsonl"],
    "DATASET": [f"no{NAMED}/set"],
    "NAME": [f"no{NAMED}"],
    "QUESTION": [f"naive {NAMED}"],
    "SHELL": ["bash"],
    "--model": ["hostile:answers"],
    "--metric": ["f1"],
    "--stage": ["score"],
    "--store": [STORE],
}


DOCUMENTS = ("report", "schema", "completion", "catalog")
"""Commands that print texts of several lines, fenced off, or none of a model's."""


READ_BY_PEOPLE = (".md", ".json", ".csv", ".tex", ".html", ".xml", ".yaml", ".yml")
"""Of the files that commands write, those that end up in a terminal or a CI system's log."""


EVERY = [name for group in cli.COMMANDS.values() for name, *_ in group]
"""Commands of the first level; a group that is not named has its help replaced by the overview's line, for good."""


def commands() -> Iterator[tuple[str, ...]]:
    """Yield the words of every command, as the command line itself has them."""

    def below(words: tuple[str, ...], app: App) -> Iterator[tuple[str, ...]]:
        inner = [name for name in app if not name.startswith("-")]
        for name in inner:
            yield from below((*words, name), app[name])
        if not inner or app.default_command:
            yield words

    return below((), cli.make_app(EVERY))


def arguments(words: Sequence[str]) -> list[Argument]:
    app = cli.make_app(words)
    for word in words:
        app = app[word]
    return [each for each in app.assemble_argument_collection() if each.parse]


def tried(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield a command as it should be typed, with each of its choices, and with hostile text in each of its options."""
    found = arguments(words)
    needed = [*words]
    for each in found:
        if each.required or each.name == "--store":
            needed += [*([each.name] if each.name.startswith("-") else []), *GIVEN[each.name]]
    yield tuple(needed)
    for each in found:
        option = [each.name] if each.name.startswith("-") else []
        if each.name == "--json":
            yield (*needed, "--json")
        for choice in get_args(each.hint) if "Literal" in str(each.hint) else ():
            yield (*needed, *option, str(choice))
        if any(kind in str(each.hint) for kind in ("str", "Path")):
            yield (*needed, *option, f"x{NAMED}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = tmp_path_factory.mktemp("hostile")
    (made / "hostile.py").write_text(ANSWERS, encoding="utf-8")
    (made / f"{NAMED}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS), encoding="utf-8")
    answers = [{**row, "output": f"answer {H}", "error": f"failed {H}" * (n % 2)} for n, row in enumerate(ROWS)]
    (made / f"answers{NAMED}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in answers), encoding="utf-8")
    (made / "experiment.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    (made / "study.json").write_text(json.dumps(STUDY), encoding="utf-8")
    (made / "judged.json").write_text(json.dumps({**CONFIG, **JUDGED}), encoding="utf-8")
    with contextlib.chdir(made):
        yield made


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
@pytest.mark.filterwarnings("ignore::themis.pure.references.ReferenceWarning")
def test_no_command_prints_what_steers_a_display(words: tuple[str, ...], folder: Path, themis: Themis) -> None:
    assert themis("run", "judged.json").code == 3
    assert themis("run", "experiment.json").code == 3
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    faults = []
    for typed in tried(words):
        done = themis(*typed)
        assert "this is a fault in Themis" not in done.err, (typed, done.err)
        found = [*steering_in(done.out, lines=words[0] not in DOCUMENTS), *steering_in(done.err)]
        if "--json" in typed and done.out:
            found += [f"not as it was: {text!r}" for text in texts_of(done.data) if not is_whole(text)]
        faults += [f"{typed[:2]} {typed[-2:]}: {fault}" for fault in found]
    for path in folder.rglob("*"):
        if path.suffix in READ_BY_PEOPLE and before.get(path) != path.stat().st_mtime_ns:
            faults += steering_in(path.read_text(encoding="utf-8"))
    assert not faults, "\n".join(faults)


def steering_in(text: str, *, lines: bool = False) -> Iterator[str]:
    for line in text.replace("\r\n", "\n").split("\n"):
        found = [char for char in line if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") and char != "\t"]
        if found or (lines and line.startswith("FORGED")):
            yield f"{found[:5]} in {line[:100]!r}"


def texts_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from texts_of([*value, *value.values()])
    elif isinstance(value, list):
        for each in value:
            yield from texts_of(each)


def is_whole(text: str) -> bool:
    """Tell whether hostile text, where there is any of it, is there to its last character."""
    return text.count("\x1b[2J") == text.count(STEERING) + text.count(NAMED)


def test_the_walk_sees_hostile_text_wherever_there_is_some(folder: Path, themis: Themis) -> None:
    """Guards the test above: it is printed, and is as it was once JSON is read."""
    run = themis("run", "experiment.json", "--json").data["run_id"]
    for words in (
        ("list",),
        ("quickcheck", run),
        ("search", "naive"),
        ("inspect", "state", run),
        ("inspect", "case", run, GIVEN["CASE"][0]),
        ("report", run, "--format", "json"),
    ):
        done = themis(*words, "--store", STORE, *(["--json"] if words[0] != "report" else []))
        assert any(STEERING in text or NAMED in text for text in texts_of(done.data)), words
        shown = themis(*(word for word in words if word not in ("--format", "json")), "--store", STORE)
        assert "[2J" in shown.out, words


def test_what_a_server_says_steers_no_display(folder: Path, themis: Themis) -> None:
    with FakeEndpoint(script=lambda _: Reject(status=400, code="invalid_request_error", message=H)) as endpoint:
        model = f"generation.generator={{id: openai/tiny, base_url: {endpoint.base_url}}}"
        for more in ((), ("--json",), ("--require", "builtin/f1 >= 0.5", "--junit", "gates.xml")):
            done = themis("run", "experiment.json", model, *more)
            assert done.code == 3
            assert [*steering_in(done.out, lines=True), *steering_in(done.err)] == []


@pytest.mark.parametrize("half", ["\ud800", "\ufffe", H])
def test_junit_is_xml_whatever_failed(half: str, tmp_path: Path) -> None:
    gate = GateResult(gate=f"a{half}", passed=False, reason=f"because{half}")
    write_junit(tmp_path / "gates.xml", half, [gate])
    text = (tmp_path / "gates.xml").read_text(encoding="utf-8")
    assert list(steering_in(text)) == []
    [case] = ElementTree.fromstring(text).iter("testcase")
    assert case[0].attrib["message"].startswith("because")


def test_a_traceback_steers_no_display(tmp_path: Path) -> None:
    (tmp_path / "hostile.py").write_text(f"raise RuntimeError({H!r})\n", encoding="utf-8")
    words = ["quick-eval", "inline", "x", "--model", "hostile:answers", "--metric", "f1", "--debug"]
    done = subprocess.run([sys.executable, "-m", "themis", *words], cwd=tmp_path, capture_output=True, check=False)
    said = done.stderr.decode()
    assert "Traceback" in said
    assert "\\x1b[2J" in said
    assert list(steering_in(said)) == []
