"""Acceptance 5 of issue 2/9: an import is killed midway, run again, and ends complete without duplicates."""

import base64
import csv
import json
import signal
import smtplib
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.gateway import CONDITION_PATIENCE_S, SARABAN, CommandFailed, Gateway
from tests.sizes import size

ACCOUNTS = size(2_000, 100_000)
LOOK_EVERY_S = 0.002  # a small import is soon done
PASSWORD = "ปลาทูทอดกรอบ ๑๒"


def test_an_import_killed_midway_is_run_again_and_complete(own_gateway: Gateway, tmp_path: Path) -> None:
    file, codes = tmp_path / "accounts.csv", tmp_path / "codes.csv"
    wanted = write_accounts(file)
    before = {row["address"] for row in own_gateway.found("account", "list")}

    kill_midway(own_gateway, file, codes)
    began = time.monotonic()
    report = own_gateway.cli("import", str(file), "--invitations", str(codes))
    took_s = time.monotonic() - began
    print(f"killed after {report['already']} accounts; {report['added']} more in {took_s:.1f} s")
    assert report["refused"] == []
    assert report["added"] + report["already"] == ACCOUNTS
    assert report["added"] > 0
    assert report["already"] > 0, "it was killed midway"

    own_gateway.wait_idle(CONDITION_PATIENCE_S + ACCOUNTS / 100)
    rows = own_gateway.found("account", "list")
    addresses = [row["address"] for row in rows if row["address"] not in before]
    assert sorted(addresses) == sorted(wanted)
    assert {row["address"]: row["display_name"] for row in rows if row["address"] in wanted} == wanted
    created = own_gateway.events("account.created/1")
    assert len(created) == ACCOUNTS + len(before), "an account is made once, whatever the rows say"
    aliases = {row["alias"]: row["address"] for row in own_gateway.found("alias", "list")}
    assert {alias: of for alias, of in aliases.items() if of in wanted} == {
        f"alias-{address}": address for number, address in enumerate(wanted) if number % 10 == 0
    }

    with codes.open(encoding="utf-8", newline="") as lines:
        kept = {row["address"]: row["code"] for row in csv.DictReader(lines)}
    assert kept.keys() == wanted.keys()
    assert codes.stat().st_mode & 0o777 == 0o600
    for address in (addresses[0], addresses[-1]):  # from before the kill and from after it
        accept(own_gateway, address, kept[address])

    assert own_gateway.cli("projection", "rebuild", "directory")["equal"] is True
    again = own_gateway.cli("import", str(file), "--invitations", str(codes))
    assert (again["added"], again["already"], again["refused"]) == (0, ACCOUNTS, [])


def test_bad_rows_are_told_with_their_lines_and_the_others_go_in(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "some.csv"
    file.write_text(
        "credential,address\ninvite,good@opdc.go.th\ninvite,no address\ninvite,stranger@example.org\n",
        "utf-8",
    )
    codes = tmp_path / "codes.csv"
    for check in (("--check",), ()):
        done = subprocess.run(
            [
                *SARABAN,
                "--data",
                str(gateway.data),
                "--json",
                "import",
                str(file),
                "--invitations",
                codes,
                *check,
            ],
            env=gateway.environment(),
            capture_output=True,
            timeout=120,
            check=False,
        )
        report = json.loads(done.stdout)
        assert done.returncode == 1
        assert report["added"] == 1
        assert [row["line"] for row in report["refused"]] == [3, 4]
        gateway.wait(gateway.is_idle, "the rows know")
        found = [row["address"] for row in gateway.found("account", "list")]
        assert ("good@opdc.go.th" in found) is not bool(check)
    header, *invited = codes.read_text("utf-8").splitlines()
    assert header == "address,code"
    assert [line.partition(",")[0] for line in invited] == ["good@opdc.go.th"], "nobody who was refused"


def write_accounts(file: Path) -> dict[str, str]:
    """Accounts to be invited, every tenth with an alias: display name by address."""
    wanted = {f"user{number}@opdc.go.th": f"ผู้ใช้ {number}" for number in range(ACCOUNTS)}
    with file.open("w", encoding="utf-8-sig", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(["aliases", "address", "display_name", "quota", "credential"])
        for number, (address, name) in enumerate(wanted.items()):
            alias = f"alias-{address}" if number % 10 == 0 else ""
            writer.writerow([alias, address, name, "10G", "invite"])
    return wanted


def kill_midway(gateway: Gateway, file: Path, codes: Path) -> None:
    """SIGKILL as soon as a third of the codes is written."""
    command = [*SARABAN, "--data", str(gateway.data), "import", str(file), "--invitations", str(codes)]
    with subprocess.Popen(command, env=gateway.environment(), stdout=subprocess.DEVNULL) as importing:
        until = time.monotonic() + CONDITION_PATIENCE_S
        while not codes.exists() or codes.read_bytes().count(b"\n") < ACCOUNTS / 3:
            assert importing.poll() is None, "it ended too soon"
            assert time.monotonic() < until, "no third of the codes is written"
            time.sleep(LOOK_EVERY_S)
        importing.kill()
    assert importing.returncode == -signal.SIGKILL


def accept(gateway: Gateway, address: str, code: str) -> None:
    """Set the first password with the code, and sign in by it."""
    command = ("account", "accept-invitation", address, "--code", code, "--password-file", "-")
    gateway.cli_octets(*command, stdin=PASSWORD.encode())
    host, _, port = gateway.address("submissions").rpartition(":")
    context = ssl.create_default_context(cafile=gateway.ready["ca_file"])
    context.check_hostname = False
    with smtplib.SMTP_SSL(host, int(port), context=context, timeout=30) as client:
        client.ehlo()
        code_said, said = client.docmd("AUTH PLAIN", plain(address))
        assert code_said == 235, said
    with pytest.raises(CommandFailed, match="no invitation with this code"):
        gateway.cli_octets(*command, stdin=PASSWORD.encode())


def plain(address: str) -> str:
    """RFC 4616 §2, with a password that smtplib itself would refuse to encode."""
    return base64.b64encode(b"\0" + address.encode() + b"\0" + PASSWORD.encode()).decode()
