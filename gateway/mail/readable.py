"""The text of a body as a person reads it: decoded, and without the markup of HTML.

Source: RFC 2045 §6 (transfer encodings), RFC 2046 §4.1 (text), WHATWG HTML (which elements show no text).
"""

import html
import re
from typing import Final

from gateway.mail.headers import to_text
from gateway.mail.summary import PartSummary
from gateway.mail.transfer import decode

# Of one part; a search looks no further. A book has about a million characters.
TEXT_OCTETS_MAX: Final = 4 * 1024 * 1024

# RFC 8970 §3.1: that many characters are shown before a message is opened.
PREVIEW_CHARACTERS: Final = 200

# Elements whose content nobody reads, up to their end tag; with none, up to the end (HTML §13.2.5, EOF).
_HIDDEN: Final = {
    name: re.compile(f"</{name}", re.IGNORECASE) for name in ("script", "style", "template", "title")
}
# Elements that begin a line of their own: what stands before them is another word.
_BLOCKS: Final = frozenset(
    {"br", "p", "div", "li", "tr", "td", "th", "h1", "h2", "h3", "h4", "h5", "h6", "hr"}
)
_MARK: Final = re.compile(r"<(?:(?P<comment>!--)|[!?]|/?(?P<name>[A-Za-z][A-Za-z0-9]*))")
# What is left of a tag: attributes, whose quoted values may have ">".
_TAG_END: Final = re.compile(r"""(?:[^>"']++|"[^"]*+"|'[^']*+')*+>""")


def text_parts(part: PartSummary) -> list[PartSummary]:
    """The parts a person reads, in the order of the message, those of messages in it as well."""
    if part.parts:
        return [found for child in part.parts for found in text_parts(child)]
    return [part] if part.type == "text" and part.disposition != "attachment" else []


def readable(part: PartSummary, body: bytes) -> str:
    """body: of a part of `text_parts`, still encoded; what is behind TEXT_OCTETS_MAX does not count."""
    octets = decode(part.encoding, body[:TEXT_OCTETS_MAX])
    text = to_text(octets, dict(part.parameters).get("charset"))
    return _without_markup(text) if part.subtype == "html" else text


def preview(text: str) -> str:
    """The beginning of a readable text, on one line (RFC 8970 §3.1)."""
    return " ".join(text.split())[:PREVIEW_CHARACTERS].rstrip()


def _without_markup(markup: str) -> str:
    """One pass over it: nothing is looked for twice that was not found once, whatever a hostile body
    holds."""
    said: list[str] = []
    at, has_sound_quotes = 0, True
    while (start := markup.find("<", at)) >= 0:
        said.append(markup[at:start])
        mark = _MARK.match(markup, start)
        if mark is None:
            said.append("<")
            at = start + 1
            continue
        if mark["comment"]:
            end = markup.find("-->", mark.end()) + 3
            at = end if end > 2 else len(markup)
            continue
        ending = _TAG_END.match(markup, mark.end()) if has_sound_quotes else None
        has_sound_quotes = ending is not None
        end = ending.end() if ending else markup.find(">", mark.end()) + 1
        if not end:  # half a tag is text
            at = start
            break
        name = (mark["name"] or "").lower()
        if name in _BLOCKS:
            said.append(" ")
        at = end
        if name in _HIDDEN and markup[start + 1] != "/":
            hidden = _HIDDEN[name].search(markup, end)
            at = hidden.start() if hidden else len(markup)
    said.append(markup[at:])
    return " ".join(html.unescape("".join(said)).split())
