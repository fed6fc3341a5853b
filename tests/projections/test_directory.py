"""Who is registered, by which addresses, with which roles and limits: what the directory shows."""

from datetime import timedelta
from typing import Any

from gateway.domain.addresses import ADDRESS_RESTS
from gateway.domain.agency import Limits
from gateway.domain.app_passwords import Use
from gateway.mail.address import parse_address
from gateway.mail.ids import AgencyId
from gateway.mail.valid_since import Owner
from projections.checkpoint import create
from projections.directory.passwords import PasswordRow, password_of
from projections.directory.query import (
    AppPasswordRow,
    Hosted,
    NotOurs,
    Relayed,
    UnknownHere,
    account_of,
    account_with_id,
    addresses_of,
    agency_of_domain,
    app_passwords_of,
    find_accounts,
    find_recipients,
    limits_of,
    list_accounts,
    list_agencies,
    list_aliases,
    open_accounts,
    sending_hosts,
    trace_days_of,
)
from projections.directory.roles import list_roles
from projections.readmodel import Pool
from tests.projections.gateway import DLD, Gateway
from tests.projections.governing import rename
from tests.projections.rows import all_models


async def test_recipients_are_found_in_the_order_asked_whatever_their_spelling(gateway: Gateway) -> None:
    asked = ["ANN@OPM.GO.TH", "vet@dld.go.th", "nobody@opdc.go.th", "x@example.org", "bee@opdc.go.th"]
    async with gateway.pool.rows() as rows:
        found = await find_recipients(rows, [parse_address(text) for text in asked])
    ann, bee = gateway.ann, gateway.bee
    assert found == [
        Hosted(gateway.opm, ann.account_id, ann.inbox_id),
        Relayed(gateway.dld, DLD),
        UnknownHere(gateway.opdc),
        NotOurs(),
        Hosted(gateway.opdc, bee.account_id, bee.inbox_id),
    ]


async def test_a_renamed_agency_has_its_former_names(gateway: Gateway) -> None:
    for name in ("สร.", "สำนักนายกฯ"):
        rename(gateway.world, gateway.opm, name)
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        (opm,) = [row for row in await list_agencies(rows) if row.agency_id == gateway.opm]
    assert (opm.name, opm.former_names) == ("สำนักนายกฯ", ("สำนักนายกรัฐมนตรี", "สร."))


async def test_agencies_and_accounts_are_listed(gateway: Gateway) -> None:
    async with gateway.pool.rows() as rows:
        agencies = await list_agencies(rows)
        everyone = await list_accounts(rows)
        assert await list_accounts(rows, agency_id=gateway.opdc) == everyone[1:]
        assert await list_accounts(rows, after=everyone[0].account_id) == everyone[1:]
        assert await account_of(rows, parse_address("ann@OPM.go.th")) == everyone[0]
        assert await account_of(rows, parse_address("zoe@opm.go.th")) is None
    assert [(row.name, row.next_hop, row.domains, row.accounts) for row in agencies] == [
        ("DLD", DLD, ("dld.go.th",), 0),
        ("OPDC", None, ("opdc.go.th",), 1),
        ("สำนักนายกรัฐมนตรี", None, ("opm.go.th",), 1),
    ]
    assert [(row.address, row.display_name) for row in everyone] == [
        ("Ann@opm.go.th", "อัญชลี"),
        ("bee@opdc.go.th", "Bee"),
    ]


async def test_servers_of_agencies_that_may_send_are_known(gateway: Gateway) -> None:
    async with gateway.pool.rows() as rows:
        assert await sending_hosts(rows) == [(gateway.dld, DLD.host)]
        assert await agency_of_domain(rows, "dld.go.th") == gateway.dld
        assert await agency_of_domain(rows, "example.org") is None
    gateway.world.suspend_agency(gateway.dld)
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        assert await sending_hosts(rows) == []


async def test_an_alias_is_its_accounts_until_it_is_given_up(gateway: Gateway) -> None:
    world, ann, bee = gateway.world, gateway.ann, gateway.bee
    asked = [parse_address(text) for text in ("สำนัก@OPM.go.th", "ann@opm.go.th")]
    world.alias(ann, "สำนัก@OPM.go.th")
    since = world.now
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        assert await find_recipients(rows, asked) == [Hosted(gateway.opm, ann.account_id, ann.inbox_id)] * 2
        assert await account_of(rows, asked[0]) == await account_of(rows, asked[1])
        assert await addresses_of(rows, ann.account_id) == {"สำนัก@opm.go.th", "ann@opm.go.th"}
        (alias,) = await list_aliases(rows)
        assert (alias.alias, alias.address, alias.owner_since) == ("สำนัก@OPM.go.th", "Ann@opm.go.th", since)
        assert await list_aliases(rows, account_id=bee.account_id) == []
        assert await list_aliases(rows, after=(ann.account_id, alias.name)) == []

    world.unalias(ann, "สำนัก@opm.go.th")
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        assert (await find_recipients(rows, asked))[0] == UnknownHere(gateway.opm)
        assert await account_of(rows, asked[0]) is None
        assert await addresses_of(rows, ann.account_id) == {"ann@opm.go.th"}
        assert await list_aliases(rows) == []


async def test_app_passwords_are_listed_until_they_are_revoked(gateway: Gateway) -> None:
    world, ann = gateway.world, gateway.ann
    until = world.now + timedelta(days=30)
    use = Use("โทรศัพท์", until, ("smtp", "imap"), ("192.0.2.0/24", "2001:db8::/32"))
    first, second = world.app_password(ann, use), world.app_password(ann, Use("printer"))
    made_at = world.now
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        phone, printer = await app_passwords_of(rows, ann.account_id)
        assert (phone.app_id, phone.label, phone.expires_at) == (first, "โทรศัพท์", until)
        assert (phone.protocols, phone.networks) == (use.protocols, use.networks)
        assert printer == AppPasswordRow(second, "printer", made_at, None, (), ())
    world.revoke_app_password(ann, first)
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        assert [each.app_id for each in await app_passwords_of(rows, ann.account_id)] == [second]


async def test_an_account_tells_when_its_password_was_set_last_and_by_whom(gateway: Gateway) -> None:
    world, ann = gateway.world, gateway.ann
    bee = world.account(gateway.opm, "bee2@opm.go.th")
    world.set_password(ann, "import")
    world.now += timedelta(days=1)
    last = world.set_password(ann)
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        assert await password_of(rows, ann.account_id) == PasswordRow(last, "administrator", "operator root")
        assert await password_of(rows, bee.account_id) is None


async def test_an_owner_who_takes_an_alias_back_has_had_it_since_the_first_time(gateway: Gateway) -> None:
    world, ann = gateway.world, gateway.ann
    other = world.account(gateway.opm, "other@opm.go.th")
    world.alias(ann, "office@opm.go.th")
    first = world.now
    world.unalias(ann, "office@opm.go.th")
    world.alias(ann, "office@opm.go.th")
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        assert [alias.owner_since for alias in await list_aliases(rows)] == [first]
        (hosted,) = await find_recipients(rows, [parse_address("office@opm.go.th")])
    assert isinstance(hosted, Hosted)
    assert hosted.owner == Owner(first, is_first=True)
    world.unalias(ann, "office@opm.go.th")
    world.now += ADDRESS_RESTS
    world.alias(other, "office@opm.go.th")
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        (alias,) = await list_aliases(rows)
        (hosted,) = await find_recipients(rows, [parse_address("office@opm.go.th")])
    assert (alias.account_id, alias.owner_since) == (other.account_id, world.now)
    assert isinstance(hosted, Hosted)
    assert hosted.owner == Owner(world.now, is_first=False)


async def test_a_suspended_account_gets_its_mail_and_says_why_it_is(gateway: Gateway) -> None:
    world, ann = gateway.world, gateway.ann
    asked = parse_address("ann@opm.go.th")
    world.suspend(ann, "ลืมรหัสผ่าน")
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        found = await account_of(rows, asked)
        assert await find_recipients(rows, [asked]) == [Hosted(gateway.opm, ann.account_id, ann.inbox_id)]
    assert found is not None
    assert (found.account_id, found.status, found.reason) == (ann.account_id, "suspended", "ลืมรหัสผ่าน")


async def test_a_closed_account_is_nobody_to_write_to_until_it_is_activated(gateway: Gateway) -> None:
    world, ann = gateway.world, gateway.ann
    asked = [parse_address(text) for text in ("ann@opm.go.th", "office@opm.go.th")]
    world.alias(ann, "office@opm.go.th")
    world.close(ann)
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        assert await find_recipients(rows, asked) == [UnknownHere(gateway.opm)] * 2
        for address in asked:
            found = await account_of(rows, address)
            assert found is not None
            assert (found.account_id, found.status) == (ann.account_id, "closed")
        assert await addresses_of(rows, ann.account_id) == set()

    world.activate(ann)
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        hosted = Hosted(gateway.opm, ann.account_id, ann.inbox_id)
        assert await find_recipients(rows, asked) == [hosted, UnknownHere(gateway.opm)]
        found = await account_of(rows, asked[0])
        assert await account_of(rows, asked[1]) is None
    assert found is not None
    assert (found.status, found.reason) == ("active", "กลับมาแล้ว")


async def test_what_an_agency_is_its_accounts_are_unless_they_are_closed(gateway: Gateway) -> None:
    world, opm, ann = gateway.world, gateway.opm, gateway.ann
    zoe, max_ = world.account(opm, "zoe@opm.go.th"), world.account(opm, "max@opm.go.th")
    world.suspend(zoe, "ลาออก")
    world.close(max_, "ย้าย")
    world.suspend_agency(opm, "ส่งสแปม")
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        found = {row.account_id: (row.status, row.reason) for row in await list_accounts(rows)}
        assert found == {
            ann.account_id: ("agency-suspended", "ส่งสแปม"),
            zoe.account_id: ("agency-suspended", "ส่งสแปม"),
            max_.account_id: ("closed", "ย้าย"),
            gateway.bee.account_id: ("active", ""),
        }
        one = await account_of(rows, parse_address("ann@opm.go.th"))
        assert one is not None
        assert one.status == "agency-suspended"
        hosted = Hosted(opm, ann.account_id, ann.inbox_id)
        assert await find_recipients(rows, [parse_address("ann@opm.go.th")]) == [hosted]
        assert {row.agency_id: row.status for row in await list_agencies(rows)} == {
            opm: "suspended", gateway.opdc: "active", gateway.dld: "active",
        }  # fmt: skip

    world.activate_agency(opm)
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        found = {row.account_id: (row.status, row.reason) for row in await list_accounts(rows)}
    assert found[ann.account_id] == ("active", "")
    assert found[zoe.account_id] == ("suspended", "ลาออก")


async def test_the_limits_of_an_agency_are_the_last_that_were_set(gateway: Gateway) -> None:
    world, opm = gateway.world, gateway.opm
    async with gateway.pool.rows() as rows:
        assert await limits_of(rows, opm) == await limits_of(rows, AgencyId("ag_nobody")) == Limits()
    world.limit(opm, accounts_max=500, recipients_max=100)
    world.limit(opm, trace_days=120, relay_connections_max=5, relay_mails_a_minute=600)
    world.limit(opm, recipients_max=None, message_octets_max=10**7, attachment_octets_max=None)
    world.close(world.account(opm, "zoe@opm.go.th"))
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        assert await limits_of(rows, opm) == Limits(500, None, 10**7, None, 120, 5, 600)
        assert await trace_days_of(rows) == {opm: 120}
        assert await limits_of(rows, gateway.opdc) == Limits()
        assert await open_accounts(rows, opm) == 1


async def test_accounts_are_found_by_a_part_of_what_they_are_called(gateway: Gateway) -> None:
    world, ann, bee = gateway.world, gateway.ann, gateway.bee
    world.alias(bee, "Front_Desk@opdc.go.th")
    gone = world.account(gateway.opdc, "gone@opdc.go.th", "100% Ann")
    world.close(gone)
    await gateway.catch_up()

    async with gateway.pool.rows() as rows:

        async def ids(text: str, **more: Any) -> list[str]:
            return [row.account_id for row in await find_accounts(rows, text=text, **more)]

        assert await ids("") == [ann.account_id, bee.account_id, gone.account_id]
        assert await ids("ANN") == [ann.account_id, gone.account_id]
        assert await ids("อัญ") == [ann.account_id]
        assert await ids("front_") == await ids("Bee") == [bee.account_id]
        assert await ids("100%") == await ids("100\N{FULLWIDTH PERCENT SIGN}") == [gone.account_id]
        assert await ids("t\N{FULLWIDTH PERCENT SIGN}d") == []
        assert await ids("t%d") == await ids("n_n") == await ids("\\") == await ids("a\0nn") == []
        assert await ids("ann", agencies=[gateway.opm]) == [ann.account_id]
        assert await ids("", agencies=[]) == []
        assert await ids("", after=ann.account_id, limit=1) == [bee.account_id]
        found = await account_with_id(rows, bee.account_id)
        assert found is not None
        assert found.address == "bee@opdc.go.th"
        assert await list_aliases(rows, agencies=[gateway.opm]) == []
        assert len(await list_aliases(rows, agencies=[gateway.opdc])) == 1


async def test_an_account_is_found_by_the_aliases_it_has_however_they_came(gateway: Gateway) -> None:
    """Given up, given to somebody else, and in the same batch as the account itself."""
    world, ann = gateway.world, gateway.ann
    world.alias(ann, "desk@opm.go.th")
    zoe = world.account(gateway.opm, "zoe@opm.go.th", "น้ำทิพย์")
    world.alias(zoe, "Counter@opm.go.th")
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:

        async def ids(text: str) -> list[str]:
            return [row.account_id for row in await find_accounts(rows, text=text)]

        assert await ids("desk") == [ann.account_id]
        assert await ids("COUNTER") == await ids("น้ำ") == await ids("ท") == [zoe.account_id]
        assert await ids("น้\N{THAI CHARACTER NIKHAHIT}\N{THAI CHARACTER SARA AA}") == [zoe.account_id]
        world.close(ann)
        await gateway.catch_up()
        assert await ids("desk") == []
        assert await ids("ann@") == [ann.account_id], "by what it was made with it can still be found"


async def test_a_role_is_held_until_it_is_revoked_or_the_account_is_closed(gateway: Gateway) -> None:
    world, opm, ann, bee = gateway.world, gateway.opm, gateway.ann, gateway.bee
    world.grant(ann, "agency-admin", opm)
    world.grant(ann, "auditor", gateway.opdc)
    world.grant(bee, "operator", None)
    since = world.now
    world.revoke(ann, "auditor", gateway.opdc)
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        held = await list_roles(rows)
        assert [(row.account_id, row.role, row.agency_id) for row in held] == [
            (ann.account_id, "agency-admin", opm),
            (bee.account_id, "operator", None),
        ]
        assert (held[1].address, held[1].granted_at) == ("bee@opdc.go.th", since)
        assert await list_roles(rows, account_id=bee.account_id) == held[1:]
        assert await list_roles(rows, agencies=[opm]) == held[:1]
        assert await list_roles(rows, agencies=[]) == []

    world.close(bee)
    world.activate(bee)
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        assert await list_roles(rows) == held[:1]
    world.grant(bee, "operator", None)


async def test_an_account_whose_key_is_gone_is_folded_without_its_name(pool: Pool) -> None:
    gateway = Gateway(pool)
    await create(pool, all_models(gateway.world.keys))
    await gateway.world.keys.forget(f"account.{gateway.ann.account_id}")
    await gateway.catch_up()
    async with pool.rows() as rows:
        ann = (await list_accounts(rows, agency_id=gateway.opm))[0]
        (found,) = await find_recipients(rows, [parse_address("ann@opm.go.th")])
    assert (ann.account_id, ann.address, ann.display_name) == (gateway.ann.account_id, "", "")
    assert found == UnknownHere(gateway.opm)
