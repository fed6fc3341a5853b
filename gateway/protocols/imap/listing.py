"""Which mailboxes a LIST shows, and with which attributes.

Source: RFC 9051 §6.3.9 and §7.3.1 (LIST-EXTENDED), RFC 3501 §6.3.8 and §6.3.9 (LSUB), RFC 5258, RFC 6154 §2.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.mail.mailbox_name import SEPARATOR, normal_name
from gateway.protocols.imap.commands import ROLES, List, Lsub

_USES: Final = {role: use for use, role in ROLES.items()}
_WILD: Final[Mapping[str, str]] = {"*": ".*", "%": f"[^{SEPARATOR}]*"}
_WILD_RUN: Final = re.compile(r"[*%]{2,}")


@dataclass(frozen=True, slots=True)
class Listable:
    """A mailbox as LIST knows it. path: its whole name. role: a value of ROLES, "inbox" or ""."""

    path: str
    role: str = ""
    is_subscribed: bool = True


@dataclass(frozen=True, slots=True)
class Listed:
    """One LIST response. has_subscribed_below: CHILDINFO ("SUBSCRIBED")."""

    path: str
    attributes: tuple[str, ...]
    has_subscribed_below: bool = False


def list_mailboxes(command: List, mailboxes: Sequence[Listable]) -> Iterator[Listed]:
    """In the order of `mailboxes`."""
    patterns = [compile_pattern(command.reference + pattern) for pattern in command.patterns]
    shown = [one for one in mailboxes if any(pattern.fullmatch(one.path) for pattern in patterns)]
    wants_subscribed, wants_roles = "SUBSCRIBED" in command.selects, "SPECIAL-USE" in command.selects
    tells_subscribed = wants_subscribed or "SUBSCRIBED" in command.returns
    below = _above_hidden(mailboxes, shown) if "RECURSIVEMATCH" in command.selects else frozenset()
    parents = {parent for one in mailboxes for parent in _above(one.path)}
    for one in shown:
        is_chosen = (one.is_subscribed or not wants_subscribed) and (one.role in _USES or not wants_roles)
        has_below = wants_subscribed and one.path in below
        if is_chosen or has_below:
            attributes = ["\\HasChildren" if one.path in parents else "\\HasNoChildren"]
            if use := _USES.get(one.role):
                attributes.append(use)
            if tells_subscribed and one.is_subscribed:
                attributes.append("\\Subscribed")
            yield Listed(one.path, tuple(attributes), has_below)


def list_subscribed(command: Lsub, mailboxes: Sequence[Listable]) -> Iterator[Listed]:
    """RFC 3501 §6.3.9: what has subscribed mailboxes below it that `%` hides is shown, as \\Noselect."""
    pattern = compile_pattern(command.reference + command.pattern)
    subscribed = {one.path for one in mailboxes if one.is_subscribed}
    implied = {parent for path in subscribed if not pattern.fullmatch(path) for parent in _above(path)}
    for one in mailboxes:
        if pattern.fullmatch(one.path):
            if one.is_subscribed:
                yield Listed(one.path, ())
            elif one.path in implied:
                yield Listed(one.path, ("\\Noselect",))


def compile_pattern(text: str) -> re.Pattern[str]:
    """`*` stands for anything, `%` for anything on one level (RFC 9051 §6.3.9)."""
    # Wildcards side by side mean what the widest does; many of them would make a match slow.
    single = _WILD_RUN.sub(lambda run: "*" if "*" in run[0] else "%", normal_name(text))
    return re.compile("".join(_WILD.get(one) or re.escape(one) for one in single), re.DOTALL)


def _above(path: str) -> Iterator[str]:
    """The paths of what it lies below, the nearest first."""
    while SEPARATOR in path:
        path = path.rpartition(SEPARATOR)[0]
        yield path


def _above_hidden(mailboxes: Sequence[Listable], shown: Sequence[Listable]) -> frozenset[str]:
    """RFC 9051 §6.3.9.1: those with a subscribed mailbox below that matches no pattern itself."""
    told = {one.path for one in shown}
    hidden = (one.path for one in mailboxes if one.is_subscribed and one.path not in told)
    return frozenset(parent for path in hidden for parent in _above(path))
