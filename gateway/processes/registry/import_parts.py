"""A file of accounts cut into parts, each as much as goes into one append."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from gateway.domain.group import GROUP_FACTS_MAX
from gateway.domain.importing import RefusedRow, Row

PARTS_LOOKED_UP: Final = 16  # some 2,000 accounts


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that fit into one append. up_to: the line of the last."""

    rows: Sequence[Row]
    up_to: int


class Parts:
    """The parts of one file, in order. refused: rows that are in none; it grows while they are read."""

    def __init__(self, refused: list[RefusedRow]) -> None:
        self._refused = refused
        self._lines: dict[str, int] = {}  # of each address of the file

    def of(self, rows: Iterable[Row | RefusedRow]) -> Iterator[Part]:
        part, facts, line = list[Row](), 1, 0
        for row in rows:
            line = row.line
            if isinstance(row, RefusedRow):
                self._refused.append(row)
                continue
            if (twice := self._named_before(row)) is not None:
                self._refused.append(twice)
                continue
            wanted = 4 + 2 * len(row.aliases)
            if facts + wanted > GROUP_FACTS_MAX:
                yield Part(part, line - 1)
                part, facts = [], 1
            part.append(row)
            facts += wanted
        yield Part(part, line)

    def _named_before(self, row: Row) -> RefusedRow | None:
        """Refused when the file has one of its addresses already."""
        spelt = [str(address.normalise()) for address in (row.address, *row.aliases)]
        for number, address in enumerate(spelt):
            if (line := self._lines.get(address)) is not None:
                return RefusedRow(row.line, f"{address} stands in line {line} already")
            if address in spelt[:number]:
                return RefusedRow(row.line, f"the row names {address} twice")
        self._lines.update(dict.fromkeys(spelt, row.line))
        return None


def stretches(parts: Iterable[Part]) -> Iterator[list[Part]]:
    """Parts that are looked up together: some 2,000 accounts."""
    several = iter(parts)
    while stretch := list(islice(several, PARTS_LOOKED_UP)):
        yield stretch
