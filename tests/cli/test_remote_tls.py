"""`saraban agency tls` through the API."""

from pathlib import Path

from gateway.domain.agency_tls import client_key_name
from tests.cli.remote import login, run, told
from tests.processes.relay.authority import Authority
from tests.processes.web.world import World

WHY = ("--reason", "agreed")


async def test_an_operator_says_and_shows_it(remote_world: World, tmp_path: Path) -> None:
    dlds, ours = Authority("DLD"), Authority("OPM").sign("mail.opm.go.th")
    for name, text in {"ca": dlds.pem, "cert": ours.chain, "key": ours.key}.items():
        (tmp_path / name).write_text(text)
    ca, cert, key = (str(tmp_path / name) for name in ("ca", "cert", "key"))
    await login(remote_world, "operator")
    dld = (await told("agency", "add", "DLD", "--domain", "dld.go.th", "--relay-to", "mx.example:25"))[
        "agency_id"
    ]
    assert (await told("agency", "tls", dld))["use"] == "opportunistic"
    pinned = await run("agency", "tls", dld, "pinned", "--ca", ca, *WHY)
    assert (pinned.exit_code, pinned.stdout) == (0, f"{dld}: TLS with its server is pinned\n")
    excepted = await told("agency", "tls", dld, "--except-until", "2027-01-31T00:00Z", *WHY, "--yes")
    assert (excepted["use"], excepted["authorities"]) == ("pinned", dlds.pem)
    shown = await run("agency", "show", dld)
    assert "pinned, opportunistic until 2027-01-31 00:00 UTC" in shown.stdout
    assert (await told("agency", "tls", dld, "--no-exception", *WHY))["exception_until"] is None
    await told("agency", "tls", dld, "mutual", "--ca", ca, "--cert", cert, "--key", key, *WHY)
    assert await remote_world.keys.get(client_key_name(ours.chain)) == ours.key.encode()
    assert "PRIVATE" not in (await run("agency", "tls", dld, "--json")).stdout
    await told("agency", "tls", dld, "opportunistic", *WHY, "--yes")
    assert (await told("agency", "tls", dld))["certificate"] == ""


async def test_what_takes_protection_away_is_asked_first_and_all_needs_a_reason(remote_world: World) -> None:
    await login(remote_world, "operator")
    opm = remote_world.agencies["opm.go.th"]
    for words, why in {
        ("opportunistic", *WHY): "say --yes",
        ("--except-until", "2027-01-31", *WHY): "say --yes",
        ("required",): "say why with --reason",
        ("pinned", "--ca", "nowhere.pem", *WHY): "nowhere.pem cannot be read: No such file",
        ("--ca", __file__): "say which policy",
        ("mutual", "--cert", __file__, *WHY): "belong together",
        ("--except-until", "2027-01-31", "--no-exception", *WHY): "or --no-exception",
    }.items():
        refused = await run("agency", "tls", opm, *words)
        assert (refused.exit_code, why in refused.stderr) == (2, True), (words, refused.output)
