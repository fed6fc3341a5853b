"""The base subject: what a subject is without Re:, Fwd:, [list] and the like.

Source: RFC 5256 §2.1 (base subject) and §5 (its grammar).
"""

import re
from typing import Final, NamedTuple

CHARACTERS_MAX: Final = 1_000  # looked at; a summary has 500 of a long one

_SPACES: Final = re.compile(r"\s+")
_TRAILER: Final = re.compile(r"(?:\s|\(fwd\))+\Z", re.IGNORECASE)
_BLOB: Final = r"\[[^\[\]]*\]\s*"
_LEADER: Final = re.compile(rf"\s+|(?:{_BLOB})*(?:re|fwd?)\s*(?:{_BLOB})?:", re.IGNORECASE)
_BLOB_AHEAD: Final = re.compile(rf"{_BLOB}(?=\S)")
_FORWARDED: Final = re.compile(r"\[fwd:(.*)\]\Z", re.IGNORECASE | re.DOTALL)


class BaseSubject(NamedTuple):
    """text: in its own case. is_reply: something was taken off that says reply or forward."""

    text: str
    is_reply: bool


def base_subject(subject: str) -> BaseSubject:
    """subject: decoded. The steps are those of RFC 5256 §2.1."""
    text = _SPACES.sub(" ", subject[:CHARACTERS_MAX])  # (1)
    is_reply = False
    while True:
        trailer = _TRAILER.search(text)  # (2)
        if trailer is not None:
            is_reply = is_reply or not trailer[0].isspace()
            text = text[: trailer.start()]
        text, found = _without_leaders(text)  # (3) to (5)
        is_reply = is_reply or found
        forwarded = _FORWARDED.match(text)  # (6)
        if forwarded is None:
            return BaseSubject(text, is_reply)
        text, is_reply = forwarded[1], True


def _without_leaders(text: str) -> tuple[str, bool]:
    """Without Re: and the like, and without a blob that something follows; and whether it had the former."""
    at, is_reply = 0, False
    while True:
        leader = _LEADER.match(text, at)
        if leader is not None:
            is_reply = is_reply or not leader[0].isspace()
        else:
            leader = _BLOB_AHEAD.match(text, at)
        if leader is None:
            return text[at:], is_reply
        at = leader.end()
