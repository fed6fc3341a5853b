"""A file of accounts through the API: some lines in each request, so that what is done is known all along."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

from gateway.cli.remote import Remote
from gateway.domain.importing import RefusedRow, Row
from gateway.domain.registration import Refused
from gateway.mail.address import Address, parse_address
from gateway.mail.ids import AgencyId
from gateway.processes.registry.import_parts import Parts
from gateway.processes.registry.importing import Report

LINES_AT_ONCE: Final = 400
OCTETS_AT_ONCE: Final = 512 * 1024  # JSON may write an octet as six

Read = tuple[Row | RefusedRow, bytes]  # a line as it was read, and its octets


class RemoteImporting:
    """`Importing`, through the API, for one agency. Raises Refused, Unknown, Unavailable."""

    def __init__(
        self,
        remote: Remote,
        agency_id: AgencyId,
        digest: str,
        header: bytes,
        keep_codes: Callable[[Mapping[Address, str]], Awaitable[None]],
    ) -> None:
        self._remote, self._keep_codes = remote, keep_codes
        self._path = f"/agencies/{quote(agency_id)}/import"
        self._part = {"digest": digest, "header": header.decode("utf-8-sig").rstrip("\r\n")}
        self._report = Report()

    async def check(self, lines: Iterator[Read], advance: Callable[[int], None]) -> Report:
        """What would become of the lines; nothing is changed."""
        for part in self._parts(lines):
            await self._ask(part, is_check=True)
            advance(part[-1]["number"])
        return self._report

    async def run(self, lines: Iterator[Read], advance: Callable[[int], None]) -> Report:
        """Add the accounts. Durable, and their codes kept, as far as `advance` was told."""
        has_codes = False
        for part in self._parts(lines):
            await self._ask(part, has_codes=has_codes)
            has_codes = True
            advance(part[-1]["number"])
        await self._ask([], has_codes=has_codes)
        return self._report

    async def _ask(self, part: list[dict[str, Any]], **flags: bool) -> None:
        done = await self._remote.ask("POST", self._path, {**self._part, "lines": part, **flags})
        if codes := {parse_address(each["address"]): each["code"] for each in done["codes"]}:
            await self._keep_codes(codes)
        self._report.added += done["added"]
        self._report.already += done["already"]
        self._report.refused += [RefusedRow(each["line"], each["reason"]) for each in done["refused"]]

    def _parts(self, lines: Iterator[Read]) -> Iterator[list[dict[str, Any]]]:
        """As much as goes into one request each. What is wrong in the file itself is not even sent."""
        texts: dict[int, str] = {}

        def rows() -> Iterator[Row | RefusedRow]:
            for row, octets in lines:
                if isinstance(row, Row):
                    texts[row.line] = octets.decode().rstrip("\r\n")
                yield row

        part, octets = list[dict[str, Any]](), 0
        for some in Parts(self._report.refused).of(rows()):
            for row in some.rows:
                text = texts.pop(row.line)
                if part and (len(part) == LINES_AT_ONCE or octets + len(text.encode()) > OCTETS_AT_ONCE):
                    yield part
                    part, octets = [], 0
                part.append({"number": row.line, "text": text})
                octets += len(text.encode())
        if part:
            yield part


async def agency_to_import(remote: Remote, agency_id: str | None) -> AgencyId:
    """The one that was named, or one's own. Raises Refused."""
    if agency_id is not None:
        return AgencyId(agency_id)
    own = (await remote.ask("GET", "/me"))["agency_id"]
    if own is None:
        raise Refused("you have no agency of your own: say with --agency whose accounts these are")
    return AgencyId(own)
