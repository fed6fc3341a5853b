"""Which mailboxes a LIST shows, and with which attributes.

Source: RFC 9051 §6.3.9 and §7.3.1 (LIST-EXTENDED), RFC 3501 §6.3.8 and §6.3.9 (LSUB), RFC 5258, RFC 6154 §2.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.mail.mailbox_name import SEPARATOR, normal_name
from gateway.protocols.imap.commands import ROLES, List, Lsub

_USES: Final = {role: use for use, role in ROLES.items()}
PATH_CHARACTERS_MAX: Final = 4_096  # 16 levels of 255 octets (domain/open_tree.py)


@dataclass(frozen=True, slots=True)
class Listable:
    """A mailbox as LIST knows it. path: its whole name. role: a value of ROLES, "inbox" or "".

    exists: False: there is only something below it.
    """

    path: str
    role: str = ""
    is_subscribed: bool = True
    exists: bool = True


@dataclass(frozen=True, slots=True)
class Listed:
    """One LIST response. has_subscribed_below: CHILDINFO ("SUBSCRIBED")."""

    path: str
    attributes: tuple[str, ...]
    has_subscribed_below: bool = False


def list_mailboxes(command: List, mailboxes: Sequence[Listable]) -> Iterator[Listed]:
    """In the order of `mailboxes`."""
    matchers = [matcher(command.reference + pattern) for pattern in command.patterns]
    shown = [one for one in mailboxes if any(matches(one.path) for matches in matchers)]
    wants_subscribed, wants_roles = "SUBSCRIBED" in command.selects, "SPECIAL-USE" in command.selects
    tells_subscribed = wants_subscribed or "SUBSCRIBED" in command.returns
    below = _above_hidden(mailboxes, shown) if "RECURSIVEMATCH" in command.selects else frozenset()
    parents = {parent for one in mailboxes for parent in _above(one.path)}
    for one in shown:
        is_chosen = (one.is_subscribed or not wants_subscribed) and (one.role in _USES or not wants_roles)
        has_below = wants_subscribed and one.path in below
        if is_chosen or has_below:
            attributes = ["\\HasChildren" if one.path in parents else "\\HasNoChildren"]
            if not one.exists:
                attributes += ["\\NonExistent", "\\Noselect"]  # the first implies the second, since RFC 5258
            if use := _USES.get(one.role):
                attributes.append(use)
            if tells_subscribed and one.is_subscribed:
                attributes.append("\\Subscribed")
            yield Listed(one.path, tuple(attributes), has_below)


def with_parents(mailboxes: Sequence[Listable]) -> list[Listable]:
    """Those, and what lies above them and is no mailbox, each before what lies below it."""
    known = {one.path for one in mailboxes}
    found: list[Listable] = []
    for one in mailboxes:
        for parent in sorted(set(_above(one.path)) - known, key=len):
            known.add(parent)
            found.append(Listable(parent, is_subscribed=False, exists=False))
        found.append(one)
    return found


def list_subscribed(command: Lsub, mailboxes: Sequence[Listable]) -> Iterator[Listed]:
    """RFC 3501 §6.3.9: what has subscribed mailboxes below it that `%` hides is shown, as \\Noselect."""
    matches = matcher(command.reference + command.pattern)
    subscribed = {one.path for one in mailboxes if one.is_subscribed}
    implied = {parent for path in subscribed if not matches(path) for parent in _above(path)}
    for one in mailboxes:
        if matches(one.path):
            if one.is_subscribed:
                yield Listed(one.path, ())
            elif one.path in implied:
                yield Listed(one.path, ("\\Noselect",))


def matcher(pattern: str) -> Callable[[str], bool]:
    """`*` stands for anything, `%` for anything on one level (RFC 9051 §6.3.9).

    Every character is looked at once, however many wildcards there are: in `places`, bit n says that n
    letters of the pattern are behind us. (A regular expression for `*a*a*a*b` tries every way to share out a
    name.)
    """
    letters: list[str] = []
    stays = {"*": 0, "%": 0}  # where a wildcard takes what comes
    for one in normal_name(pattern):
        if one in stays:
            stays[one] |= 1 << len(letters)
        else:
            letters.append(one)
    if len(letters) > PATH_CHARACTERS_MAX:
        return lambda path: False
    here: dict[str, int] = {}  # by letter: the places it leads on from
    for place, letter in enumerate(letters):
        here[letter] = here.get(letter, 0) | 1 << place
    anywhere, on_level = stays["*"], stays["*"] | stays["%"]

    def matches(path: str) -> bool:
        places = 1
        for one in path:
            places = (places & here.get(one, 0)) << 1 | places & (anywhere if one == SEPARATOR else on_level)
            if not places:
                return False
        return bool(places >> len(letters))

    return matches


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
