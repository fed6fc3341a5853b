"""`saraban agency identity` through the API."""

from pathlib import Path

from tests.cli.remote import login, run, told
from tests.processes.web.world import World


async def test_an_operator_sets_shows_and_removes_a_provider(remote_world: World, tmp_path: Path) -> None:
    await login(remote_world, "operator")
    opm = remote_world.agencies["opm.go.th"]
    secret = tmp_path / "secret"
    secret.write_text("shared\n")
    where = ("--issuer", "https://id.example.org", "--audience", "saraban")
    ours = ("--client-id", "us", "--secret-file", str(secret))
    await told("agency", "identity", opm, *where, *ours)
    assert await remote_world.keys.get(f"identity.{opm}") == b"shared"
    await login(remote_world, "admin")
    shown = await run("agency", "identity", opm, "--json")
    assert ('"https://id.example.org"' in shown.stdout, "shared" in shown.stdout) == (True, False)
    refused = await run("agency", "identity", opm, "--none", "--yes")
    assert refused.stderr == "saraban: the role agency-admin does not allow this\n"
    await login(remote_world, "operator")
    await told("agency", "identity", opm, "--none", "--yes")
    assert (await told("agency", "identity", opm))["issuer"] is None
    none = await run("agency", "identity", opm, "--none", "--yes")
    assert (none.exit_code, none.stderr) == (3, "saraban: the agency has no identity provider\n")
