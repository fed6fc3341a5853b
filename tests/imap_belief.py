"""What a session may legally believe about a mailbox, and a ledger of what all of them were told.

A client that obeys what it hears has a picture of its mailbox: sequence numbers, UIDs, flags, MODSEQs.
`Belief` keeps that picture and raises `Contradiction` at the first response that cannot be true; `Ledger`
compares what different sessions were told about the same message.

Source: RFC 9051 §2.3.1 (UIDs ascend and never come back), §7.5.1 (when EXPUNGE may be sent), §7.4.1 (EXISTS
never shrinks); RFC 7162 §3.1 (a MODSEQ is a state); RFC 4315 (COPYUID, APPENDUID); RFC 8474 (EMAILID).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from tests.imap_client import Response, Token

# During these sequence numbers must stay as they are (RFC 9051 §7.5.1); None: no command is in progress.
NO_EXPUNGE_DURING: Final = ("FETCH", "STORE", "SEARCH", None)

Place = tuple[str, int]  # mailbox, UID


class Contradiction(AssertionError):
    """The server said what cannot be true."""


@dataclass
class Ledger:
    """What any session was told of any message of one account."""

    states: dict[tuple[str, int, int], frozenset[str]] = field(default_factory=dict)  # mailbox, UID, MODSEQ
    identities: dict[Place, str] = field(default_factory=dict)
    created: dict[Place, str] = field(default_factory=dict)  # by APPENDUID and COPYUID; how
    vanished: set[Place] = field(default_factory=set)  # some session was told
    may_vanish: set[Place] = field(default_factory=set)  # somebody asked for it

    def state(self, mailbox: str, uid: int, modseq: int, flags: frozenset[str]) -> None:
        if "\\Deleted" in flags:
            self.may_vanish.add((mailbox, uid))
        known = self.states.setdefault((mailbox, uid, modseq), flags)
        if known != flags:
            raise Contradiction(f"{mailbox} UID {uid} at MODSEQ {modseq}: {set(known)} and {set(flags)}")

    def identity(self, mailbox: str, uid: int, email_id: str) -> None:
        known = self.identities.setdefault((mailbox, uid), email_id)
        if known != email_id:
            raise Contradiction(f"{mailbox} UID {uid} is {known} and {email_id}")

    def create(self, mailbox: str, uid: int, how: str) -> None:
        if (mailbox, uid) in self.created:
            raise Contradiction(
                f"{mailbox} UID {uid} was given out twice: {self.created[mailbox, uid]}, {how}"
            )
        self.created[mailbox, uid] = how

    def vanish(self, mailbox: str, uid: int) -> None:
        if not self._was_asked_for((mailbox, uid)):
            raise Contradiction(f"{mailbox} UID {uid} vanished, and nobody had asked for that")
        self.vanished.add((mailbox, uid))

    def _was_asked_for(self, place: Place) -> bool:
        """Of this message or of one it may be a copy of: \\Deleted is copied with the others (RFC 9051
        §6.4.7). Of one nobody has looked at nobody can say."""
        if place in self.may_vanish or place not in self.identities:
            return True
        identity = self.identities[place]
        return any(self.identities.get(other) == identity for other in self.may_vanish)


@dataclass
class Belief:
    """One session's picture of the mailbox it has selected."""

    mailbox: str
    ledger: Ledger
    uids: list[int | None] = field(default_factory=list)  # by sequence number - 1; None: not told yet
    states: dict[int, tuple[int, frozenset[str]]] = field(default_factory=dict)  # UID: MODSEQ, flags
    gone: set[int] = field(default_factory=set)
    # Since the last command: UIDs told with flags, and MODSEQs told without.
    flagged: set[int] = field(default_factory=set)
    bare: dict[int, int] = field(default_factory=dict)

    @property
    def known(self) -> list[int]:
        return [uid for uid in self.uids if uid is not None]

    def hear(self, response: Response, during: str | None) -> None:
        """during: the command in progress; `UID FETCH` is another than `FETCH`."""
        match response.kind:
            case "EXISTS":
                self._exists(response.number or 0)
            case "EXPUNGE":
                self._expunged(response, during)
            case "FETCH":
                self._fetched(response)
            case "VANISHED":
                raise Contradiction(f"VANISHED, and QRESYNC was not enabled: {response.octets!r}")

    def _exists(self, number: int) -> None:
        if number < len(self.uids):
            raise Contradiction(f"{self.mailbox} had {len(self.uids)} messages, EXISTS says {number}")
        self.uids += [None] * (number - len(self.uids))

    def _expunged(self, response: Response, during: str | None) -> None:
        if during in NO_EXPUNGE_DURING:
            raise Contradiction(f"EXPUNGE during {during}")
        number = response.number or 0
        if not 1 <= number <= len(self.uids):
            raise Contradiction(f"EXPUNGE of {number} among {len(self.uids)}")
        uid = self.uids.pop(number - 1)
        if uid is not None:
            self.ledger.vanish(self.mailbox, uid)
            self.gone.add(uid)
            self.states.pop(uid, None)

    def _fetched(self, response: Response) -> None:
        number = response.number or 0
        if not 1 <= number <= len(self.uids):
            raise Contradiction(f"FETCH of {number} among {len(self.uids)}: {response.octets!r}")
        items = response.items
        if "UID" in items:
            self._place(number, int(_text(items["UID"])))
        uid = self.uids[number - 1]
        if uid is None:
            return
        if "EMAILID" in items:
            email_id = items["EMAILID"]
            assert isinstance(email_id, list), response.octets
            self.ledger.identity(self.mailbox, uid, _text(email_id[0]))
        if "FLAGS" in items:
            self.flagged.add(uid)
        if "MODSEQ" in items:
            modseq = items["MODSEQ"]
            assert isinstance(modseq, list), response.octets
            if "FLAGS" in items:
                self._state(uid, int(_text(modseq[0])), response.flags - {"\\Recent"})
            else:
                self.bare[uid] = int(_text(modseq[0]))

    def _place(self, number: int, uid: int) -> None:
        known = self.uids[number - 1]
        if known is not None and known != uid:
            raise Contradiction(f"message {number} of {self.mailbox} was UID {known} and is UID {uid}")
        if uid in self.gone:
            raise Contradiction(f"UID {uid} of {self.mailbox} came back")
        before = [one for one in self.uids[: number - 1] if one is not None]
        after = [one for one in self.uids[number:] if one is not None]
        if (before and before[-1] >= uid) or (after and after[0] <= uid):
            raise Contradiction(f"UIDs of {self.mailbox} do not ascend at message {number}, UID {uid}")
        self.uids[number - 1] = uid

    def _state(self, uid: int, modseq: int, flags: frozenset[str]) -> None:
        known = self.states.get(uid)
        if known is not None and modseq < known[0]:
            raise Contradiction(f"MODSEQ of UID {uid} in {self.mailbox} went from {known[0]} to {modseq}")
        self.ledger.state(self.mailbox, uid, modseq, flags)
        self.states[uid] = modseq, flags

    def add_silently(self, uids: Iterable[int], flags: Iterable[str]) -> None:
        """After STORE +FLAGS.SILENT a client works out for itself what it was not told (RFC 9051 §6.4.6);
        without its MODSEQ it knows nothing for sure."""
        for uid in self.states.keys() & set(uids) - self.flagged:
            if uid in self.bare:
                self._state(uid, self.bare[uid], self.states[uid][1] | frozenset(flags))
            else:
                del self.states[uid]

    def begin(self) -> None:
        """Another command."""
        self.flagged.clear()
        self.bare.clear()

    def compare(self, truth: dict[int, tuple[int, frozenset[str]]]) -> None:
        """With what a fresh session was told after all changes, this one having been brought up to date."""
        if None in self.uids or self.uids != sorted(truth):
            raise Contradiction(f"{self.mailbox}: believed {self.uids}, it is {sorted(truth)}")
        for uid, (modseq, flags) in self.states.items():
            if truth[uid][1] != flags:
                raise Contradiction(
                    f"{self.mailbox} UID {uid}: believed {set(flags)} of {modseq}, it is {truth[uid]}"
                )


def _text(token: Token) -> str:
    assert isinstance(token, str), token
    return token
