"""Which addresses a proxy is not used for, in all forms that `NO_PROXY` is written in.

The rule: entries are separated by commas or blanks; `*` is every address; a name stands for itself and for what is
below it, with or without a leading dot or `*.`; an address is compared as an address, with or without brackets; both
may end in a port, and then count for that port; a network is written with its prefix. What is none of these matches
nothing.

Sources: curl's CURLOPT_NOPROXY, Go's golang.org/x/net/http/httpproxy. httpx (0.28) fails at `[::1]` and at networks of
IPv6 (encode/httpx, issue 3221), and knows no network of IPv4.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

_PORTS: Final = {"http": 80, "https": 443}
_BRACKETED: Final = re.compile(r"\[(?P<host>[^]]*)\](?::(?P<port>\d+))?")
_WITH_PORT: Final = re.compile(r"(?P<host>[^:/]+):(?P<port>\d+)")


def is_bypassed(no_proxy: str, url: str) -> bool:
    """Tell whether an address is reached without a proxy.

    >>> [is_bypassed("[::1], 10.0.0.0/8 .lab.org", f"http://{host}/v1") for host in ("[::1]:80", "10.2.3.4", "lab.com")]
    [True, True, False]
    """
    parts = urlsplit(url)
    host, port = _plain(parts.hostname or ""), parts.port or _PORTS.get(parts.scheme)
    return any(_matches(entry, host, port) for entry in re.split(r"[,\s]+", no_proxy) if entry)


def _plain(host: str) -> str:
    return host.casefold().rstrip(".").partition("%")[0]


def _matches(entry: str, host: str, port: int | None) -> bool:
    if entry == "*":
        return True
    entry = entry.rpartition("://")[2]
    found = _BRACKETED.fullmatch(entry) or _WITH_PORT.fullmatch(entry)
    if found is not None:
        if found["port"] and int(found["port"]) != port:
            return False
        entry = found["host"]
    entry = _plain(entry)
    address = _address(host)
    if address is not None:
        try:
            return address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    name = entry.removeprefix("*").removeprefix(".")
    return bool(name) and (host == name or host.endswith("." + name))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
