"""HTML of ordinary mail, made harmless: rebuilt from a list of elements, with nothing from elsewhere."""

from __future__ import annotations

import base64
import html as entities
import re
from dataclasses import dataclass

import nh3

TAGS = frozenset(
    [
        "a",
        "abbr",
        "b",
        "bdi",
        "blockquote",
        "br",
        "caption",
        "center",
        "code",
        "col",
        "colgroup",
        "dd",
        "del",
        "div",
        "dl",
        "dt",
        "em",
        "figcaption",
        "figure",
        "font",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "i",
        "img",
        "ins",
        "kbd",
        "li",
        "mark",
        "ol",
        "p",
        "pre",
        "q",
        "s",
        "samp",
        "small",
        "span",
        "strike",
        "strong",
        "sub",
        "sup",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "tt",
        "u",
        "ul",
        "var",
    ]
)
#: Goes with all that it holds.
GONE = frozenset(
    [
        "script",
        "style",
        "svg",
        "math",
        "title",
        "template",
        "noscript",
        "iframe",
        "frame",
        "frameset",
        "object",
        "embed",
        "applet",
        "form",
        "input",
        "button",
        "select",
        "textarea",
        "option",
        "audio",
        "video",
        "source",
        "track",
        "canvas",
        "link",
        "meta",
        "base",
        "head",
        "portal",
    ]
)
_TABLE = ("table", "tbody", "thead", "tfoot", "tr", "td", "th", "col", "colgroup")
_LAYOUT = frozenset(
    [
        "align",
        "valign",
        "width",
        "height",
        "colspan",
        "rowspan",
        "cellpadding",
        "cellspacing",
        "border",
        "dir",
    ]
)
ATTRIBUTES = {tag: set(_LAYOUT) for tag in _TABLE} | {
    "a": {"href"},
    "img": {"src", "alt", "width", "height", "title"},
    "ol": {"start"},
    "font": {"color", "size"},
    "p": {"align", "dir"},
    "div": {"align", "dir"},
    "span": {"dir"},
}
#: Of all pictures in the frame together: one may be named there as often as its sender likes.
MOST_PICTURE_OCTETS = 2_000_000
#: Begins a new line where a mail is read without its design.
_BREAKS = re.compile(r"<(?=br|/p|/div|/tr|/li|/h[1-6])", re.IGNORECASE)


@dataclass(frozen=True)
class CleanHtml:
    """`left_out` counts the pictures that would have come from elsewhere."""

    html: str
    left_out: int


def clean(html: str, pictures: dict[str, tuple[str, bytes]]) -> CleanHtml:
    """What may stand in the frame. Of pictures only those that came with the mail are kept, as data: URLs.

    Cleaning its own result changes nothing but that such pictures count as from elsewhere.
    """
    left_out, room = 0, MOST_PICTURE_OCTETS

    def attribute(tag: str, name: str, value: str) -> str | None:
        nonlocal left_out, room
        if (tag, name) == ("a", "title"):
            # It would be read as where the link leads.
            return None
        if (tag, name) != ("img", "src"):
            return value
        scheme, _colon, content_id = value.strip().partition(":")
        media_type, octets = pictures.get(content_id, ("", b"")) if scheme.lower() == "cid" else ("", b"")
        if octets and len(octets) <= room:
            room -= len(octets)
            return f"data:{media_type};base64,{base64.b64encode(octets).decode()}"
        left_out += 1
        return None

    cleaned = nh3.clean(
        html,
        tags=set(TAGS),
        clean_content_tags=set(GONE),
        attributes=ATTRIBUTES,
        attribute_filter=attribute,
        url_schemes={"http", "https", "mailto", "cid"},
        link_rel="noopener noreferrer nofollow",
        strip_comments=True,
    )
    return CleanHtml(cleaned, left_out)


def text_of(html: str) -> str:
    """The words of HTML alone, for those who do not want to see it as designed."""
    broken = _BREAKS.sub("\n<", html)
    bare = nh3.clean(broken, tags=set(), clean_content_tags=set(GONE), attributes={}, strip_comments=True)
    lines = [" ".join(line.split()) for line in entities.unescape(bare).splitlines()]
    return "\n".join(
        line for line, before in zip(lines, ["", *lines], strict=False) if line or before
    ).strip()
