"""What a component does wrong around a run costs what it must: a refusal before the first call, a warning after it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import trio

from themis import Case, GenerationResult, RunResult, evaluate
from themis.api.experiment import run
from themis.api.experiment.run import ComponentWarning
from themis.pure.errors import SpecError


class Model:
    component_id = "tests/model"
    version = "1"

    def __init__(self) -> None:
        self.calls: list[str] = []

    def fingerprint(self) -> str:
        return "model"

    async def generate(self, case: Case, ctx: Any) -> GenerationResult:
        self.calls.append(case.case_id)
        return GenerationResult(candidate_id=ctx.candidate_id, final_output="2")


def result_of(model: Model) -> RunResult:
    rows = [{"input": "1+1", "expected_output": "2"}]
    return evaluate(model=model, data=rows, metric="builtin/exact_match")


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ("no key", "tests/model: no key$"),
        (["no key", "no network"], "no key\n.*no network"),
        (True, "check\\(\\) raised TypeError"),
        (ValueError("locked"), "tests/model: check\\(\\) raised ValueError: locked"),
    ],
)
def test_what_a_check_says_or_raises_refuses_the_run(found: Any, words: str) -> None:
    class Checked(Model):
        def check(self) -> Any:
            if isinstance(found, Exception):
                raise found
            return found

    model = Checked()
    with pytest.raises(SpecError, match=words):
        result_of(model)
    assert model.calls == []


def test_a_fingerprint_that_raises_is_told_with_the_rest() -> None:
    class Unnamed(Model):
        def fingerprint(self) -> str:
            raise OSError("no such file")

    with pytest.raises(SpecError, match=r"tests/model\.fingerprint\(\) raised OSError: no such file"):
        result_of(Unnamed())


class ClosedAtOnce(Model):
    def aclose(self) -> None:
        self.calls.append("closed")


class FailsToClose(Model):
    async def aclose(self) -> None:
        raise ValueError("no such socket")


class NeverCloses(Model):
    async def aclose(self) -> None:
        await trio.sleep_forever()


def test_closing_costs_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "GRACE", 0.05)
    model = ClosedAtOnce()
    assert result_of(model).status == "completed"
    assert model.calls == ["1", "closed"]
    with pytest.warns(ComponentWarning, match=r"tests/model\.aclose\(\) raised ValueError: no such socket"):
        assert result_of(FailsToClose()).status == "completed"
    with pytest.warns(ComponentWarning, match=r"tests/model\.aclose\(\) had not returned after 0\.05 s"):
        assert result_of(NeverCloses()).status == "completed"


class Sessions(Model):
    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[None]:
        self.calls.append("in")
        yield
        self.calls.append("out")


class PlainSessions(Model):
    @contextlib.contextmanager
    def session(self) -> Iterator[None]:
        self.calls.append("in")
        yield
        self.calls.append("out")


class NoSessions(Model):
    def session(self) -> None:
        self.calls.append("in")


def test_a_session_is_a_context_manager_of_either_kind() -> None:
    for kind in (Sessions, PlainSessions):
        model = kind()
        result_of(model)
        assert model.calls == ["in", "1", "out"]
    with pytest.raises(SpecError, match=r"session\(\) returned NoneType, and a context manager is needed"):
        result_of(NoSessions())
