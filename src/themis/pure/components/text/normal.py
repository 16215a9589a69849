"""Normal forms of answers: what counts as the same text."""

from __future__ import annotations

import unicodedata


def canonical_text(text: str) -> str:
    """Return an answer without case, superfluous blanks and a full stop at the end, in Unicode's form NFKC.

    Case is folded as Unicode says (The Unicode Standard, section 3.13), so that `STRASSE` equals `Straße`.

    >>> canonical_text("  Straße. ")
    'strasse'
    """
    return unicode_text(unicode_text(text).casefold()).removesuffix(".").rstrip()


def unicode_text(text: str) -> str:
    """Return an answer without superfluous blanks, in Unicode's form NFKC: full-width signs and ligatures resolved."""
    return " ".join(unicodedata.normalize("NFKC", text).split())
