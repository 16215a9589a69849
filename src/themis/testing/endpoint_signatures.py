"""Whether a request is signed as AWS demands: the signature is made again from the request and the secret.

Source: "Create a signed AWS API request" in the IAM user guide at docs.aws.amazon.com.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote

if TYPE_CHECKING:
    from themis.testing.endpoint import Request

_AUTHORIZATION: Final = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<scope>(?P<day>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)"
    r"/aws4_request), SignedHeaders=(?P<headers>[^,]+), Signature=(?P<signature>[0-9a-f]{64})"
)
_OLDEST: Final = timedelta(minutes=5)


def signature_fault(
    request: Request, secrets: Mapping[str, str], *, region: str, service: str, token: str | None = None
) -> str | None:
    """Return what is wrong with a request's signature, or `None`.

    Args:
        request: as the endpoint saw it.
        secrets: the secret keys, by the access keys that are known.
        region, service: what the signature must be for.
        token: the session's token, where the credentials are temporary.
    """
    found = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
    if found is None:
        return "MissingAuthenticationToken"
    if found["key"] not in secrets:
        return "UnrecognizedClientException"
    stamp, signed = request.headers.get("x-amz-date", ""), found["headers"].split(";")
    if (found["region"], found["service"]) != (region, service) or not stamp.startswith(found["day"]):
        return "the scope is another"
    if token is not None and ("x-amz-security-token" not in signed or request.headers["x-amz-security-token"] != token):
        return "InvalidClientTokenId"
    if abs(datetime.now(UTC) - datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)) > _OLDEST:
        return "RequestExpired"
    if not {"host", "x-amz-date"} <= {*signed} or signed != sorted(signed):
        return "the host and the date must be signed"
    digest = hashlib.sha256(_canonical(request, signed).encode()).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{found['scope']}\n{digest}"
    key = f"AWS4{secrets[found['key']]}".encode()
    for part in found["scope"].split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    expected = hmac.new(key, to_sign.encode(), "sha256").hexdigest()
    return None if hmac.compare_digest(expected, found["signature"]) else "SignatureDoesNotMatch"


def _canonical(request: Request, signed: list[str]) -> str:
    path, _, query = request.path.partition("?")
    pairs = sorted((quote(name, safe="~"), quote(value, safe="~")) for name, value in parse_qsl(query, True))
    lines = [
        request.method,
        quote(path, safe="/~"),  # what is encoded already is encoded again, but for S3
        "&".join(f"{name}={value}" for name, value in pairs),
        *(f"{name}:{' '.join(request.headers[name].split())}" for name in signed),
        "",
        ";".join(signed),
        hashlib.sha256(request.body).hexdigest(),
    ]
    return "\n".join(lines)
