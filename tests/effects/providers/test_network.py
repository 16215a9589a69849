"""Faults of the environment say what they are, before the first case."""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
import trio

from themis import RuntimeConfig, adapters, evaluate
from themis.effects.http_library import httpx
from themis.effects.providers.network import connection_failure, proxy_for
from themis.pure.calls import CallFailed, FailureKind
from themis.pure.errors import SpecError
from themis.testing.endpoint import FakeEndpoint

TLS = Path(__file__).parent / "tls"
ROWS = [{"input": str(number), "expected_output": f"echo: {number}"} for number in range(20)]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def server(name: str = "server") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / f"{name}.pem", TLS / f"{name}.key")
    return context


def run(base_url: str, **options: Any) -> Any:
    return evaluate(
        model=adapters.openai("tiny", base_url=base_url, **options),
        data=ROWS,
        metric="builtin/exact_match",
        runtime=RuntimeConfig(generation_retry_delay=0.0),
    )


def stopped(base_url: str, **options: Any) -> str:
    with pytest.raises(CallFailed) as caught:
        run(base_url, **options)
    assert caught.value.fatal
    assert caught.value.failure.kind is FailureKind.ENVIRONMENT
    return str(caught.value)


# --- certificates -----------------------------------------------------------------------------------------


def test_a_certificate_that_is_not_trusted_stops_the_run_and_names_the_option(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeEndpoint(tls=server()) as endpoint:
        told = stopped(endpoint.base_url)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(TLS / "server.pem"))
        assert "REQUESTS_CA_BUNDLE is not read" in stopped(endpoint.base_url)
        assert endpoint.log == []
    assert "self-signed certificate" in told
    assert "ca_file=" in told
    assert "SSL_CERT_FILE" in told


def test_a_certificate_for_another_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeEndpoint(tls=server("elsewhere")) as endpoint:
        assert "not valid for '127.0.0.1'" in stopped(endpoint.base_url, ca_file=str(TLS / "elsewhere.pem"))


def test_the_authority_is_named_by_an_option_or_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeEndpoint(tls=server()) as endpoint:
        plain = adapters.openai("tiny", base_url=endpoint.base_url)
        named = adapters.openai("tiny", base_url=endpoint.base_url, ca_file=str(TLS / "server.pem"))
        assert named.fingerprint() == plain.fingerprint()  # who vouches for the server changes no answer
        assert run(endpoint.base_url, ca_file=str(TLS / "server.pem")).status == "completed"
        monkeypatch.setenv("SSL_CERT_FILE", str(TLS / "server.pem"))
        assert run(endpoint.base_url).status == "completed"


@pytest.mark.parametrize("by_option", [True, False])
def test_a_certificate_file_that_is_none_is_told_before_the_run(
    by_option: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("no certificate")
    for path, words in ((tmp_path / "gone.pem", "does not exist"), (empty, "no certificate in PEM form")):
        if not by_option:
            monkeypatch.setenv("SSL_CERT_FILE", str(path))
        with FakeEndpoint() as endpoint, pytest.raises(SpecError) as caught:
            run(endpoint.base_url, **({"ca_file": str(path)} if by_option else {}))
        assert ("ca_file" if by_option else "SSL_CERT_FILE") + f" names {str(path)!r}" in str(caught.value)
        assert words in str(caught.value)
        assert endpoint.log == []


def test_a_server_without_tls_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    connection.close()

        threading.Thread(target=answer, daemon=True).start()
        assert "does not speak TLS" in stopped(f"https://127.0.0.1:{listener.getsockname()[1]}/v1")
        listener.shutdown(socket.SHUT_RDWR)


# --- names and routes -------------------------------------------------------------------------------------


def test_a_name_that_cannot_be_resolved_stops_the_run_and_is_named() -> None:
    told = stopped("http://no-such-host.invalid:8000/v1")
    assert "no-such-host.invalid:8000 can't be resolved" in told


@pytest.mark.parametrize("code", [errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN])
def test_no_route_is_told_and_passes_once_the_endpoint_has_answered(code: int) -> None:
    error = httpx.ConnectError("all attempts failed")
    error.__cause__ = OSError("all attempts failed")
    error.__cause__.__cause__ = ExceptionGroup("attempts", [OSError(code, "unreachable")])
    first = connection_failure(error, "https://h/v1", has_answered=False)
    assert (first.kind, "no route to h" in first.message) == (FailureKind.ENVIRONMENT, True)
    assert connection_failure(error, "https://h/v1", has_answered=True).kind is FailureKind.CONNECTION


def test_a_server_that_is_not_started_yet_is_tried_again() -> None:
    error = httpx.ConnectError("all attempts failed")
    error.__cause__ = ExceptionGroup("attempts", [ConnectionRefusedError(errno.ECONNREFUSED, "refused")])
    assert connection_failure(error, "http://h/v1", has_answered=False).kind is FailureKind.CONNECTION


def test_a_name_that_is_lost_in_the_middle_of_a_run_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    resolve = trio.socket.getaddrinfo
    late = 5  # four calls are made at first

    async def flaky(host: Any, *rest: Any, **options: Any) -> Any:
        tried.append(str(host))
        if len(tried) == late:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return await resolve(host, *rest, **options)

    monkeypatch.setattr("trio._highlevel_open_tcp_stream.getaddrinfo", flaky)
    with FakeEndpoint(latency_s=0.05) as endpoint:
        result = run(endpoint.base_url.replace("127.0.0.1", "localhost"))
    assert len(tried) > late
    assert result.benchmark.outcome_counts["builtin/exact_match"]["correct"] == len(ROWS)


# --- proxies ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "no_proxy", ["127.0.0.1", "127.0.0.0/8", "[::1],127.0.0.1", "fe80::/10, 127.0.0.0/8", "*", "::1 *"]
)
def test_no_proxy_counts_in_every_form(no_proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    with FakeEndpoint() as endpoint:
        assert run(endpoint.base_url).status == "completed"


@pytest.mark.parametrize("no_proxy", ["fd07:b51a:cc66:f0::/64", "[::1]", "nonsense:::", "::1"])
def test_forms_of_no_proxy_never_break_a_run(no_proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", no_proxy)
    with FakeEndpoint() as endpoint:
        assert run(endpoint.base_url).status == "completed"


def test_calls_go_through_the_proxy_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeEndpoint() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.base_url.removesuffix("/v1").removeprefix("http://"))
        assert run("http://models.invalid/v1").status == "completed"
    assert proxy.log[0].request.path == "http://models.invalid/v1/chat/completions"


def test_a_dead_proxy_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://me:pass-word@127.0.0.1:1")
    told = stopped("http://models.invalid/v1")
    assert "http://127.0.0.1:1 (ALL_PROXY)" in told
    assert "pass-word" not in told
    assert "pass-word" not in repr(proxy_for("http://models.invalid/v1"))


def test_a_password_with_a_slash_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://me:pass/word@proxy:3128")
    found = proxy_for("http://models.invalid/v1")
    assert found is not None
    assert found.shown == "http://proxy:3128 (ALL_PROXY)"


@pytest.mark.parametrize(
    "address", ["socks://127.0.0.1:7890", "ftp://proxy", "http://", "http://proxy:port", "http://[x"]
)
def test_a_proxy_that_is_none_is_told_before_the_run(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", address)
    with FakeEndpoint() as endpoint, pytest.raises(SpecError, match="HTTP_PROXY") as caught:
        run(endpoint.base_url)
    assert "no address of a proxy" in str(caught.value)


def test_all_faults_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks://127.0.0.1:7890")
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file.pem")
    with pytest.raises(SpecError) as caught:
        evaluate(model="openai/gpt-4o", data=ROWS, metric="builtin/exact_match")
    for named in ("OPENAI_API_KEY", "HTTPS_PROXY", "SSL_CERT_FILE"):
        assert named in str(caught.value)
