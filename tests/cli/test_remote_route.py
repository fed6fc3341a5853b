"""`saraban agency route` through the API."""

from gateway.domain.agency import NextHop
from projections.queue import hops
from tests.cli.remote import login, run, told
from tests.processes.web.world import World

WHY = ("--reason", "agreed")
SERVERS = ("--main", "mx1.dld.go.th:25=3", "--main", "[2001:db8::1]:25", "--backup", "192.0.2.7:2525")


async def test_an_operator_says_and_shows_it(remote_world: World) -> None:
    await login(remote_world, "operator")
    dld = (await told("agency", "add", "DLD", "--domain", "dld.go.th", "--relay-to", "mx.example:25"))[
        "agency_id"
    ]
    shown = await told("agency", "route", "show", dld)
    assert (shown["way"], [hop["host"] for hop in shown["main"]]) == ("main", ["mx.example"])
    done = await run("agency", "route", "set", dld, *SERVERS, "--down-for", "10m", *WHY, "--yes")
    where = "mx1.dld.go.th:25=3, [2001:db8::1]:25; backup 192.0.2.7:2525"
    assert (done.exit_code, done.stdout) == (0, f"{dld}: mail goes to {where}\n"), done.output
    async with remote_world.office.pool.rows() as rows:
        await hops.see(rows, {NextHop("2001:db8::1", 25): True})
    told_so = (await run("agency", "route", "show", dld)).stdout.splitlines()
    assert told_so[:2] == [
        f"{dld}: mail goes by the main way",
        "backup when main is silent for 10m, back when it answers for 5m",
    ]
    table = [line.split() for line in told_so[2:]]
    assert table[0] == ["way", "server", "weight", "silent", "for"]
    assert table[1] == ["main", "mx1.dld.go.th:25", "3"]
    assert table[2][:3] == ["main", "[2001:db8::1]:25", "1"]
    assert table[2][3:], "it is silent"
    assert table[3] == ["backup", "192.0.2.7:2525", "1"]
    assert "mx1.dld.go.th:25" in (await run("agency", "show", dld)).stdout
    await told("agency", "route", "set", dld, "--main", "mx.example:25", *WHY, "--yes")
    assert (await told("agency", "route", "show", dld))["backup"] == []


async def test_it_is_asked_before_mail_goes_elsewhere_and_needs_a_reason(remote_world: World) -> None:
    await login(remote_world, "operator")
    opm = remote_world.agencies["opm.go.th"]
    for words, why in {
        ("--main", "mx.example:25", *WHY): "say --yes",
        ("--main", "mx.example:25", "--yes"): "say why with --reason",
        ("--main", "mx.example", *WHY): "no host:port[=weight]",
        ("--main", "mx.example:25=x", *WHY): "no host:port[=weight]",
        ("--backup", "mx.example:25", *WHY): "Missing option '--main'",
    }.items():
        refused = await run("agency", "route", "set", opm, *words)
        assert (refused.exit_code, why in refused.stderr) == (2, True), (words, refused.output)
    for words, why in {
        ("--main", "mx.example:25"): "are here",
        ("--main", "mx.example:25=0"): "weight",
    }.items():
        refused = await run("agency", "route", "set", opm, *words, *WHY, "--yes")
        assert (refused.exit_code, why in refused.stderr) == (1, True), (words, refused.output)
    assert (await run("agency", "route", "show", opm)).stdout == f"{opm}: its mailboxes are here\n"
