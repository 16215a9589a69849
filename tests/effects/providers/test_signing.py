"""Signed requests to Bedrock: botocore signs, and the endpoint makes the signature again from what it was sent."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from themis import StorageConfig, adapters, evaluate
from themis.effects.providers.clouds import BedrockModel, build_bedrock
from themis.effects.providers.signing import SignedEndpoint
from themis.pure.calls import CallFailed, FailureKind, ProviderError, classify
from themis.pure.errors import SpecError
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case
from themis.testing.endpoint import Answer, FakeEndpoint, Play, Reject, Request, Say
from themis.testing.endpoint_signatures import signature_fault

KEY, SECRET, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "FwoGZXIvYXdzEXAMPLE/token+=="
MODEL = "anthropic.claude-3-5-sonnet-20241022-v2:0"
CONTEXT = GenerateContext(run_id="r", case_id="a", dataset_id="d", case_key="d/a", candidate_id="a:0", seed=5)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of this machine's counts: no variables, no files, no role."""
    for name in ("KEY", "SECRET", "SESSION_TOKEN", "PROFILE", "REGION", "DEFAULT_REGION", "BEARER_TOKEN_BEDROCK"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "BEDROCK_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


def use_keys(monkeypatch: pytest.MonkeyPatch, *, token: str | None = None, secret: str = SECRET) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    if token is not None:
        monkeypatch.setenv("AWS_SESSION_TOKEN", token)


def verifying(request: Request, *, token: str | None = None) -> Play:
    fault = signature_fault(request, {KEY: SECRET}, region="us-east-1", service="bedrock", token=token)
    return Answer() if fault is None else Reject(status=403, code=fault, message=f"{fault}: {dict(request.headers)}")


def at(endpoint: FakeEndpoint, **options: Any) -> BedrockModel:
    return build_bedrock(MODEL, base_url=endpoint.base_url, **{"region": "us-east-1", **options})


def ask(model: BedrockModel, text: str = "hello") -> Any:
    return trio.run(model.generate, Case(case_id="a", input=text), CONTEXT)


@pytest.mark.parametrize("token", [None, TOKEN])
@pytest.mark.parametrize("text", ["hello", "ü 你好 \n %3A"])
def test_a_request_is_signed_with_the_environments_credentials(
    token: str | None, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_keys(monkeypatch, token=token)
    with FakeEndpoint(script=lambda request: verifying(request, token=token)) as endpoint:
        assert ask(at(endpoint), text).final_output == f"echo: {text}"
    (served,) = endpoint.log
    assert "%3A" in served.request.path
    assert served.request.headers["authorization"].startswith(f"AWS4-HMAC-SHA256 Credential={KEY}/")


def test_credentials_and_region_come_from_a_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "credentials").write_text(
        f"[lab]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n", encoding="utf-8"
    )
    (tmp_path / "config").write_text("[profile lab]\nregion = us-east-1\n", encoding="utf-8")
    assert build_bedrock(MODEL, profile="lab").endpoint.host == "bedrock-runtime.us-east-1.amazonaws.com"
    monkeypatch.setenv("AWS_PROFILE", "lab")
    assert build_bedrock(MODEL).check() == ()
    with FakeEndpoint(script=verifying) as endpoint:
        assert ask(at(endpoint)).final_output == "echo: hello"


def test_a_bearer_key_is_sent_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    use_keys(monkeypatch)
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "bearer-key")
    with FakeEndpoint() as endpoint:
        ask(at(endpoint))
    (served,) = endpoint.log
    assert served.request.headers["authorization"] == "Bearer bearer-key"
    assert "x-amz-date" not in served.request.headers


def test_the_signature_changes_nothing_of_the_models_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    before = build_bedrock(MODEL, region="us-east-1")
    use_keys(monkeypatch, token=TOKEN)
    after = build_bedrock(MODEL, region="us-east-1", profile="lab")
    assert before.fingerprint() == after.fingerprint()
    assert SECRET not in str(after.describe())


def test_a_wrong_secret_stops_the_run_and_is_in_no_message(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """AWS repeats what it would have signed, the session's token included."""
    caplog.set_level(logging.DEBUG)
    wrong = "another/secret+entirely"
    use_keys(monkeypatch, token=TOKEN, secret=wrong)
    with FakeEndpoint(script=lambda request: verifying(request, token=TOKEN)) as endpoint:
        with pytest.raises(CallFailed) as caught:
            evaluate(
                model=at(endpoint),
                data=[{"input": "x", "expected_output": "y"}],
                metric="builtin/exact_match",
                storage=StorageConfig(store="jsonl", parameters={"path": str(tmp_path / "runs")}),
            )
        assert caught.value.fatal
        assert "SignatureDoesNotMatch" in str(caught.value)
        assert len(endpoint.log) == 1
    stored = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "runs").rglob("*.jsonl"))
    for text in (str(caught.value), caplog.text, stored):
        assert not [secret for secret in (wrong, TOKEN, KEY) if secret in text]


def test_expired_credentials_are_classified(monkeypatch: pytest.MonkeyPatch) -> None:
    use_keys(monkeypatch)
    play = Say(status=403, body={"message": "The security token included in the request is expired"})
    with FakeEndpoint(script=lambda _: play) as endpoint, pytest.raises(ProviderError) as caught:
        ask(at(endpoint))
    assert classify(caught.value.failure).fatal


# --- refused before anything runs -------------------------------------------------------------------------


def refusal(**options: Any) -> str:
    with FakeEndpoint() as endpoint:
        with pytest.raises(SpecError) as caught:
            evaluate(
                model=at(endpoint, **options),
                data=[{"input": "x", "expected_output": "y"}],
                metric="builtin/exact_match",
            )
        assert not endpoint.log
    return str(caught.value)


def test_without_credentials_nothing_runs() -> None:
    assert "AWS_BEARER_TOKEN_BEDROCK is not set" in refusal()
    assert "finds none in the environment" in refusal()


def test_half_of_a_key_and_an_unknown_profile_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "(nobody) could not be found" in refusal(profile="nobody")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    assert "Partial credentials" in refusal()


def test_without_the_extra_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    use_keys(monkeypatch)
    monkeypatch.setitem(sys.modules, "botocore", None)
    assert "pip install 'themis-evals[bedrock]'" in refusal()


def test_a_header_whose_variable_is_not_set_is_missing_whatever_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    use_keys(monkeypatch)
    monkeypatch.delenv("GATEWAY_KEY", raising=False)
    with FakeEndpoint() as endpoint:
        assert not at(endpoint).check()
        (fault,) = at(endpoint, headers={"x-gateway-key": "${oc.env:GATEWAY_KEY}"}).check()
    assert "GATEWAY_KEY is not set; the header x-gateway-key holds it" in fault


def test_a_region_is_asked_for() -> None:
    with pytest.raises(SpecError, match="set AWS_REGION or region"):
        adapters.from_model_string(f"bedrock/{MODEL}")
    with pytest.raises(SpecError, match="region: text expected"):
        build_bedrock(MODEL, region=3)  # type: ignore[arg-type]  # what a config may say


def test_credentials_that_vanish_during_a_run_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = SignedEndpoint(base_url="https://h/v1", key_env="NO_KEY", region="us-east-1")
    with pytest.raises(ProviderError) as caught:
        endpoint._signature("POST", "https://h/v1/x", {}, b"")
    assert caught.value.failure.kind is FailureKind.CREDENTIALS


# --- the endpoint's own judgment --------------------------------------------------------------------------


@given(
    st.sampled_from(["method", "path", "body", "host", "x-amz-date", "region", "secret", "token"]),
    st.text("abc", min_size=1),
)
def test_whatever_is_changed_breaks_the_signature(what: str, text: str) -> None:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    url = "https://host.example/model/a%3A0/converse?b=2&a=1%2F"
    aws = AWSRequest(method="POST", url=url, data=b"{}", headers={"content-type": "application/json"})
    SigV4Auth(Credentials(KEY, SECRET, TOKEN).get_frozen_credentials(), "bedrock", "us-east-1").add_auth(aws)
    headers = {name.lower(): value for name, value in aws.headers.items()} | {"host": "host.example"}
    path = "/model/a%3A0/converse?b=2&a=1%2F"
    request = Request(method="POST", path=path, headers=headers, body=b"{}", attempt=1, in_flight=1, at_s=0)
    known = {"secrets": {KEY: SECRET}, "region": "us-east-1", "service": "bedrock", "token": TOKEN}
    assert signature_fault(request, **known) is None  # type: ignore[arg-type]  # a dictionary of keywords
    if what in {"region", "token"}:
        known[what] = f"{known[what]}{text}"
    elif what == "secret":
        known["secrets"] = {KEY: SECRET + text}
    elif what in headers:
        request = attrs.evolve(request, headers={**headers, what: headers[what] + text})
    else:
        changed = getattr(request, what)
        request = attrs.evolve(request, **{what: changed + (text.encode() if what == "body" else text)})
    fault = None
    try:
        fault = signature_fault(request, **known)  # type: ignore[arg-type]  # the same
    except ValueError:
        fault = "the date is none"
    assert fault is not None
