"""Requests to Amazon Bedrock that are signed with AWS credentials (Signature Version 4), by botocore (extra `bedrock`).

The credentials come from botocore's usual chain when a call is made: environment, profile, single sign-on, container,
instance. They are in no record, and neither they nor what the server says of them is in a message.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import attrs
import trio

from themis.effects.providers.http import Endpoint
from themis.pure.calls import CallFailure, FailureKind, ProviderError
from themis.pure.errors import pip_install

if TYPE_CHECKING:
    from botocore.credentials import Credentials

_SERVICE: Final = "bedrock"
_EXTRA: Final = pip_install("bedrock")
_HEADERS: Final = frozenset({"authorization", "x-amz-date", "x-amz-security-token"})


@attrs.frozen(kw_only=True, cache_hash=True)
class SignedEndpoint(Endpoint):
    """An endpoint of AWS: with a bearer key if there is one, else each request is signed.

    Attributes:
        region: what the signature is for.
        profile: of AWS's configuration files; the usual one if not given.
    """

    region: str = ""
    profile: str | None = None

    def _missing_credential(self) -> str | None:
        if not self.key_needed or self._key():
            return None
        unset = f"{self.key_env} is not set, and requests can't be signed with AWS credentials"
        if not installed():
            return f"{unset}: botocore is not installed; {_EXTRA}"
        if not self.region:
            return f"{unset}: no region is known; set AWS_REGION"
        from botocore.exceptions import BotoCoreError

        try:
            found = _credentials(self.profile, _environment())
        except BotoCoreError as error:
            return f"{unset}: {error}"
        return None if found else f"{unset}: botocore finds none in the environment, a profile or this machine's role"

    async def authorization(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> dict[str, str]:
        found = await trio.to_thread.run_sync(self.credentials)  # looks into files, and may ask the machine's role
        if found or not self.key_needed:
            return found
        return await trio.to_thread.run_sync(self._signature, method, url, headers, body)

    def _signature(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> dict[str, str]:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.exceptions import BotoCoreError

        problem = "they are gone"
        try:
            found = _credentials(self.profile, _environment())
            frozen = None if found is None else found.get_frozen_credentials()
        except BotoCoreError as error:  # single sign-on has run out, say
            frozen, problem = None, str(error)
        if frozen is None:
            message = f"the AWS credentials can't be used: {problem}"
            raise ProviderError(CallFailure(kind=FailureKind.CREDENTIALS, message=message))
        _used[self] = tuple(filter(None, (frozen.access_key, frozen.secret_key, frozen.token)))
        # What else is sent, a proxy may change.
        signed = {name: value for name, value in headers.items() if name == "content-type"}
        request = AWSRequest(method=method, url=url, data=body, headers=signed)
        SigV4Auth(frozen, _SERVICE, self.region).add_auth(request)
        return {name.lower(): value for name, value in request.headers.items() if name.lower() in _HEADERS}

    def _secrets(self) -> list[str]:
        # A server that refuses a signature repeats what it was made of, the session's token included.
        return [*super()._secrets(), *_used.get(self, ())]


_used: dict[SignedEndpoint, tuple[str, ...]] = {}
"""What the last request to each endpoint was signed with, to be kept out of texts."""


class _Redaction(logging.Filter):
    """Takes credentials out of botocore's logs: it writes what it signs, the session's token included."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        for endpoint in [*_used]:
            text = endpoint.redact(text)
        record.msg, record.args = text, None
        return True


logging.getLogger("botocore.auth").addFilter(_Redaction())


def installed() -> bool:
    return importlib.util.find_spec("botocore") is not None


def configured_region(profile: str | None) -> str:
    """Return the region of a profile in AWS's configuration files, if there is one."""
    if not installed():
        return ""
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    try:
        return str(Session(profile=profile).get_config_variable("region") or "")
    except BotoCoreError:  # no such profile, which `missing_key` reports
        return ""


def _environment() -> tuple[tuple[str, str], ...]:
    return tuple(sorted(pair for pair in os.environ.items() if pair[0].startswith("AWS_")))


@functools.lru_cache(maxsize=8)
def _credentials(profile: str | None, environment: tuple[tuple[str, str], ...]) -> Credentials | None:
    """Return botocore's credentials, which renew themselves; looked for again when the environment has changed."""
    from botocore.session import Session

    return Session(profile=profile).get_credentials()
