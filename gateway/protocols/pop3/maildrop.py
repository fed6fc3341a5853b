"""A maildrop as one session has it: the messages of one moment, their numbers, and which it deletes at QUIT.

Source: RFC 1939 §4 (numbers), §5 (DELE, RSET), §7 (UIDL: what names a message in every session).
"""

from collections.abc import Iterator, Sequence

from gateway.mail.uids import Ranges, ranges_of


class NoSuchMessage(Exception):
    """No message has this number, or it was deleted in this session."""


class Maildrop:
    """uids: ascending; octets: of each. A message's unique id is that of its mailbox and its UID."""

    def __init__(self, uidvalidity: int, uids: Sequence[int], octets: Sequence[int]) -> None:
        assert len(uids) == len(octets), "each message has a size"
        self._uidvalidity, self._uids, self._octets = uidvalidity, uids, octets
        self._deleted: set[int] = set()  # numbers

    def __iter__(self) -> Iterator[int]:
        """The numbers of those that are not deleted."""
        return (number for number in range(1, len(self._uids) + 1) if number not in self._deleted)

    def stat(self) -> tuple[int, int]:
        """How many messages there are, and their octets."""
        gone = sum(self._octets[number - 1] for number in self._deleted)
        return len(self._uids) - len(self._deleted), sum(self._octets) - gone

    def uid_of(self, number: int) -> int:
        """Raises NoSuchMessage, as the others."""
        if not 1 <= number <= len(self._uids) or number in self._deleted:
            raise NoSuchMessage
        return self._uids[number - 1]

    def octets_of(self, number: int) -> int:
        self.uid_of(number)
        return self._octets[number - 1]

    def unique_id_of(self, number: int) -> str:
        return f"{self._uidvalidity}.{self.uid_of(number)}"

    def delete(self, number: int) -> None:
        self.uid_of(number)
        self._deleted.add(number)

    def reset(self) -> None:
        """Nothing is deleted."""
        self._deleted.clear()

    @property
    def deleted(self) -> Ranges:
        """UIDs."""
        return ranges_of(sorted(self._uids[number - 1] for number in self._deleted))
