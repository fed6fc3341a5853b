"""Accounts from a table: what a row says, and how far a file has come.

A row is read by itself: a mistake in it is that line's, and no other's. A field has no line break.

Source: issue 2/9 (`saraban import`); RFC 4180 (CSV).
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from gateway.domain.account import QUOTA_OCTETS_DEFAULT, AccountKind
from gateway.domain.aliases import ALIASES_MAX
from gateway.domain.credentials import phc_fault
from gateway.domain.events import Event
from gateway.domain.quota import octets_in
from gateway.domain.registration import Refused
from gateway.mail.address import Address, parse_address
from gateway.mail.ids import AgencyId

IMPORT_HISTORY: Final = "import"
LINE_OCTETS_MAX: Final = 64 * 1024  # 100 aliases of 254 octets and the rest
COLUMNS: Final = ("address", "display_name", "kind", "quota", "aliases", "credential")
REQUIRED: Final = frozenset({"address", "credential"})
_KINDS: Final[Mapping[str, AccountKind]] = {"person": "person", "office": "office"}
_HASHED: Final = "argon2:"


class ImportBegun(Event, frozen=True, kw_only=True):
    """`import`, or `import.<agency_id>`: from here on only this import goes on there, no former one."""

    TOPIC: ClassVar[str] = "import.begun/1"

    digest: str  # hex SHA-256 of the file


class ImportAdvanced(Event, frozen=True, kw_only=True):
    """import: the accounts that follow in this append are from this file, up to this line."""

    TOPIC: ClassVar[str] = "import.advanced/1"

    digest: str
    up_to: int
    added: int


def import_history(agency_id: AgencyId | None) -> str:
    """agency_id: for whose domains alone the import is; None: for everybody's."""
    return f"{IMPORT_HISTORY}.{agency_id}" if agency_id else IMPORT_HISTORY


@dataclass(frozen=True, slots=True)
class Hashed:
    """A password's argon2 hash that was made elsewhere."""

    verifier: bytes  # PHC string


Credential = Literal["invite", "openid"] | Hashed


@dataclass(frozen=True, slots=True)
class Row:
    """An account that a line of the file asks for."""

    line: int
    address: Address
    display_name: str
    kind: AccountKind
    quota_octets: int
    aliases: tuple[Address, ...]
    credential: Credential


@dataclass(frozen=True, slots=True)
class RefusedRow:
    line: int
    reason: str


class Header:
    """The columns of a file, and how its lines are read by them."""

    def __init__(self, octets: bytes) -> None:
        """octets: of the file's first line, with or without BOM. Raises Refused."""
        self._names = [name.strip().lower() for name in _fields(octets.removeprefix(b"\xef\xbb\xbf"))]
        if unknown := [name for name in self._names if name not in COLUMNS]:
            raise Refused(f"the header has {unknown[0]!r}; the columns are {', '.join(COLUMNS)}")
        if missing := sorted(REQUIRED - set(self._names)):
            raise Refused(f"the header lacks {' and '.join(missing)}")
        if len(set(self._names)) < len(self._names):
            raise Refused("the header names a column twice")

    def read(self, line: int, octets: bytes) -> Row | RefusedRow | None:
        """What a line says; None: it is blank."""
        try:
            fields = _fields(octets)
            if not any(field.strip() for field in fields):
                return None
            if len(fields) != len(self._names):
                raise Refused(f"the row has {len(fields)} fields, the header {len(self._names)}")
            said = {name: field.strip() for name, field in zip(self._names, fields, strict=True)}
            return _row(line, said)
        except Refused as refused:
            return RefusedRow(line, str(refused))


def _fields(octets: bytes) -> list[str]:
    if len(octets) > LINE_OCTETS_MAX:
        raise Refused(f"the line is longer than {LINE_OCTETS_MAX} octets")
    try:
        text = octets.decode().rstrip("\r\n")
        return next(csv.reader([text], strict=True), [])
    except UnicodeDecodeError as error:
        raise Refused("the line is not UTF-8") from error
    except csv.Error as error:
        raise Refused(f"the line is not CSV: {error}") from error


def _row(line: int, said: Mapping[str, str]) -> Row:
    kind = _KINDS.get(said.get("kind") or "person")
    if kind is None:
        raise Refused(f"the kind {said['kind']!r} is none of {', '.join(_KINDS)}")
    aliases = tuple(_address(alias.strip()) for alias in said.get("aliases", "").split(";") if alias.strip())
    if len(aliases) > ALIASES_MAX:
        raise Refused(f"an account has at most {ALIASES_MAX} aliases")
    return Row(
        line=line,
        address=_address(said["address"]),
        display_name=said.get("display_name", ""),
        kind=kind,
        quota_octets=_quota(said.get("quota", "")),
        aliases=aliases,
        credential=_credential(said["credential"]),
    )


def _address(text: str) -> Address:
    try:
        return parse_address(text)
    except ValueError as error:
        raise Refused(f"{text!r} is no mail address: {error}") from error


def _quota(text: str) -> int:
    if not text:
        return QUOTA_OCTETS_DEFAULT
    try:
        return octets_in(text)
    except ValueError as error:
        raise Refused(f"the quota {error}") from error


def _credential(text: str) -> Credential:
    """Its text is never told again: it might be a password in the wrong column."""
    match text:
        case "invite" | "openid" as credential:
            return credential
    if not text.startswith(_HASHED):
        raise Refused(f"the credential is neither invite nor openid nor {_HASHED} and a PHC string")
    phc = text.removeprefix(_HASHED)
    if fault := phc_fault(phc):
        raise Refused(fault)
    return Hashed(phc.encode())
