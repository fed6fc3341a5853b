"""Accounts of an agency from a file, some lines in each request.

A request is an import of its own: run again it adds nobody twice. The codes of its invitations are answered
again by the next one, which may be another caller's, until one says that they are kept.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Final

from msgspec import Meta, Struct

from gateway.domain.importing import LINE_OCTETS_MAX, Header, RefusedRow, Row
from gateway.domain.registration import Refused
from gateway.mail.address import Address
from gateway.ports import Deposed
from gateway.processes.registry.importing import Importing
from gateway.processes.web.bodies import Text
from gateway.processes.web.office import Asked, Operation
from projections.directory.claims import ClaimRow, claims_of

LINES_MAX: Final = 500
PART_OCTETS_MAX: Final = 1024 * 1024


class Line(Struct, forbid_unknown_fields=True):
    number: Annotated[int, Meta(ge=2, le=100_000_000)]  # in its file, whose header is line 1
    text: Annotated[str, Meta(max_length=LINE_OCTETS_MAX)]


class ImportPart(Struct, forbid_unknown_fields=True):
    """header: the file's first line; digest: hex SHA-256 of the file.

    has_codes: those of the answers before are kept. is_check: only say what would become of the lines.
    """

    digest: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    header: Text
    lines: Annotated[list[Line], Meta(max_length=LINES_MAX)]
    has_codes: bool = False
    is_check: bool = False


class RefusedLine(Struct):
    line: int
    reason: str


class InvitationCode(Struct):
    """code: with it the person sets a password; it is told to nobody else."""

    address: str
    code: str


class ImportedPart(Struct):
    """already: those that are there. codes: of this request, and of those before, until they are kept."""

    added: int
    already: int
    refused: list[RefusedLine]
    codes: list[InvitationCode]


async def import_part(asked: Asked) -> ImportedPart:
    """In the agency's own domains alone; another agency's is answered as one that nobody has."""
    agency_id, part, office = asked.agency("change"), asked.body, asked.office
    header, codes = Header(part.header.encode()), dict[Address, str]()

    async def find_claims(names: Sequence[str]) -> Mapping[str, ClaimRow]:
        async with office.pool.rows() as rows:
            return await claims_of(rows, names)

    async def keep_codes(some: Mapping[Address, str]) -> None:
        codes.update(some)

    work = asked.registry(Importing)
    work.prepare(
        part.digest,
        find_claims,
        keep_codes,
        agency_id,
        is_durable=False,
        are_former_kept=part.has_codes,
    )
    rows = _rows(header, part.lines)
    try:
        report = await (work.check(rows, _pass_over) if part.is_check else work.run(rows, _pass_over))
    except Deposed as error:
        raise Refused("another import of this agency has begun: one goes on at a time") from error
    return ImportedPart(
        report.added,
        report.already,
        [RefusedLine(row.line, row.reason) for row in report.refused],
        [InvitationCode(str(address), code) for address, code in codes.items()],
    )


def _rows(header: Header, lines: Sequence[Line]) -> Iterator[Row | RefusedRow]:
    for line in lines:
        if "\n" in line.text or "\r" in line.text:
            yield RefusedRow(line.number, "the line has a line break in it")
        elif (row := header.read(line.number, line.text.encode())) is not None:
            yield row


def _pass_over(line: int) -> None:
    """Nobody looks on: the answer is all there is."""


OPERATIONS: Final = (
    Operation(
        "POST",
        "/agencies/{agency_id}/import",
        "Add accounts by some lines of a CSV file; run again, nobody is added twice.",
        import_part,
        ImportedPart,
        ImportPart,
        octets_max=PART_OCTETS_MAX,
    ),
)
