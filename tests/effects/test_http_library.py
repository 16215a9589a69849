"""Calls are made with either HTTP library, chosen in one place, and clients of either may be handed over."""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import Any

import pytest
import trio

from themis import adapters
from themis.effects import http_library
from themis.effects.failures import to_failure
from themis.effects.http_library import LIBRARIES, VARIABLE, chosen
from themis.pure.calls import FailureKind, ProviderError
from themis.pure.errors import SpecError
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case

KEY = "sk-" + "Kq3" * 12
both = pytest.mark.parametrize("library", [pytest.param(name, id=name) for name in LIBRARIES])


def test_httpx_is_used_unless_httpx2_is_named_or_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert chosen() == "httpx"
    monkeypatch.setenv(VARIABLE, "httpx2")
    assert chosen() == "httpx2"
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if name == "httpx2" else None)
    assert chosen() == "httpx2"


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("requests", "THEMIS_HTTP_LIBRARY: httpx or httpx2 expected, found 'requests'"),
        ("httpx2", "THEMIS_HTTP_LIBRARY names httpx2, which is not installed: pip install httpx2"),
        ("", "no HTTP library is installed: pip install httpx"),
    ],
)
def test_what_can_not_be_used_is_named(monkeypatch: pytest.MonkeyPatch, named: str, told: str) -> None:
    monkeypatch.setenv(VARIABLE, named)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SpecError) as caught:
        chosen()
    assert str(caught.value) == told


@both
def test_the_chosen_library_alone_is_loaded(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, library)
    script = (
        "import sys\n"
        "from themis import adapters\n"
        "adapters.openai('m')\n"
        f"print([name for name in {LIBRARIES!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == f"[{library!r}]\n", done.stderr


def asked(library: Any, answer: Any) -> Any:
    """Ask a model through a client of this library, whose every request `answer` answers."""
    client = library.AsyncClient(transport=library.MockTransport(answer))
    model = adapters.openai("tiny", client=client, base_url="https://example.org/v1", api="chat")
    context = GenerateContext(run_id="r", case_id="c", dataset_id="d", case_key="d/c", candidate_id="c-0")

    async def main() -> Any:
        try:
            return await model.generate(Case(case_id="c", input="hello"), context)
        finally:
            await client.aclose()

    return trio.run(main)


@both
def test_a_client_of_either_library_can_be_handed_over(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = importlib.import_module(library)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    body = {"model": "m", "choices": [{"message": {"content": "mocked"}}]}
    assert asked(module, lambda request: module.Response(200, json=body)).final_output == "mocked"


@both
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ConnectTimeout", FailureKind.TIMEOUT),
        ("ReadTimeout", FailureKind.TIMEOUT),
        ("ReadError", FailureKind.CONNECTION),
        ("RemoteProtocolError", FailureKind.CONNECTION),
    ],
)
def test_failures_of_either_library_mean_the_same_and_carry_no_key(
    library: str, name: str, kind: FailureKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    module: Any = importlib.import_module(library)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    def fail(request: Any) -> Any:
        raise getattr(module, name)("broke", request=request)

    with pytest.raises(ProviderError) as caught:
        asked(module, fail)
    assert caught.value.failure.kind is kind
    assert caught.value.__cause__ is caught.value.__context__ is None  # they hold the request, and it the key
    assert to_failure(getattr(module, name)("broke")).kind is kind


def test_an_exception_is_caught_by_its_class_in_each_loaded_library(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in LIBRARIES:
        importlib.import_module(name)
    assert len(http_library.every("TransportError", "InvalidURL")) == 2 * len(LIBRARIES)
    monkeypatch.setitem(sys.modules, "httpx2", None)
    assert len(http_library.every("TransportError")) == 1
