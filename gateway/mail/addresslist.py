"""Address lists of header fields (From, To, Cc, …), as RFC 9051's ENVELOPE wants them.

Tolerant: what real mail holds gives the best reading, never an error. These addresses are shown to people;
nothing is ever routed by them (that is the envelope's, `address.py`).

Source: RFC 5322 §3.4 and §4.4 (lists, groups, comments, routes), RFC 6854 (groups anywhere), RFC 9051 §7.5.2.
"""

import re
from dataclasses import dataclass, field

from gateway.mail.headers import decode_words, to_text

ADDRESSES_MAX = 1000  # read from one field

_TOKEN = re.compile(r'\s+|"(?:[^"\\]|\\.)*"?|\[[^\[\]]*\]?|[<>,;:()]|[^\s"\[<>,;:()]+', re.DOTALL)
# Most fields have one address and nothing to puzzle out: alone, or in <> after a name of plain words.
_ATOM = r'[^\s"\[<>,;:()@]+'
_ONE = re.compile(rf'\s*({_ATOM})@({_ATOM})\s*|([^"\[<>,;:()]*)<({_ATOM})@({_ATOM})>\s*')
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class HeaderAddress:
    """One address of a field. RFC 9051 §7.5.2: a group begins with one that has its name as mailbox and
    no host (None), and ends with one that has neither; host "" is an address without one."""

    name: str | None = None
    mailbox: str | None = None
    host: str | None = None


def parse_list(value: bytes) -> tuple[HeaderAddress, ...]:
    """The addresses of an unfolded field value, in their order."""
    text = to_text(value)
    if one := _ONE.fullmatch(text):
        mailbox, host, name, inside, inside_host = one.groups("")
        return (HeaderAddress(_phrase([name]) or None, mailbox or inside, host or inside_host),)
    reader = _Reader()
    for match in _TOKEN.finditer(text):
        reader.take(match.group())
        if len(reader.found) >= ADDRESSES_MAX:
            break
    reader.end_address()
    reader.end_group()
    return tuple(reader.found)


@dataclass(slots=True)
class _Reader:
    """Where in the list we are, token by token."""

    found: list[HeaderAddress] = field(default_factory=list)
    words: list[str] = field(default_factory=list)  # outside of <>: a name, or an address alone
    angle: list[str] | None = None  # inside of <>
    is_angle_open: bool = False
    comment: list[str] = field(default_factory=list)
    comment_depth: int = 0
    in_group: bool = False

    def take(self, token: str) -> None:
        if self.comment_depth or token == "(":
            self._take_comment(token)
        elif self.is_angle_open and self.angle is not None:
            self._take_angle(self.angle, token)
        elif token == "<":
            self.angle, self.is_angle_open = [], True
        elif token == ":" and not self.in_group and self.angle is None:
            self.found.append(HeaderAddress(mailbox=_phrase(self.words)))
            self.words, self.in_group = [], True
        elif token == ",":
            self.end_address()
        elif token == ";":
            self.end_address()
            self.end_group()
        elif token not in (">", ")"):
            self.words.append(token)

    def _take_comment(self, token: str) -> None:
        self.comment_depth += {"(": 1, ")": -1}.get(token, 0)
        if self.comment_depth and not (token == "(" and self.comment_depth == 1):
            self.comment.append(token)

    def _take_angle(self, angle: list[str], token: str) -> None:
        if token == ">":
            self.is_angle_open = False
        elif token == "," and not (angle and angle[0].startswith("@")):  # ">" was forgotten, and no route
            self.end_address()
        elif not token.isspace():
            angle.append(token)

    def end_address(self) -> None:
        spec = "".join(self.words).strip() if self.angle is None else "".join(self.angle)
        name = _phrase(self.comment if self.angle is None else self.words)
        if spec or name:
            self.found.append(_address(name, spec))
        self.words, self.angle, self.is_angle_open = [], None, False
        self.comment, self.comment_depth = [], 0

    def end_group(self) -> None:
        if self.in_group:
            self.found.append(HeaderAddress())
        self.in_group = False


def _address(name: str, spec: str) -> HeaderAddress:
    if spec.startswith("@") and ":" in spec:  # RFC 5322 §4.4: a route before the address
        spec = spec.partition(":")[2]
    mailbox, found, host = spec.rpartition("@")
    mailbox, host = (mailbox, host) if found else (spec, "")
    return HeaderAddress(name or None, _unquoted(mailbox), host)


def _phrase(words: list[str]) -> str:
    """Words of a display name, without quotes; encoded words inside quotes are decoded too, as people
    send them."""
    return " ".join(decode_words("".join(map(_unquoted, words))).split())


def _unquoted(word: str) -> str:
    if not word.startswith('"'):
        return word
    return _ESCAPED.sub(r"\1", word[1:].removesuffix('"'))
