"""The text of a body as a person reads it: decoded, and without the markup of HTML.

Source: RFC 2045 §6 (transfer encodings), RFC 2046 §4.1 (text), WHATWG HTML (which elements show no text).
"""

import binascii
from html.parser import HTMLParser
from typing import Final

from gateway.mail.headers import to_text
from gateway.mail.summary import PartSummary

# Of one part; a search looks no further. A book has about a million characters.
TEXT_OCTETS_MAX: Final = 4 * 1024 * 1024

_HIDDEN: Final = frozenset({"script", "style", "head", "template", "noscript"})
# Elements that begin a line of their own: what stands before them is another word.
_BLOCKS: Final = frozenset(
    {"br", "p", "div", "li", "tr", "td", "th", "h1", "h2", "h3", "h4", "h5", "h6", "hr"}
)


def text_parts(part: PartSummary) -> list[PartSummary]:
    """The parts a person reads, in the order of the message, those of messages in it as well."""
    if part.parts:
        return [found for child in part.parts for found in text_parts(child)]
    return [part] if part.type == "text" and part.disposition != "attachment" else []


def readable(part: PartSummary, body: bytes) -> str:
    """body: of a part of `text_parts`, still encoded; what is behind TEXT_OCTETS_MAX does not count."""
    octets = _decoded(part.encoding, body[:TEXT_OCTETS_MAX])
    text = to_text(octets, dict(part.parameters).get("charset"))
    return _without_markup(text) if part.subtype == "html" else text


def _decoded(encoding: str, body: bytes) -> bytes:
    match encoding:
        case "base64":
            whole = len(body) - len(body) % 4
            try:
                return binascii.a2b_base64(body[:whole])
            except binascii.Error:  # cut, or no base64: as it is
                return body
        case "quoted-printable":
            return binascii.a2b_qp(body)
    return body


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.said: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in _HIDDEN:
            self._hidden += 1
        elif tag in _BLOCKS:
            self.said.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in _HIDDEN and self._hidden:
            self._hidden -= 1
        elif tag in _BLOCKS:
            self.said.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.said.append(data)


def _without_markup(html: str) -> str:
    parser = _Text()
    parser.feed(html)
    parser.close()
    return " ".join("".join(parser.said).split())
