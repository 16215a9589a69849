"""Keys in the environment, an address and a rejected config: a byte search of all that is kept or shown finds none."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from themis import Experiment, GenerationConfig, Reporter, adapters, evaluate
from themis.effects.http_library import httpx
from themis.pure.calls import CallFailed
from themis.pure.errors import LiteralSecretError
from themis.pure.records.config import RuntimeConfig, StorageConfig
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case, Dataset
from themis.testing.endpoint import Answer, Drop, FakeEndpoint, Redirect, Reject, Say, WrongType, flaky

# Built from parts, so that no scanner takes this file for a leak.
KEY = "sk-" + "proj-" + "Zm9vYmFyYmF6cXV4-1234567890"
PASSWORD = "open-" + "sesame-42"
SECRETS = (KEY, PASSWORD)


class Spans:
    """A tracing provider that remembers all it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def start_span(self, name: str, attributes: Mapping[str, Any]) -> object:
        self.told.append((name, dict(attributes)))
        return name

    def end_span(self, span: object, status: str) -> None:
        self.told.append((span, status))


def rows(count: int) -> list[dict[str, object]]:
    return [{"case_id": f"c{i}", "input": f"q {i}", "expected_output": f"echo: q {i}"} for i in range(count)]


def everything(result: Any, folder: Path, spans: Spans, log: str) -> dict[str, bytes]:
    """Return all that is kept or shown of a run, by where it stands."""
    reporter = Reporter(result.store)
    shown = {
        "log": log,
        "spans": repr(spans.told),
        "snapshot": repr(result.snapshot),
        "cases": "".join(map(repr, result.cases)),
        "json": reporter.export_json(result.run_id),
        "markdown": reporter.export_markdown(result.run_id),
        "costs": repr(result.costs()) + repr(result.usage),
    }
    result.store.close()
    files = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert any(path.endswith(".sqlite3") for path in files)
    return {**files, **{name: text.encode() for name, text in shown.items()}}


def assert_clean(texts: Mapping[str, bytes]) -> None:
    assert [(where, secret) for where, text in texts.items() for secret in SECRETS if secret.encode() in text] == []


@pytest.mark.parametrize("place", ["key", "address", "query", "header"])
def test_a_credential_of_the_environment_is_used_and_is_nowhere(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    secret = KEY if place == "key" else PASSWORD
    leaks = [
        Reject(status=400, message=f"Incorrect API key provided: {secret}"),
        Redirect(to=f"http://user:{secret}@h/{secret}"),
        Drop(),
        WrongType(),
        Answer(headers={"x-request-id": f"req-{secret}"}),
        Say(beside={"id": f"id-{secret}", "model": secret, "system_fingerprint": secret}),
    ]
    spans, headers = Spans(), dict[str, str]()
    with FakeEndpoint(script=flaky(0.6, leaks)) as endpoint:
        if place == "key":
            monkeypatch.setenv("OPENAI_API_KEY", KEY)
            monkeypatch.setenv("OPENAI_BASE_URL", endpoint.base_url)
        elif place == "address":
            monkeypatch.setenv("OPENAI_BASE_URL", endpoint.base_url.replace("//", f"//user:{PASSWORD}@"))
        elif place == "query":
            monkeypatch.setenv("OPENAI_BASE_URL", f"{endpoint.base_url}?api_key={PASSWORD}")
        else:
            monkeypatch.setenv("OPENAI_BASE_URL", endpoint.base_url)
            monkeypatch.setenv("GATEWAY_KEY", PASSWORD)
            headers = {"X-Gateway-Auth": "Bearer ${oc.env:GATEWAY_KEY}"}
        model = adapters.openai("tiny", api="chat", headers=headers)
        result = evaluate(
            model=model,
            judge=model,
            data=rows(40),
            metric=["builtin/exact_match", "builtin/llm_rubric"],
            workflow_overrides={"rubric": "good"},
            storage=StorageConfig(store="sqlite", parameters={"path": str(tmp_path / "runs.sqlite3")}),
            runtime=RuntimeConfig(generation_retry_delay=0.001, judge_retry_delay=0.001),
            tracing_provider=spans,
        )
    request = endpoint.log[0].request
    proof = {
        "key": request.headers.get("authorization") == f"Bearer {KEY}",
        "address": request.headers.get("authorization", "").startswith("Basic "),
        "query": request.path.endswith(f"?api_key={PASSWORD}"),
        "header": request.headers.get("x-gateway-auth") == f"Bearer {PASSWORD}",
    }
    assert proof[place]
    assert "HTTP Request" in caplog.text
    found = everything(result, tmp_path, spans, caplog.text)
    assert b"[redacted]" in b"".join(found.values())  # the server did try
    assert_clean({**found, "model": repr(model).encode(), "again": repr(adapters.openai("tiny")).encode()})


def test_the_error_that_stops_a_run_shows_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with FakeEndpoint(script=lambda _: Reject(status=401, message=f"wrong: {KEY}")) as endpoint:
        try:
            evaluate(
                model=adapters.openai("tiny", base_url=endpoint.base_url), data=rows(4), metric="builtin/exact_match"
            )
        except CallFailed as error:
            assert_clean({"traceback": "".join(traceback.format_exception(error)).encode()})
        else:
            pytest.fail("the run went on")


class Careless:
    """A generator that calls an address with a password in it, and lets the client's exception through."""

    component_id = "tests/careless"
    version = "1"

    def __init__(self, url: str) -> None:
        self._url = url

    def fingerprint(self) -> str:
        return "careless"

    async def generate(self, case: Case, ctx: GenerateContext) -> Any:
        async with httpx.AsyncClient() as client:
            (await client.get(self._url, headers={"authorization": f"Bearer {KEY}"})).raise_for_status()
            raise ValueError(f"answered with {KEY}")


def test_exceptions_of_a_components_own_client_are_kept_without_the_address_s_password(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spans = Spans()
    for script in (lambda _: Reject(status=418), lambda _: Answer(), lambda _: Drop()):
        with FakeEndpoint(script=script) as endpoint:
            url = endpoint.base_url.replace("//", f"//user:{PASSWORD}@") + "/models"
            result = evaluate(
                model=Careless(url),
                data=rows(2),
                metric="builtin/exact_match",
                storage=StorageConfig(store="sqlite", parameters={"path": str(tmp_path / "runs.sqlite3")}),
                runtime=RuntimeConfig(generation_retry_delay=0.001),
                tracing_provider=spans,
            )
        assert result.cases[0].generation_failures
        assert_clean(everything(result, tmp_path, spans, ""))


@pytest.mark.parametrize("secret", SECRETS)
def test_a_rejected_config_is_rejected_without_repeating_the_key(secret: str, tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite3"
    for build in (
        lambda: adapters.openai("m", base_url=f"https://user:{secret}@host/v1"),
        lambda: adapters.openai("m", headers={"x-api-key": secret}),
        lambda: Experiment(
            generation=GenerationConfig(generator="builtin/demo_generator"),
            datasets=Dataset(dataset_id="d", cases=[{"case_id": "1", "input": "x"}]),
            storage=StorageConfig(store="sqlite", parameters={"path": str(path), "password": secret}),
        ).run(),
    ):
        with pytest.raises(LiteralSecretError) as caught:
            build()
        assert_clean({"traceback": "".join(traceback.format_exception(caught.value)).encode()})
    assert not path.exists()
