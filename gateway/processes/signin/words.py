"""What people are told who are not let in by IMAP or POP3: to nobody more than that it was wrong.

Who is shut out is told so only after the right password. Source: RFC 5530 §3, RFC 3206 §4 and §6.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from gateway.domain.signin import Refusal


@dataclass(frozen=True, slots=True)
class NotLetIn:
    """why: credentials: they are wrong. shut-out: an administrator has to do something. later: try again."""

    why: Literal["credentials", "shut-out", "later"]
    text: str


WRONG: Final = NotLetIn("credentials", "User name or password is wrong")
CANNOT_CHECK: Final = NotLetIn("later", "Cannot check the sign-in now, try again later")
TOO_MANY_SESSIONS: Final = NotLetIn("later", "Too many sessions of this account, close some of them")
_WORDS: Final[Mapping[Refusal, NotLetIn]] = {
    "suspended": NotLetIn("shut-out", "The account is suspended, ask your administrator"),
    "trial-ended": NotLetIn("shut-out", "The trial of your agency has ended, ask its administrator"),
    "banned": NotLetIn("shut-out", "The account is banned for some time, ask your administrator"),
    "throttled": NotLetIn("later", "Too many failed sign-ins, try again later"),
}


def words_of(reason: Refusal) -> NotLetIn:
    return _WORDS.get(reason, WRONG)
