"""Text for people: one set of characters is harmless, on every page and in every terminal."""

from __future__ import annotations

import json
import unicodedata
from importlib import resources

from hypothesis import given
from hypothesis import strategies as st

from themis.pure.json import formatted
from themis.pure.text import one_line, printable, shortened

any_text = st.text(st.characters(exclude_categories=()))


@given(any_text)
def test_nothing_that_steers_a_display_is_left(text: str) -> None:
    shown = printable(text)
    left = {char for char in shown if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    assert left <= set("\n\t\u200c\u200d")
    shown.encode()  # it has no lone surrogate
    assert printable(shown) == shown
    if text.isprintable():
        assert shown == text


@given(any_text)
def test_json_decodes_to_the_same_and_steers_nothing(text: str) -> None:
    written = formatted({text: [text]})
    assert json.loads(written) == {text: [text]}
    assert printable(written) == written


def test_scripts_and_emoji_keep_their_joiners() -> None:
    for text in ("नमस\u200cते", "👩\u200d👩\u200d👧", "a\tb\nc"):
        assert printable(text) == text
    assert printable("a\u200bb\U000e0041\ud800\r") == r"a\u200bb\U000e0041\ud800\r"


def test_the_page_writes_out_the_same_characters() -> None:
    script = resources.files("themis.pure.report").joinpath("page.js").read_text(encoding="utf-8")
    assert r"STEERING = /(?![\n\t\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu" in script


@given(any_text)
def test_one_line_is_one_line(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1
    assert "\t" not in one_line(text)


@given(st.text(), st.integers(3, 30))
def test_shortened_text_is_as_long_as_may_be(text: str, most: int) -> None:
    short = shortened(text, most)
    assert len(short) == min(len(text), most)
    assert short == text or (short.endswith("...") and text.startswith(short[:-3]))
