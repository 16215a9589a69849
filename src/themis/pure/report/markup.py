"""HTML, escaped by construction: a text becomes markup only here, and only by being escaped."""

from __future__ import annotations

from html import escape

from themis.pure.text import printable, printable_json


class Markup(str):
    """What is markup already."""

    __slots__ = ()


def text(value: object) -> Markup:
    """Return untrusted text as markup that means nothing but itself, in elements and attributes.

    >>> text("<b onclick='x'>")
    '&lt;b onclick=&#x27;x&#x27;&gt;'
    """
    return Markup(escape(printable(str(value))))


def element(tag: str, *children: str, **attributes: object) -> Markup:
    """Return an element; what is no `Markup`, in it or in its attributes, is text and is escaped.

    An underscore in an attribute's name stands for a hyphen, one at its end for nothing; an empty value leaves it out.

    >>> element("p", "1 < 2", class_="note", aria_label="")
    '<p class="note">1 &lt; 2</p>'
    """
    named = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{text(value)}"' for name, value in attributes.items() if value != ""
    )
    return Markup(f"<{tag}{named}>{joined(*children)}</{tag}>")


def joined(*pieces: str) -> Markup:
    """Return pieces one after the other; what is no `Markup` is text and is escaped."""
    return Markup("".join(piece if isinstance(piece, Markup) else text(piece) for piece in pieces))


def embedded_json(piece: str) -> str:
    r"""Return JSON that can stand in a script block: nothing in it can end the block or open a comment.

    >>> embedded_json('["</script>"]')
    '["\\u003c/script\\u003e"]'
    """
    for character in "<>&":
        piece = piece.replace(character, f"\\u{ord(character):04x}")
    return printable_json(piece)
