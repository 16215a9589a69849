"""Images of a row, as the data URIs or addresses that model endpoints take."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, Final

from themis.pure.benchmarks.columns import RowMisfitError

_SIGNATURES: Final = (
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"RIFF", "image/webp"),
    (b"<svg", "image/svg+xml"),
    (b"<?xml", "image/svg+xml"),
)
_ADDRESSES: Final = ("data:", "http://", "https://")


def with_images(text: str, images: Any) -> Any:
    """Return a case's input: the text alone, or text and images where there are any."""
    found = image_addresses(images)
    return {"text": text, "images": found} if found else text


def image_addresses(images: Any) -> list[str]:
    """Return an image, or each of a list, as a data URI or an address; an empty text is none.

    Raises:
        RowMisfitError: something that is no image.

    >>> image_addresses([b"GIF89a", "https://example.org/a.png", ""])
    ['data:image/gif;base64,R0lGODlh', 'https://example.org/a.png']
    """
    if images is None:
        return []
    several = isinstance(images, Sequence) and not isinstance(images, str | bytes)
    return [address for image in (images if several else [images]) if (address := _address(image))]


def _address(image: Any) -> str:
    if isinstance(image, Mapping):
        # What the hub's libraries write for an image: its bytes, or the path of a file beside the data.
        image = image.get("bytes") or image.get("path")
    if isinstance(image, bytes):
        return _data_uri(image)
    if not isinstance(image, str) or not image.strip():
        return ""
    if image.startswith(_ADDRESSES):
        return image
    try:
        return _data_uri(base64.b64decode(image, validate=True))
    except binascii.Error:
        raise RowMisfitError("images", f"a data URI, an address or base64 expected, found {image[:40]!r}") from None


def _data_uri(content: bytes) -> str:
    media = next((name for start, name in _SIGNATURES if content.startswith(start)), None)
    if media is None:
        raise RowMisfitError("images", f"an image expected, found bytes that start with {content[:8]!r}")
    return f"data:{media};base64,{base64.b64encode(content).decode()}"
