"""An agency's administrator works from afar, through the API with TLS, and sees only their own agency."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.commands import run_command
from tests.e2e.gateway import NOTHING_FOUND, Gateway
from tests.sizes import size

PASSWORD = "a long enough password"
ADMIN, MEMBER, LATER = "head@opm.go.th", "reader@opm.go.th", "hired@opm.go.th"


class Desk:
    """One person's own computer: a home folder, and no data folder."""

    def __init__(self, gateway: Gateway, home: Path) -> None:
        self._gateway, self.home = gateway, home
        home.mkdir()

    def run(self, *words: str, typed: str = "") -> subprocess.CompletedProcess[bytes]:
        environment = self._gateway.environment() | {"HOME": str(self.home)}
        return run_command(("--json", *words), environment, typed.encode(), folder=self.home)

    def login(self, user: str, password: str = PASSWORD) -> None:
        url, authority = f"https://{self._gateway.address('https')}", self._gateway.ready["ca_file"]
        done = self.run("login", url, "--user", user, "--ca", authority, typed=f"{password}\n")
        assert done.returncode == 0, done.stderr

    def told(self, *words: str) -> Any:
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def refused(self, *words: str) -> tuple[int, str]:
        """The exit code, and the sentence."""
        done = self.run(*words)
        assert done.returncode not in (0, 2), done
        return done.returncode, json.loads(done.stderr)["error"]


@pytest.fixture(scope="module")
def people(gateway: Gateway) -> None:
    """An administrator of OPM, appointed at the operator's root, and somebody without a role."""
    for address in (ADMIN, MEMBER):
        gateway.cli("account", "add", address, "--password", PASSWORD)
    gateway.wait(lambda: gateway.found("account", "search", ADMIN) != [], "the rows know the administrator")
    gateway.cli("account", "grant", ADMIN, "agency-admin", "--reason", "หัวหน้าสารบรรณ")
    gateway.wait(lambda: gateway.found("account", "roles") != [], "the rows know the role")


@pytest.mark.usefixtures("people")
def test_an_administrator_adds_and_suspends_and_learns_nothing_of_others(
    gateway: Gateway, tmp_path: Path
) -> None:
    desk = Desk(gateway, tmp_path / "admin")
    desk.login(ADMIN)
    (opm,) = desk.told("agency", "list")
    assert "opm.go.th" in opm["domains"]
    made = desk.told("account", "add", LATER, "--name", "คนใหม่")
    assert {row["agency_id"] for row in desk.told("account", "list")} == {opm["agency_id"]}
    suspended = desk.told("account", "suspend", LATER, "--reason", "ยังไม่เริ่มงาน", "--yes")
    assert suspended["account_id"] == made["account_id"]
    (found,) = desk.told("account", "search", "คนใหม่")
    assert (found["status"], found["reason"]) == ("suspended", "ยังไม่เริ่มงาน")

    for address in ("malee@opdc.go.th", "nobody@opdc.go.th"):
        refused = desk.refused("account", "suspend", address, "--reason", "x", "--yes")
        assert refused == (NOTHING_FOUND, f"{address} is no account here")

    told = [event["event"] for event in gateway.events("account.suspended")]
    (administrator,) = gateway.found("account", "search", ADMIN)
    actor = next(event["actor"] for event in told if event["originator_id"] == made["account_id"])
    assert actor == {"kind": "account", "id": administrator["account_id"]}

    assert desk.told("logout") == {}
    assert desk.refused("agency", "list", "--api")[1] == "nobody is logged in: saraban login URL"


@pytest.mark.usefixtures("people")
def test_an_administrator_imports_a_file_from_afar(gateway: Gateway, tmp_path: Path) -> None:
    desk = Desk(gateway, tmp_path / "importer")
    desk.login(ADMIN)
    number = size(ci=50, full=5_000)
    rows = [f"person{each}@opm.go.th,invite,คน {each}" for each in range(number)]
    (desk.home / "accounts.csv").write_text(
        "\n".join(["address,credential,display_name", *rows, "spy@opdc.go.th,invite,x", ""])
    )
    words = ("import", "accounts.csv", "--invitations", "codes.csv")
    done = desk.run(*words)
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    reason = "no agency has the domain opdc.go.th"
    assert (told["added"], told["refused"]) == (number, [{"line": number + 2, "reason": reason}])
    assert len((desk.home / "codes.csv").read_text().splitlines()) == number + 1
    again = json.loads(desk.run(*words).stdout)
    assert (again["added"], again["already"]) == (0, number)
    (found,) = desk.told("account", "search", f"person{number - 1}@")
    assert found["display_name"] == f"คน {number - 1}"
    limits = desk.told("agency", "limits", found["agency_id"], "--recipients", "900")
    assert limits["recipients_max"] == 900
    refused = desk.refused("agency", "limits", found["agency_id"], "--accounts", "5000")
    assert refused[1] == "how many accounts an agency may have is the operator's to say"


@pytest.mark.usefixtures("people")
def test_a_member_sees_nothing_of_this(gateway: Gateway, tmp_path: Path) -> None:
    desk = Desk(gateway, tmp_path / "member")
    desk.login(MEMBER)
    for words in (("agency", "list"), ("account", "list"), ("account", "search", "malee")):
        assert desk.refused(*words) == (1, "a member sees /api/v1/me and nothing else")
    refused = desk.refused("account", "suspend", ADMIN, "--reason", "x", "--yes")
    assert refused == (1, "a member sees /api/v1/me and nothing else")


def test_the_operator_of_init_signs_in_by_name(gateway: Gateway, tmp_path: Path) -> None:
    made = gateway.cli("init", "--operator", "chief")
    desk = Desk(gateway, tmp_path / "operator")
    desk.login("chief", made["password"])
    assert len(desk.told("agency", "list")) >= 3
    assert {event["event"]["protocol"] for event in gateway.events("signin.accepted")} >= {"web"}
