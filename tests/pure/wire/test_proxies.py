from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.wire.proxies import is_bypassed


@pytest.mark.parametrize(
    ("no_proxy", "url", "bypassed"),
    [
        ("*", "http://anything/v1", True),
        ("", "http://h/v1", False),
        ("example.org", "https://example.org/v1", True),
        ("example.org", "https://api.example.org/v1", True),
        (".example.org", "https://api.example.org/v1", True),
        ("*.example.org", "https://api.EXAMPLE.org./v1", True),
        ("example.org", "https://notexample.org/v1", False),
        ("example.org:8443", "https://example.org:8443/v1", True),
        ("example.org:8443", "https://example.org/v1", False),
        ("example.org:443", "https://example.org/v1", True),
        ("localhost,127.0.0.1,::1", "http://[::1]:8000/v1", True),
        ("[::1]", "http://[::1]:8000/v1", True),
        ("[::1]:8000", "http://[::1]:8000/v1", True),
        ("[::1]:8001", "http://[::1]:8000/v1", False),
        ("fd07:b51a:cc66:f0::/64", "http://[fd07:b51a:cc66:f0::7]/v1", True),
        ("fe80::/10 10.0.0.0/8", "http://10.20.30.40:8000/v1", True),
        ("10.0.0.0/8", "http://11.0.0.1/v1", False),
        ("10.0.0.1/8", "http://10.9.9.9/v1", True),
        ("127.0.0.1:8000", "http://127.0.0.1:8000/v1", True),
        ("0.0.1", "http://127.0.0.1/v1", False),
        ("::ffff:10.0.0.1", "http://10.0.0.1/v1", False),
        ("10.0.0.1", "http://[::ffff:10.0.0.1]/v1", True),
        ("http://gpu1", "http://gpu1/v1", True),
        ("gpu1;gpu2", "http://gpu2/v1", False),
        (", ,.,*.", "http://gpu2/v1", False),
    ],
)
def test_every_form_of_no_proxy(no_proxy: str, url: str, bypassed: bool) -> None:
    assert is_bypassed(no_proxy, url) is bypassed


NETWORKS: st.SearchStrategy[Any] = st.one_of(
    st.builds(lambda a, n: ipaddress.ip_network((a, n), strict=False), st.ip_addresses(v=4), st.integers(1, 32)),
    st.builds(lambda a, n: ipaddress.ip_network((a, n), strict=False), st.ip_addresses(v=6), st.integers(1, 128)),
)


@given(NETWORKS, st.ip_addresses())
def test_an_address_is_in_a_network_or_it_is_not(
    network: ipaddress.IPv4Network, address: ipaddress.IPv4Address
) -> None:
    host = f"[{address}]" if ":" in str(address) else str(address)
    mapped = getattr(address, "ipv4_mapped", None) or address
    assert is_bypassed(f"x, {network}", f"http://{host}:8000/v1") is (mapped in network)


@given(st.text(max_size=20), st.sampled_from(["http://h/v1", "https://10.0.0.1:3/v1", "http://[::1]/"]))
def test_any_text_is_read(no_proxy: str, url: str) -> None:
    assert is_bypassed(no_proxy, url) in {True, False}
