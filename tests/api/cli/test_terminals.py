"""Every command as a process whose streams can't hold all characters, are closed early, or lead nowhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from themis.api.cli import COMMANDS

from .test_commands import LEAVES

WORDS = "Ω—中文 🎉 naïve"
"""Nothing that ASCII holds, something that Windows' code page does, and something that it does not."""

PROJECT = {
    "experiment.yaml": f"""\
name: Prüfung-Ω
tags: [größe, 中文]
generation: {{generator: "answers:{"répond"}"}}
evaluation: {{metrics: [builtin/exact_match, builtin/f1], parsers: builtin/text}}
datasets: [{{path: fragen-é.jsonl}}]
storage: {{store: sqlite, parameters: {{path: runs/themis.sqlite3}}}}
environment_metadata: {{wo: Zürich}}
""",
    "judged.yaml": f"""\
name: gerichtet-é
generation: {{generator: "answers:répond"}}
evaluation:
  metrics: builtin/llm_rubric
  parsers: builtin/text
  judge_models: builtin/demo_judge
  workflow_overrides: {{rubric: "Ist es richtig? {WORDS}"}}
datasets: [{{path: fragen-é.jsonl}}]
storage: {{store: sqlite, parameters: {{path: runs/themis.sqlite3}}}}
""",
    "studie-é.yaml": """\
models: {größe: "answers:répond"}
datasets: {fragen-é: {path: fragen-é.jsonl}}
evaluation: {metrics: builtin/exact_match, parsers: builtin/text}
storage: {store: sqlite, parameters: {path: runs/themis.sqlite3}}
""",
    "fragen-é.jsonl": "".join(
        json.dumps({"case_id": f"é{n}", "input": f"{WORDS} {n}?", "expected_output": f"{WORDS} {n}"}) + "\n"
        for n in range(3)
    ),
    "antworten-é.csv": f"input,expected_output,output,größe\n{WORDS}?,{WORDS},{WORDS},é\n",
    "answers.py": f"""\
from themis import generator

@generator
async def répond(case):
    if case.case_id == "é2":
        raise ValueError("zu schwer: {WORDS}")
    return case.expected_output if case.case_id == "é0" else "{WORDS}"
""",
}

JSON = ("--json",)
COMMANDS_TRIED: list[tuple[str, ...]] = [
    # What is typed: each with its text, and those that have it as JSON (the second time round).
    ("init", "anfang-é"),
    ("plan", "experiment.yaml"),
    ("preview", "experiment.yaml"),
    ("estimate", "experiment.yaml"),
    ("run", "experiment.yaml"),
    ("run", "judged.yaml"),
    ("resume", "experiment.yaml"),
    *(("study", name, "studie-é.yaml") for name in ("plan", "run", "status", "report")),
    ("study", "suites"),
    ("list",),
    ("recompute", "Prüfung-Ω"),
    ("search", "naïve"),
    ("quickcheck", "Prüfung-Ω"),
    *(("report", "Prüfung-Ω", "--format", kind) for kind in ("markdown", "json", "csv", "latex", "html")),
    ("report", "Prüfung-Ω", "--output", "bericht-é.md"),
    ("inspect", "snapshot", "Prüfung-Ω"),
    ("inspect", "state", "Prüfung-Ω"),
    ("inspect", "case", "Prüfung-Ω", "é0"),
    ("inspect", "evaluation", "gerichtet-é", "é0", "builtin/llm_rubric"),
    ("compare", "Prüfung-Ω", "gerichtet-é"),
    ("leaderboard", "Prüfung-Ω", "gerichtet-é"),
    ("compare", "Prüfung-Ω", "gerichtet-é", "--cases", "1", "--output", "änderungen.html"),
    ("cases", "Prüfung-Ω", "--where", "case = 'é0'"),
    ("cases", "Prüfung-Ω", "--format", "jsonl"),
    ("explain", "Prüfung-Ω", "gerichtet-é"),
    ("explain", "Prüfung-Ω", "gerichtet-é", "--format", "markdown"),
    ("rank", "Prüfung-Ω", "gerichtet-é"),
    ("label", "gerichtet-é", "é0", "builtin/llm_rubric", "0.5", "--who", "Zoë", "--note", WORDS),
    ("label", "gerichtet-é"),
    ("label", "gerichtet-é", "--next", "2"),
    ("replay", "experiment.yaml", "--stage", "score"),
    ("rejudge", "judged.yaml"),
    ("verify", "Prüfung-Ω", "--config", "experiment.yaml"),
    ("export", "score", "Prüfung-Ω", "bündel-é.json.gz"),
    ("seal", "Prüfung-Ω", "--out", "siegel-é.seal"),
    ("seal", "siegel-é.seal", "--out", "teil-é.seal", "--show", "é0"),
    ("verify", "teil-é.seal"),
    ("import", "bündel-é.json.gz", "--store", "runs/anders-é.sqlite3"),
    ("import", "outputs", "antworten-é.csv", "--as", "anderswo-é", "--store", "runs/anders-é.sqlite3"),
    ("import", "outputs", "antworten-é.csv", "--as", "é", "--output-field", "größe"),
    ("score", "Prüfung-Ω", "--metric", "contains", "--as", "nochmal-é"),
    ("submit", "experiment.yaml", "--queue", "schlange-é"),
    ("worker", "status", "--queue", "schlange-é"),
    ("worker", "run", "--queue", "schlange-é"),
    ("batch", "run", "--queue", "nirgends-é"),
    ("batch", "cancel", "--queue", "nirgends-é"),
    ("quick-eval", "inline", f"{WORDS}?", "--expected", WORDS, "--model", "builtin/demo_model", "--metric", "f1"),
    ("quick-eval", "file", "fragen-é.jsonl", "--model", "answers:répond", "--metric", "f1"),
    ("quick-eval", "huggingface", "größe/é", "--model", "builtin/demo_model", "--metric", "f1"),
    ("quick-eval", "benchmark", "größe", "--model", "builtin/demo_model"),
    ("preview", "quick-eval", "inline", f"{WORDS}?", "--model", "builtin/demo_model", "--metric", "f1", "--cases", "1"),
    ("preview", "quick-eval", "file", "fragen-é.jsonl", "--model", "answers:répond", "--metric", "f1"),
    ("preview", "quick-eval", "huggingface", "größe/é", "--model", "builtin/demo_model", "--metric", "f1"),
    ("preview", "quick-eval", "benchmark", "größe", "--model", "builtin/demo_model"),
    ("catalog", "list"),
    ("catalog", "show", "mmlu_pro"),
    ("catalog", "validate", "simpleqa_verified"),
    ("doctor",),
    ("schema",),
    ("completion", "bash"),
    # What goes wrong.
    ("größe",),
    ("run", "é.yaml"),
    ("run", "experiment.yaml", "größe=é"),
    ("report", "größe"),
    ("inspect", "case", "Prüfung-Ω", "ü"),
    ("list", "--größe"),
    ("run", "experiment.yaml", "datasets=[{path: é.jsonl}]"),
]

CHAIN = """
import json, os, sys
from themis.api import cli

codes = []
for number, words in enumerate(json.load(open(sys.argv[1], encoding="utf-8"))):
    for stream in (sys.stdout, sys.stderr):
        stream.write(f"=== {number}\\n")
        stream.flush()
    try:
        cli.main([os.fsdecode(word.encode()) for word in words])
    except SystemExit as ended:
        codes.append(ended.code)
with open(sys.argv[2], "w", encoding="utf-8") as file:
    json.dump(codes, file)
"""

ENCODINGS = {
    "UTF-8": {"PYTHONIOENCODING": "utf-8"},
    "Windows' code page": {"PYTHONIOENCODING": "cp1252"},
    "ASCII": {"PYTHONIOENCODING": "ascii"},
    "ASCII, strictly": {"PYTHONIOENCODING": "ascii:strict"},
    "the C locale": {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "a code page of Japanese": {"PYTHONIOENCODING": "cp932"},
}


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONUTF8", "LC_ALL", "LANG")}
    return {**kept, "NO_COLOR": "1", "COLUMNS": "80", **more}


def write_project(folder: Path) -> None:
    for name, text in PROJECT.items():
        (folder / name).write_text(text, encoding="utf-8")


def carried_out(
    folder: Path, commands: Sequence[Sequence[str]], more: dict[str, str]
) -> list[tuple[int, bytes, bytes]]:
    """Carry commands out one after the other in one process; return each one's exit code, output and errors."""
    folder.mkdir(parents=True, exist_ok=True)
    write_project(folder)
    (folder / "commands.json").write_text(json.dumps(commands), encoding="utf-8")
    (folder / "chain.py").write_text(CHAIN, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "chain.py", "commands.json", "codes.json"],
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    codes = json.loads((folder / "codes.json").read_text(encoding="utf-8"))

    def parts(output: bytes) -> list[bytes]:
        text = output.replace(b"\r\n", b"\n")
        return [part.partition(b"\n")[2] for part in (b"\n" + text).split(b"\n=== ")[1:]]

    return list(zip(codes, parts(done.stdout), parts(done.stderr), strict=True))


def has_json(words: Sequence[str]) -> bool:
    return words[0] not in ("init", "report", "schema", "completion", "größe") and "--größe" not in words


@pytest.fixture(scope="module")
def as_utf8(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, bytes, bytes]]:
    return carried_out(tmp_path_factory.mktemp("utf8") / "x", everything(), ENCODINGS["UTF-8"])


def everything() -> list[tuple[str, ...]]:
    return [*COMMANDS_TRIED, *(words + JSON for words in COMMANDS_TRIED if has_json(words))]


def test_every_command_is_tried() -> None:
    tried = {words[:size] for words in COMMANDS_TRIED for size in (1, 2, 3)}
    assert [leaf for leaf in LEAVES if tuple(leaf) not in tried] == []
    assert {name for group in COMMANDS.values() for name, *_ in group} <= {words[0] for words in COMMANDS_TRIED}


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.slow if kind in ("ASCII", "a code page of Japanese") else ())
        for kind in ENCODINGS
        if kind != "UTF-8"
    ],
)
def test_what_a_stream_can_not_hold_is_replaced_in_text_and_escaped_in_json(
    kind: str, as_utf8: list[tuple[int, bytes, bytes]], tmp_path: Path
) -> None:
    encoding = ENCODINGS[kind].get("PYTHONIOENCODING", "ascii").partition(":")[0]
    done = carried_out(tmp_path / "x", everything(), ENCODINGS[kind])
    for words, (code, out, err), (wanted_code, wanted_out, _) in zip(everything(), done, as_utf8, strict=True):
        shown = f"{words}: {out!r} {err!r}"
        assert kind == "the C locale" or code == wanted_code, shown  # it takes other characters from what is typed
        assert b"UnicodeEncodeError" not in err + out, shown
        assert b"Traceback" not in err, shown
        assert b"this is a fault in Themis" not in err, shown
        if code != wanted_code:
            assert b"error: " in err or b"Error" in out + err, shown
        elif "--json" in words or words[:1] == ("schema",) or "json" in words:
            assert characters_of(out) == characters_of(wanted_out), shown
        elif words[:1] == ("report",) and words[-1] in ("html", "csv", "latex"):
            out.decode("utf-8")
        else:
            out.decode(encoding)
        err.decode(encoding)


def characters_of(output: bytes) -> list[str] | None:
    """Return what JSON has beyond ASCII, the same in each run of a command; `None` where nothing is printed."""
    if not output.strip():
        return None
    values = json.dumps(json.loads(output.decode()), ensure_ascii=False)
    return sorted(character for character in values if not character.isascii())


def test_all_words_come_through_where_they_can(as_utf8: list[tuple[int, bytes, bytes]]) -> None:
    """Guards the test above: the commands do print what is hard to print."""
    out = {words: text.decode() for words, (_, text, _) in zip(everything(), as_utf8, strict=True)}
    for words in [
        *(("report", "Prüfung-Ω", "--format", kind) for kind in ("markdown", "json", "csv", "html")),
        ("inspect", "case", "Prüfung-Ω", "é0"),
        ("search", "naïve"),
    ]:
        assert "中文" in out[words], words
    assert "Prüfung-Ω" in out["list",]


# --- nobody reads -----------------------------------------------------------------------------------------

SOME = [("--help",), ("schema",), ("list",), ("catalog", "list"), ("report", "latest", "--format", "html"), ("größe",)]


@pytest.fixture(scope="module")
def with_a_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "x"
    carried_out(folder, [("run", "experiment.yaml")], ENCODINGS["UTF-8"])
    return folder


@pytest.mark.parametrize("words", [*SOME, ("report", "latest", "--format", "csv")], ids=" ".join)
@pytest.mark.parametrize("which", ["stdout", "both"])
def test_a_pipe_that_is_closed_early_ends_quietly(words: tuple[str, ...], which: str, with_a_run: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "themis", *words],
        cwd=with_a_run,
        env=environment(PYTHONIOENCODING="utf-8"),
        stdout=write,
        stderr=write if which == "both" else subprocess.PIPE,
        check=False,
    )
    os.close(write)
    assert done.returncode == (2 if words == ("größe",) else 0)
    if which == "stdout" and words != ("größe",):
        assert done.stderr == b""


def test_a_gate_fails_whether_or_not_somebody_reads_on(with_a_run: Path) -> None:
    words = ["run", "experiment.yaml", "--require", "builtin/exact_match >= 0.99"]
    read, write = os.pipe()
    os.close(read)
    codes = [
        subprocess.run(
            [sys.executable, "-m", "themis", *words],
            cwd=with_a_run,
            env=environment(PYTHONIOENCODING="utf-8"),
            stdout=out,
            stderr=subprocess.PIPE,
            check=False,
        ).returncode
        for out in (write, subprocess.PIPE)
    ]
    os.close(write)
    assert codes[0] == codes[1] > 0


@pytest.mark.parametrize("words", SOME[:-1], ids=" ".join)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
def test_a_full_disk_is_an_error(words: tuple[str, ...], with_a_run: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "themis", *words],
            cwd=with_a_run,
            env=environment(PYTHONIOENCODING="utf-8"),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (2, b"themis: error: [Errno 28] No space left on device\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&- <&-"])
def test_streams_that_are_closed_from_the_start(closed: str, with_a_run: Path) -> None:
    command = f'"{sys.executable}" -m themis list {closed}'
    done = subprocess.run(["sh", "-c", command], cwd=with_a_run, env=environment(), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
