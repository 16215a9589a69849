"""The way to an endpoint, as the environment has it: certificates and proxies; and what a failed connection means.

The rule: **a fault of the environment says what it is**, with the variable or option that it comes from, and what to
do. What shows without a connection (a certificate file that is not there, a proxy that is none) is told before the run
begins; what the first connection shows (a certificate that is not trusted, a name that can't be resolved, no route, a
dead proxy) ends the run at once, before any case is done. Once an endpoint has answered, the same faults are passing
ones, as when a laptop wakes up, and are tried again like any failed connection.
"""

from __future__ import annotations

import errno
import functools
import importlib.util
import os
import socket
import ssl
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies

import attrs

from themis.effects.http_library import every, httpx
from themis.pure.calls import CallFailure, FailureKind
from themis.pure.wire.proxies import is_bypassed

_PROXY_SCHEMES: Final = ("http", "https", "socks5", "socks5h")
_NO_ROUTE: Final = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL})
_CERTIFICATES: Final = {"SSL_CERT_FILE": "cafile", "SSL_CERT_DIR": "capath"}
"""The variables that Python's `ssl` reads, and httpx and httpx2 after it."""
_NOT_READ: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@attrs.frozen(kw_only=True)
class Proxy:
    """A proxy, and the variable that names it; its address may hold a password."""

    url: str = attrs.field(repr=False)
    variable: str

    @property
    def address(self) -> str:
        """The address without its credentials; whatever is there, it has one."""
        scheme, _, rest = self.url.partition("://")
        return f"{scheme.lower()}://{rest.rpartition('@')[2].partition('/')[0]}"

    @property
    def shown(self) -> str:
        return f"{self.address} ({self.variable})"


def proxy_for(url: str) -> Proxy | None:
    """Return the proxy that the environment names for an address, by the scheme or for all."""
    proxies = getproxies()
    if is_bypassed(proxies.get("no", ""), url):
        return None
    for name in (urlsplit(url).scheme, "all"):
        found = proxies.get(name, "").strip()
        if found:
            return Proxy(url=found if "://" in found else f"http://{found}", variable=f"{name.upper()}_PROXY")
    return None


def network_faults(url: str, ca_file: str | None) -> Iterator[str]:
    """Yield what makes every connection to an address fail, as far as it shows without one."""
    for origin, path in _certificates(ca_file):
        fault = _certificate_fault(path)
        if fault:
            yield f"{origin} names {path!r}, {fault}; correct it, or leave it out"
    proxy = proxy_for(url)
    if proxy is None:
        return
    if not is_address(proxy.url):
        yield (
            f"{proxy.variable}: {proxy.address!r} is no address of a proxy; one like "
            f"http://proxy:3128 expected, with {', '.join(_PROXY_SCHEMES)}"
        )
    elif proxy.url.casefold().startswith("socks") and importlib.util.find_spec("socksio") is None:
        yield f"{proxy.variable} names a SOCKS proxy, which needs a library: pip install socksio"


def is_address(url: str, schemes: Collection[str] = _PROXY_SCHEMES) -> bool:
    """Tell whether a text is an address with a host, and a port that can be one."""
    try:
        parts = urlsplit(url)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _certificates(ca_file: str | None) -> list[tuple[str, str]]:
    if ca_file is not None:
        return [("ca_file", ca_file)]
    return [(name, value) for name in _CERTIFICATES if (value := os.environ.get(name, ""))]


def _certificate_fault(path: str) -> str | None:
    found = Path(path).expanduser()
    if not found.exists():
        return "which does not exist"
    try:
        if found.is_file():
            now = found.stat()
            _read_certificates(found, now.st_mtime_ns, now.st_ctime_ns, now.st_size)
    except ssl.SSLError:
        return "which holds no certificate in PEM form"
    except OSError as error:
        return f"which can't be read ({error.strerror})"
    return None


@functools.lru_cache(maxsize=16)
def _read_certificates(file: Path, *_version: int) -> None:
    # Takes 20 ms, and is asked at every new connection; a failure is not kept.
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)


def tls_settings(ca_file: str | None) -> ssl.SSLContext:
    """Return how certificates are verified: by `ca_file`, else by what the environment names, else as usual."""
    named = {} if ca_file is not None else {name: os.environ.get(name, "") for name in _CERTIFICATES}
    return _tls_settings(ca_file, *named.values())


@functools.cache
def _tls_settings(ca_file: str | None, cert_file: str = "", cert_dir: str = "") -> ssl.SSLContext:
    # Reading the certificate authorities takes 20 ms; once per process is enough.
    path = ca_file or cert_file or cert_dir
    if not path:
        return httpx.create_ssl_context(trust_env=False)
    found = Path(path).expanduser()
    return ssl.create_default_context(capath=found) if found.is_dir() else ssl.create_default_context(cafile=found)


class CloseOnFailure:
    """Closes a connection whose TLS handshake fails, which httpcore (1.0, on trio) leaves open: one for each call.

    It is handed over as httpcore's extension `trace`.
    """

    def __init__(self) -> None:
        self._opened: Any = None

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        if event.endswith("connect_tcp.complete"):
            self._opened = info["return_value"]
        elif event.endswith("start_tls.failed") and self._opened is not None:
            await self._opened.aclose()


def connection_failure(error: Exception, url: str, *, has_answered: bool) -> CallFailure:
    """Say what a failed connection means.

    Args:
        error: what the HTTP client raised.
        url: the address of the endpoint.
        has_answered: whether it has answered before, in this run.
    """
    host, proxy = urlsplit(url).netloc, proxy_for(url)
    words = _meaning(error, host, proxy)
    if words is None:
        return CallFailure(kind=FailureKind.CONNECTION, message=f"{type(error).__name__} at {host}: {error}")
    kind = FailureKind.CONNECTION if has_answered else FailureKind.ENVIRONMENT
    return CallFailure(kind=kind, message=words)


def _meaning(error: Exception, host: str, proxy: Proxy | None) -> str | None:
    causes = [*_causes(error)]
    whom = host if proxy is None else f"the proxy {proxy.shown} on the way to {host}"
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _untrusted(cause, host)
        if isinstance(cause, ssl.SSLError) and cause.reason in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"}:
            return f"{host} does not speak TLS; is its address http://, without the s?"
        if isinstance(cause, socket.gaierror):
            return f"the name of {whom} can't be resolved ({cause.strerror}); check the address, and the network"
        if isinstance(cause, OSError) and cause.errno in _NO_ROUTE:
            return f"there is no route to {whom} ({cause.strerror}); check the network, a VPN, and HTTPS_PROXY"
    if isinstance(error, every("ProxyError")) or (proxy is not None and isinstance(error, every("ConnectError"))):
        return (
            f"{whom} can't be used: {error}; correct the variable, or name {urlsplit('//' + host).hostname} in NO_PROXY"
        )
    return None


def _untrusted(error: ssl.SSLCertVerificationError, host: str) -> str:
    unread = [name for name in _NOT_READ if os.environ.get(name)]
    hint = f" ({unread[0]} is not read)" if unread else ""
    return (
        f"the certificate of {host} can't be verified: {error.verify_message or error}; if you trust the server, "
        f"name the file of its certificate authority: ca_file='...', or SSL_CERT_FILE in the environment{hint}"
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and all that led to it, groups opened."""
    seen: list[BaseException | None] = [error]
    while seen:
        current = seen.pop()
        if current is not None:
            yield current
            seen += [current.__cause__ or current.__context__]
            seen += list(current.exceptions) if isinstance(current, BaseExceptionGroup) else ()
