"""Accounts by the hundred thousand: many rows of a file in one append, each row whole or not at all.

Keys and credentials first, then the events: an account that is there has all it needs; then the codes of
invitations are written down, for those that are there. What a killed import leaves, the next one finishes
(unfinished.py). One import goes on at a time, and one of each agency's own: each append is guarded by the
import's history, and whoever begins moves it on.

Source: issue 2/9 (`saraban import`); architecture §4 (Subjects, guards, at most 500 events in one write).
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Final

from gateway.domain.account import Account, account_key_name
from gateway.domain.addresses import AddressClaimed
from gateway.domain.aggregate import replay
from gateway.domain.aliases import add_alias
from gateway.domain.credentials import (
    InvitationMade,
    PasswordSet,
    encode_invitation,
    invitation_name,
    verifier_name,
)
from gateway.domain.events import Fact, Stamp
from gateway.domain.histories import SITE_ADDRESS_KEY, address_name, history_of
from gateway.domain.importing import (
    Hashed,
    ImportAdvanced,
    ImportBegun,
    RefusedRow,
    Row,
    import_history,
)
from gateway.domain.registration import (
    UNHELD,
    Holding,
    NewAccount,
    Refused,
    Registration,
    Standing,
    register_account,
)
from gateway.domain.sealing import DATA_KEY_OCTETS, NONCE_OCTETS
from gateway.domain.signin import access_history
from gateway.mail.address import Address, normalise_domain
from gateway.mail.ids import AccountId, AgencyId, MailboxId
from gateway.ports import START, Conflict, Deposed, Position, leaves
from gateway.processes.registry.deciding import DECISIONS_MAX, Deciding
from gateway.processes.registry.import_parts import Part, Parts, stretches
from gateway.processes.registry.unfinished import KeepCodes, Unfinished, some_at_a_time, unfinished_name
from projections.directory.claims import ClaimRow

INVITATIONS_LAST: Final = timedelta(days=30)
CODE_OCTETS: Final = 16  # 128 random bits, 22 characters of base64

FindClaims = Callable[[Sequence[str]], Awaitable[Mapping[str, ClaimRow]]]  # projections.directory.claims
Advance = Callable[[int], None]


@dataclass(slots=True)
class Report:
    """What became of a file's rows."""

    added: int = 0
    already: int = 0
    refused: list[RefusedRow] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Home:
    """What accounts of one domain are decided on."""

    standing: Standing
    agency_id: AgencyId


@dataclass(frozen=True, slots=True)
class _Asked:
    """A row under way: the ids, key and credential chosen for it."""

    row: Row
    account_id: AccountId
    inbox_id: MailboxId
    key: bytes
    code: str  # of its invitation; "": it has none
    names: tuple[str, ...]  # of its address, then of its aliases


@dataclass(slots=True)
class _Decided:
    """One append for the accounts that can be added, and what becomes of the others."""

    facts: list[Fact] = field(default_factory=list)
    expected: dict[str, Position] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    added: set[AccountId] = field(default_factory=set)
    already: int = 0
    refused: list[RefusedRow] = field(default_factory=list)
    open_accounts: dict[AgencyId, int] = field(default_factory=dict)


class Importing(Deciding):
    """One file. find_claims: by rows that may be behind; what they do not know, the append notices."""

    def prepare(
        self,
        digest: str,
        find_claims: FindClaims,
        keep_codes: KeepCodes,
        agency_id: AgencyId | None = None,
        *,
        is_durable: bool = True,
        are_former_kept: bool = False,
    ) -> None:
        """digest: hex SHA-256 of the file. agency_id: in whose domains alone accounts are added.

        is_durable: codes are kept for good when `keep_codes` returns; else the next import is told those of
        this one again. are_former_kept: it is not, they are.
        """
        self._digest, self._find_claims, self._keep_codes = digest, find_claims, keep_codes
        self._agency_id, self._history = agency_id, import_history(agency_id)
        self._is_durable, self._are_former_kept = is_durable, are_former_kept
        self._handed_on: dict[AccountId, str] = {}  # codes of the former import, until somebody confirms them
        self._unfinished = Unfinished(self._log, self._keys, unfinished_name(agency_id))
        self._report = Report()
        self._homes: dict[str, _Home | None] = {}  # by domain; None: no agency has it
        self._known: dict[str, Holding] = {}  # by name, of addresses that somebody has or had
        self._open_accounts: dict[AgencyId, int] = {}
        self._parts = Parts(self._report.refused)
        self._begun_at = START.position

    async def check(self, rows: Iterable[Row | RefusedRow], advance: Advance) -> Report:
        """What would become of the rows; nothing is changed. advance: told the line that was reached."""
        self._site_key = await self._keys.get_or_make(SITE_ADDRESS_KEY)
        for parts in stretches(self._parts.of(rows)):
            for part, asked in zip(parts, await self._new(parts), strict=True):
                self._conclude(part, self._decide_part(part, asked), advance)
        return self._report

    async def run(self, rows: Iterable[Row | RefusedRow], advance: Advance) -> Report:
        """Add the accounts. Durable as far as `advance` was told.

        Run again with the same file it goes on where it was. Raises Unavailable, Full; Deposed when another
        import has begun meanwhile.
        """
        self._site_key = await self._keys.get_or_make(SITE_ADDRESS_KEY)
        await self._begin()
        try:
            async with asyncio.TaskGroup() as group:
                await self._add_all(rows, group, advance)
        except BaseExceptionGroup as errors:
            raise next(leaves(errors)) from errors
        if self._is_durable:
            await self._unfinished.name({})
        return self._report

    async def _add_all(
        self, rows: Iterable[Row | RefusedRow], group: asyncio.TaskGroup, advance: Advance
    ) -> None:
        """Part by part; the next one's keys are made while the log writes."""
        adding: asyncio.Task[None] | None = None
        under_way: list[_Asked] = []
        for parts in stretches(self._parts.of(rows)):
            new = await self._new(parts)
            named = [*under_way, *(each for asked in new for each in asked)]
            if named:
                codes = {each.account_id: each.code for each in named}
                await self._unfinished.name(self._handed_on | codes)
            for part, asked in zip(parts, new, strict=True):
                await self._keep_secrets(asked)
                if adding is not None:
                    await adding
                under_way, adding = asked, group.create_task(self._add(part, asked, advance))

    # --- rows to accounts under way -------------------------------------------------------------------

    async def _new(self, parts: Sequence[Part]) -> list[list[_Asked]]:
        """Of each part those rows that are not there already, with ids and keys."""
        for domain in {each for part in parts for row in part.rows for each in _domains(row)}:
            if domain not in self._homes:
                self._homes[domain] = await self._home(domain)
        names = {row.line: self._names(row) for part in parts for row in part.rows}
        claims = await self._find_claims([name for each in names.values() for name in each]) if names else {}
        new = list[list[_Asked]]()
        for part in parts:
            new.append([])
            for row in part.rows:
                claim = claims.get(names[row.line][0])
                if claim is not None and claim.is_given_out and not claim.is_alias:
                    self._report.already += 1
                else:
                    new[-1].append(self._asked(row, names[row.line]))
        asked = [each for part in new for each in part]
        await self._look_up([name for each in asked for name in each.names if name in claims])
        return new

    def _names(self, row: Row) -> tuple[str, ...]:
        return tuple(self._name(address) for address in (row.address, *row.aliases))

    def _name(self, address: Address) -> str:
        home = self._homes[normalise_domain(address.domain)]
        return address_name(home.standing.looked_up(address) if home else address, self._site_key)

    def _asked(self, row: Row, names: tuple[str, ...]) -> _Asked:
        code = self._entropy(CODE_OCTETS) if row.credential == "invite" else b""
        return _Asked(
            row=row,
            account_id=AccountId(self._new_id("acc")),
            inbox_id=MailboxId(self._new_id("mbx")),
            key=self._entropy(DATA_KEY_OCTETS),
            code=base64.urlsafe_b64encode(code).decode().rstrip("="),
            names=names,
        )

    async def _home(self, domain: str) -> _Home | None:
        claim, claim_position = await self._reading.claim_of(domain)
        if claim is None or self._agency_id not in (None, claim.agency_id):
            return None
        found = await self._reading.agency(claim.agency_id)
        if found.agency.limits.accounts_max is not None and claim.agency_id not in self._open_accounts:
            self._open_accounts[claim.agency_id] = await self._count_accounts(claim.agency_id)
        return _Home(Standing(found.agency, found.position, claim, claim_position), claim.agency_id)

    async def _look_up(self, names: Sequence[str]) -> None:
        """Whose the addresses are, by the log."""

        async def look(name: str) -> None:
            self._known[name] = await self._reading.holding_of(name)

        await some_at_a_time([partial(look, name) for name in names])

    # --- what is secret -------------------------------------------------------------------------------

    async def _begin(self) -> None:
        """Move a former import out of the way, then finish what it left."""
        self._begun_at = await self._move_on()
        keep = _keep_no_codes if self._are_former_kept else self._keep_codes
        stay = not self._is_durable and not self._are_former_kept
        self._handed_on = await self._unfinished.settle(keep, self._clock.now(), stay=stay)

    async def _move_on(self) -> Position:
        """Where this import begins: a former one appends nothing after that."""
        begun = Fact(self._history, ImportBegun(digest=self._digest, **self._stamp().fields()))
        for _ in range(DECISIONS_MAX):
            expected = {self._history: await self._end_of_imports()}
            try:
                return await self._log.append_guarded([begun], expected)
            except Conflict:
                continue
        raise Conflict("imports are begun all the time")

    async def _keep_secrets(self, asked: Sequence[_Asked]) -> None:
        """Make the keys, and what credentials are checked by."""
        expires_at = self._clock.now() + INVITATIONS_LAST
        secrets: dict[str, bytes] = {}
        for each in asked:
            secrets[account_key_name(each.account_id)] = each.key
            if isinstance(each.row.credential, Hashed):
                secrets[verifier_name(each.account_id)] = each.row.credential.verifier
            elif each.code:
                secrets[invitation_name(each.account_id)] = encode_invitation(each.code, expires_at)
        await self._keys.put_new(secrets)

    # --- accounts to the log --------------------------------------------------------------------------

    async def _add(self, part: Part, asked: Sequence[_Asked], advance: Advance) -> None:
        """Append a part; on a Conflict read what it rests on and decide again."""
        for _ in range(DECISIONS_MAX):
            decided = self._decide_part(part, asked)
            if decided.added and not await self._is_appended(decided):
                await self._read_again(asked)
                continue
            added = [each for each in asked if each.account_id in decided.added]
            if codes := {each.row.address: each.code for each in added if each.code}:
                await self._keep_codes(codes)
            left = [each.account_id for each in asked if each.account_id not in decided.added]
            await some_at_a_time([partial(self._unfinished.forget, account_id) for account_id in left])
            self._conclude(part, decided, advance)
            return
        raise Conflict("addresses of the file are given out by others all the time")

    async def _is_appended(self, decided: _Decided) -> bool:
        """False when something has moved on. Raises Deposed when that is another import."""
        try:
            last = await self._log.append_guarded(decided.facts, decided.expected, decided.versions)
        except Conflict:
            if await self._end_of_imports() != self._begun_at:
                raise Deposed("another import has begun: this one has stopped") from None
            return False
        self._begun_at = Position(last - len(decided.facts) + 1)
        return True

    async def _end_of_imports(self) -> Position:
        latest = await self._log.latest(self._history)
        return latest.position if latest else START.position

    async def _read_again(self, asked: Sequence[_Asked]) -> None:
        await self._look_up([name for each in asked for name in each.names])
        self._open_accounts.clear()  # a limit may be new; who has one is counted again
        for domain in {domain for each in asked for domain in _domains(each.row)}:
            self._homes[domain] = await self._home(domain)

    def _decide_part(self, part: Part, asked: Sequence[_Asked]) -> _Decided:
        stamp, decided = self._stamp(), _Decided(open_accounts=dict(self._open_accounts))
        for each in asked:
            try:
                registered = self._decide_one(each, stamp, decided.open_accounts)
            except Refused as refused:
                last = self._known.get(each.names[0], UNHELD).last
                if isinstance(last, AddressClaimed) and not last.is_alias:
                    decided.already += 1
                else:
                    decided.refused.append(RefusedRow(each.row.line, str(refused)))
                continue
            decided.facts += registered.facts
            decided.expected |= {subject: Position(at) for subject, at in registered.expected.items()}
            decided.versions |= registered.versions
            decided.added.add(each.account_id)
        advanced = ImportAdvanced(
            digest=self._digest, up_to=part.up_to, added=len(decided.added), **stamp.fields()
        )
        decided.facts.insert(0, Fact(self._history, advanced))
        decided.expected[self._history] = self._begun_at
        return decided

    def _conclude(self, part: Part, decided: _Decided, advance: Advance) -> None:
        self._report.added += len(decided.added)
        self._report.already += decided.already
        self._report.refused += decided.refused
        self._open_accounts |= decided.open_accounts
        advance(part.up_to)

    def _decide_one(self, asked: _Asked, stamp: Stamp, open_accounts: dict[AgencyId, int]) -> Registration:
        """An account with its aliases and its credential. Raises Refused."""
        row, home = asked.row, self._homes[normalise_domain(asked.row.address.domain)]
        if home is None:
            raise Refused(f"no agency has the domain {row.address.domain}")
        counted = open_accounts.get(home.agency_id, 0)
        new = NewAccount(
            account_id=asked.account_id,
            inbox_id=asked.inbox_id,
            agency_id=home.agency_id,
            address=row.address,
            display_name=row.display_name,
            kind=row.kind,
            quota_octets=row.quota_octets,
            nonces=(self._entropy(NONCE_OCTETS), self._entropy(NONCE_OCTETS)),
        )
        standing = replace(home.standing, holding=self._known.get(asked.names[0], UNHELD), accounts=counted)
        registered = register_account(new, stamp, standing, account_key=asked.key, site_key=self._site_key)
        parts = [registered, *self._aliases(asked, stamp, registered, home.standing)]
        facts = [fact for part in parts for fact in part.facts]
        if (credential := _credential_fact(asked, home.agency_id, stamp)) is not None:
            facts.append(credential)
        expected = {subject: at for part in parts for subject, at in part.expected.items()}
        expected.pop(history_of(asked.account_id), None)  # it is new, and so is its id
        open_accounts[home.agency_id] = counted + 1
        return Registration(tuple(facts), expected, registered.versions)

    def _aliases(
        self, asked: _Asked, stamp: Stamp, registered: Registration, standing: Standing
    ) -> Iterator[Registration]:
        if not asked.row.aliases:
            return
        account = replay(Account, [registered.facts[0].event])
        assert account is not None, "it was just made"
        for alias, name in zip(asked.row.aliases, asked.names[1:], strict=True):
            home = self._homes[normalise_domain(alias.domain)]
            claim = home.standing.claim if home else None
            yield add_alias(
                account,
                START.position,
                alias,
                replace(standing, claim=claim, holding=self._known.get(name, UNHELD)),
                stamp,
                account_key=asked.key,
                site_key=self._site_key,
                nonce=self._entropy(NONCE_OCTETS),
            )


async def _keep_no_codes(codes: Mapping[Address, str]) -> None:
    """They are kept already."""


def _domains(row: Row) -> set[str]:
    return {normalise_domain(address.domain) for address in (row.address, *row.aliases)}


def _credential_fact(asked: _Asked, agency_id: AgencyId, stamp: Stamp) -> Fact | None:
    """That it was set, and how; nothing where the agency's own provider knows the person."""
    match asked.row.credential:
        case Hashed():
            event = PasswordSet(account_id=asked.account_id, how="import", **stamp.fields())
            return Fact(access_history(agency_id), event)
        case "invite":
            made = InvitationMade(
                account_id=asked.account_id, expires_at=stamp.at + INVITATIONS_LAST, **stamp.fields()
            )
            return Fact(access_history(agency_id), made)
        case "openid":
            return None
