"""Many accounts from a file: each row whole or not at all, nobody twice, whatever happens on the way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from gateway.domain.account import Account, account_key_name
from gateway.domain.account_status import own_address
from gateway.domain.addresses import AddressClaimed
from gateway.domain.aggregate import replay
from gateway.domain.credentials import decode_invitation, invitation_name, verifier_name
from gateway.domain.events import Fact
from gateway.domain.importing import Hashed, ImportAdvanced, RefusedRow, Row
from gateway.mail.address import Address, parse_address
from gateway.mail.ids import AccountId, AgencyId
from gateway.ports import Deposed, KeyForgotten, Unavailable
from gateway.processes.registry.importing import Importing, Report
from gateway.processes.registry.unfinished import UNFINISHED
from projections.directory.claims import ClaimRow
from tests.processes.registry.desk import AT, Desk

VERIFIER = b"$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$aGFzaA"


@dataclass
class Office:
    """A desk with an agency that has two domains, and what an import kept of the codes."""

    desk: Desk
    agency_id: AgencyId
    codes: dict[Address, str] = field(default_factory=dict)
    rows_know: bool = True

    def importing(self) -> Importing:
        work = self.desk._for(Importing)
        work.prepare("digest", self.find_claims, self.keep_codes)
        return work

    async def run(self, rows: Sequence[Row | RefusedRow]) -> Report:
        return await self.importing().run(rows, lambda line: None)

    async def find_claims(self, names: Sequence[str]) -> Mapping[str, ClaimRow]:
        """As the rows would tell: of all of the log, or of nothing yet."""
        claims: dict[str, ClaimRow] = {}
        for recorded in await self.desk.events() if self.rows_know else ():
            event = recorded.event
            if isinstance(event, AddressClaimed):
                claims[event.name] = ClaimRow(event.account_id, event.is_alias, True)
            elif recorded.topic == "address.released/1":
                name = recorded.subject.rpartition(".")[2]
                claims[name] = replace(claims[name], is_given_out=False)
        return {name: claims[name] for name in names if name in claims}

    async def keep_codes(self, codes: Mapping[Address, str]) -> None:
        self.codes |= codes

    async def accounts(self) -> dict[AccountId, Account]:
        histories: dict[str, list[object]] = {}
        for recorded in await self.desk.events():
            if recorded.subject.startswith("ev.account."):
                histories.setdefault(recorded.subject.removeprefix("ev.account."), []).append(recorded.event)
        found = {AccountId(key): replay(Account, events) for key, events in histories.items()}  # type: ignore[arg-type]
        return {key: account for key, account in found.items() if account is not None}

    async def secrets(self) -> set[str]:
        """Names of what the key store has for accounts, without what was forgotten."""
        return {
            kept.name
            async for kept in self.desk.keys.kept("account.", "verifier.", "invitation.")
            if kept.secret
        }


@pytest.fixture
async def office(desk: Desk) -> Office:
    return Office(desk, await desk.registry.add_agency("OPM", ["opm.go.th", "opdc.go.th"]))


def row(number: int, **changed: object) -> Row:
    plain = Row(number + 2, parse_address(f"u{number}@opm.go.th"), "สุดา", "person", 1024, (), "openid")
    return replace(plain, **changed)  # type: ignore[arg-type]


async def test_accounts_are_added_with_all_they_have(office: Office) -> None:
    alias = parse_address("contact@opdc.go.th")
    report = await office.run(
        [row(0, aliases=(alias,), credential="invite"), row(1, credential=Hashed(VERIFIER))]
    )
    assert report == Report(added=2)
    assert (await office.desk.topics())[-12:] == [
        "import.begun/1", "import.advanced/1",
        "account.created/1", "tree.created/1", "address.claimed/1",
        "alias.added/1", "address.claimed/1", "invitation.made/1",
        "account.created/1", "tree.created/1", "address.claimed/1", "password.set/1",
    ]  # fmt: skip
    invited, hashed = (await office.accounts()).items()
    assert len(invited[1].aliases) == 1
    assert await office.desk.keys.get(verifier_name(hashed[0])) == VERIFIER
    invitation = decode_invitation(await office.desk.keys.get(invitation_name(invited[0])))
    assert invitation is not None
    assert invitation.is_for(office.codes[parse_address("u0@opm.go.th")], AT)
    assert await office.desk.keys.get(UNFINISHED) == b""
    added = await office.desk.registry.add_alias(parse_address("u1@opm.go.th"), parse_address("x@opm.go.th"))
    assert added == hashed[0], "it is an account as any other"


async def test_many_rows_go_into_few_appends(office: Office) -> None:
    before = len(await office.desk.events())
    assert await office.run([row(number) for number in range(300)]) == Report(added=300)
    advanced = [e.event for e in await office.desk.events() if isinstance(e.event, ImportAdvanced)]
    assert [event.added for event in advanced] == [124, 124, 52]
    assert [event.up_to for event in advanced] == [125, 249, 301]
    assert len(await office.desk.events()) == before + 1 + 3 + 900


@pytest.mark.parametrize("rows_know", [True, False])
async def test_run_again_it_adds_nobody_twice(office: Office, rows_know: bool) -> None:
    await office.run([row(number) for number in range(10)])
    office.rows_know = rows_know
    assert await office.run([row(number) for number in range(200)]) == Report(added=190, already=10)
    accounts = await office.accounts()
    assert len(accounts) == 200
    assert await office.secrets() == {account_key_name(key) for key in accounts}


@pytest.mark.parametrize("rows_know", [True, False])
async def test_a_row_that_cannot_be_added_is_told_and_the_others_go_in(
    office: Office, rows_know: bool
) -> None:
    registry = office.desk.registry
    suda, chai = parse_address("suda@opm.go.th"), parse_address("chai@opm.go.th")
    await registry.add_account(office.agency_id, suda)
    await registry.add_alias(suda, chai)
    await registry.add_account(office.agency_id, parse_address("left@opm.go.th"))
    await registry.close_account(parse_address("left@opm.go.th"), "left")
    keys = await office.secrets()
    office.rows_know = rows_know
    rows = [
        row(0, credential="invite"),
        row(1, address=chai, credential="invite"),
        row(2, aliases=(suda,)),
        row(3, address=parse_address("left@opm.go.th")),
        row(4, address=parse_address("a@example.org"), credential="invite"),
        row(5, aliases=(parse_address("b@example.org"),)),
        row(6, quota_octets=0),
        row(7, display_name="\n"),
        row(8, address=parse_address("U0@OPM.go.th")),
        row(9, aliases=(parse_address("b@opm.go.th"), parse_address("B@opm.go.th"))),
        RefusedRow(12, "not CSV"),
        row(11),
    ]
    checked = await office.importing().check(rows, lambda line: None)
    report = await office.run(rows)
    assert report.added == 2
    assert {refused.line - 2: refused.reason.partition(":")[0] for refused in report.refused} == {
        1: "the address chai@opm.go.th is given out already",
        2: "the address suda@opm.go.th is given out already",
        3: "the address left@opm.go.th was given up and rests until 2027-05-22",
        4: "no agency has the domain example.org",
        5: "the domain example.org does not belong to OPM",
        6: "a quota is from 1 octet to 1024T",
        7: "a name has at most 200 characters, all of them printable",
        8: "u0@opm.go.th stands in line 2 already",
        9: "the row names b@opm.go.th twice",
        10: "not CSV",
    }
    if rows_know:
        assert checked == report
    assert office.codes.keys() == {parse_address("u0@opm.go.th")}, "who is not there is not invited"
    assert len(await office.secrets()) == len(keys) + 3, "the keys of the others are forgotten"


async def test_a_check_changes_nothing(office: Office) -> None:
    before = len(await office.desk.events())
    assert await office.importing().check([row(0, credential="invite")], lambda line: None) == Report(added=1)
    assert len(await office.desk.events()) == before
    assert await office.secrets() == set()
    assert office.codes == {}


async def test_the_limit_of_the_agency_is_kept(office: Office) -> None:
    await office.desk.agencies.set_limits(office.agency_id, {"accounts_max": 2})
    report = await office.run([row(number) for number in range(3)])
    assert report == Report(added=2, refused=[RefusedRow(4, "OPM has 2 accounts and may have 2")])


async def test_killed_between_keys_and_events_it_leaves_no_key_behind(office: Office) -> None:
    work = office.importing()

    append = office.desk.log.append_guarded

    async def begin_and_die(facts: Sequence[Fact], expected: object, versions: object = None) -> object:
        if len(facts) > 1:
            raise Unavailable("nats", "killed here")
        return await append(facts, expected, versions)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(office.desk.log, "append_guarded", begin_and_die)
        with pytest.raises(Unavailable):
            await work.run([row(0, credential="invite")], lambda line: None)
    (key, *_) = left = await office.secrets()
    assert len(left) == 2
    assert await office.run([row(0, credential="invite")]) == Report(added=1)
    with pytest.raises(KeyForgotten):
        await office.desk.keys.get(key)
    (account_id,) = await office.accounts()
    assert await office.secrets() == {account_key_name(account_id), invitation_name(account_id)}


async def test_killed_between_events_and_codes_the_next_import_writes_them(office: Office) -> None:
    """Also one of another file; whoever has accepted meanwhile is not told of."""

    async def die(codes: Mapping[Address, str]) -> None:
        raise Unavailable("disk", "killed here")

    work = office.importing()
    work.prepare("digest", office.find_claims, die)
    with pytest.raises(Unavailable, match="killed here"):
        await work.run([row(0, credential="invite"), row(1, credential="invite"), row(2)], lambda line: None)
    by_address = {
        str(own_address(account, await office.desk.keys.get(account_key_name(account_id)))): account_id
        for account_id, account in (await office.accounts()).items()
    }
    await office.desk.keys.put(invitation_name(by_address["u1@opm.go.th"]), b"")

    assert await office.run([row(2)]) == Report(already=1)
    assert [str(address) for address in office.codes] == ["u0@opm.go.th"]
    invitation = decode_invitation(await office.desk.keys.get(invitation_name(by_address["u0@opm.go.th"])))
    assert invitation is not None
    assert invitation.is_for(office.codes[parse_address("u0@opm.go.th")], AT)
    office.codes.clear()
    assert await office.run([row(0, credential="invite")]) == Report(already=1)
    assert office.codes == {}, "they are written once"


async def test_of_two_imports_the_former_stops(office: Office) -> None:
    former = office.importing()

    async def find_and_begin_another(names: Sequence[str]) -> Mapping[str, ClaimRow]:
        assert await office.run([row(0)]) == Report(added=1)
        return await office.find_claims(names)

    former.prepare("digest", find_and_begin_another, office.keep_codes)
    with pytest.raises(Deposed, match="another import has begun"):
        await former.run([row(1, credential="invite")], lambda line: None)
    assert len(await office.accounts()) == 1
