"""Issue 3/9, acceptance 1: seven next hops that misbehave, each in its way, and one that does not.

The relay's times are short here, and everything else is as it is in service. First of all a relay is killed
between a host's 250 and its own record of it: its lease runs out while the others misbehave.
"""

import json
import os
import signal
import smtplib
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any, Final

import pytest
from anyio.from_thread import start_blocking_portal

from tests.e2e.gateway import REASON, Gateway, running_gateway
from tests.e2e.messages import new_message_id
from tests.misbehaving import (
    TAKEN,
    BadTls,
    DropsAfterData,
    Greylists,
    Server,
    Session,
    Silent,
    Slow,
    Tires,
    listening,
)
from tests.processes.relay.authority import Authority, shown
from tests.sizes import size

SENDER: Final = "malee@opdc.go.th"
MAILS: Final = size(8, 200)  # to each
CONNECTIONS: Final = size(4, 20)
REPLY_TIMEOUT_S: Final = size(20, 60)
OCTET_EACH_S: Final = size(1, 10) / 10
RETRY_FIRST_S: Final = 3
ENV: Final = {
    "SARABAN_RELAY_CONCURRENCY": str(CONNECTIONS),
    "SARABAN_RELAY_REPLY_TIMEOUT_S": str(REPLY_TIMEOUT_S),
    "SARABAN_RELAY_RETRY_FIRST_S": str(RETRY_FIRST_S),
    "SARABAN_RELAY_RETRY_LONGEST_S": str(2 * RETRY_FIRST_S),
}
SUSPENDED: Final = "4.4.1"  # of a destination that has not answered a few times: nobody asks for a while
PATIENCE_S: Final = float(size(300, 3600))


Facts = dict[str, list[dict[str, Any]]]  # events with their positions, by mail_id


@dataclass
class KillsItsClient(Server):
    """Stops the process that talks to it before its 250, and kills it after: the 250 is never read."""

    victims: list[int] = field(default_factory=list)

    async def say(self, session: Session, said: str) -> None:
        if said != TAKEN or not self.victims:
            await super().say(session, said)
            return
        victim = self.victims.pop()
        os.kill(victim, signal.SIGSTOP)
        await super().say(session, said)
        os.kill(victim, signal.SIGKILL)


@dataclass
class Scene:
    """A gateway and its next hops, by the name of their domain's first label. sent: mail_ids, likewise."""

    gateway: Gateway
    servers: dict[str, Server]
    agencies: dict[str, str]
    sent: dict[str, list[str]] = field(default_factory=dict)

    def send(self, name: str, mails: int = MAILS) -> list[str]:
        """One mail after the other, each to somebody of its own: their Message-IDs."""
        host, _, port = self.gateway.address("smtp").rpartition(":")
        message_ids = [new_message_id() for _ in range(mails)]
        with smtplib.SMTP(host, int(port), timeout=60) as smtp:
            smtp.ehlo()
            for number, message_id in enumerate(message_ids):
                smtp.mail(SENDER)
                smtp.rcpt(f"u{number}@{domain_of(name)}")
                message = f"From: {SENDER}\r\nSubject: {name}\r\nMessage-ID: {message_id}\r\n\r\nHi.\r\n"
                code, said = smtp.data(message.encode())
                assert code == 250, said
                self.sent.setdefault(name, []).append(said.decode().split()[1])
        return message_ids

    def facts(self, *outcomes: str) -> list[Facts]:
        """What the log has of all mails: for each of these outcomes, in the order of the log, by mail_id."""
        found: dict[str, Facts] = {outcome: {} for outcome in outcomes}
        for row in self.gateway.events("mail."):
            outcome = row["topic"].removeprefix("mail.").removesuffix("/1")
            if outcome in found:
                fact = row["event"] | {"position": row["position"]}
                found[outcome].setdefault(fact["mail_id"], []).append(fact)
        return list(found.values())

    def concluded(self, name: str, outcome: str, attempt: int = 1) -> bool:
        """Whether each mail has such an outcome of such an attempt, or a later one, in the relay's log."""
        lines = self.gateway.log_of("relay").splitlines()
        said = [json.loads(line) for line in lines if f'"mail.{outcome}/1"' in line]
        return set(self.sent[name]) <= {one["mail_id"] for one in said if one["attempt"] >= attempt}

    def wait_concluded(self, name: str, outcome: str, attempt: int = 1) -> None:
        self.wait(partial(self.concluded, name, outcome, attempt), f"mails to {name} are {outcome}")

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        self.gateway.wait(condition, what, PATIENCE_S)

    def wait_taken(self, name: str, message_ids: Sequence[str]) -> None:
        wanted, server = set(message_ids), self.servers[name]
        self.wait(lambda: wanted <= server.times_taken.keys(), f"{name} has its mails")


def domain_of(name: str) -> str:
    return f"{name}.example.org"


def at(fact: dict[str, Any], key: str = "at") -> datetime:
    return datetime.fromisoformat(fact[key])


@contextmanager
def on_stage(gateway: Gateway, servers: dict[str, Server]) -> Iterator[Scene]:
    """The servers listen in a thread of their own, and each is the next hop of an agency."""
    with start_blocking_portal() as portal, ExitStack() as stack:
        for server in servers.values():
            stack.enter_context(portal.wrap_async_context_manager(listening(server)))
        agencies = {
            name: gateway.cli(
                "agency", "add", name, "--domain", domain_of(name), "--relay-to", str(server.hop)
            )["agency_id"]
            for name, server in servers.items()
        }
        yield Scene(gateway, servers, agencies)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("misbehaving")
    ours, others = Authority("theirs"), Authority("another")
    pinned = folder / "theirs.pem"
    pinned.write_text(ours.pem)
    servers: dict[str, Server] = {
        "good": Server(),
        "drops": DropsAfterData(),
        "greylists": Greylists(delay_s=1.0),
        "tires": Tires(mails_max=5),
        "bad-tls": BadTls(),
        "wrong-certificate": Server(tls=shown(others.sign(), folder)),
        "slow": Slow(pause_s=OCTET_EACH_S),
        "silent": Silent(),
        "kills": KillsItsClient(),
    }
    with running_gateway(folder, env=ENV) as gateway, on_stage(gateway, servers) as scene:
        agencies = scene.agencies
        gateway.cli("agency", "tls", agencies["bad-tls"], "required", "--reason", REASON)
        tls = ("agency", "tls", agencies["wrong-certificate"])
        gateway.cli(*tls, "pinned", "--ca", str(pinned), "--reason", REASON)
        _kill_a_relay(scene)
        yield scene


def _kill_a_relay(scene: Scene) -> None:
    """Between the 250 of a host and the record of it."""
    killer, relay = scene.servers["kills"], scene.gateway.pid("relay")
    assert isinstance(killer, KillsItsClient)
    killer.victims.append(relay)
    scene.wait_taken("kills", scene.send("kills", mails=1))
    scene.wait(lambda: scene.gateway.pids("relay") not in ([], [relay]), "another relay is there")
    scene.wait_taken("good", scene.send("good", mails=1))


def test_mail_to_the_good_one_passes_by_the_misbehaving(scene: Scene) -> None:
    """By order: all of it arrives before the silent one is given up once and before the slow one has all."""
    servers = scene.servers
    scene.wait_taken("good", scene.send("good"))
    misbehaving = [name for name in servers if name not in ("good", "kills")]
    for name in misbehaving:
        scene.send(name)
    scene.wait(lambda: all(servers[name].sessions for name in misbehaving), "each of the seven is at it")
    scene.wait_taken("good", scene.send("good"))

    idle, busy = scene.sent["good"][1 : MAILS + 1], scene.sent["good"][MAILS + 1 :]
    scene.wait_concluded("good", "relayed")
    scene.wait_concluded("slow", "relayed")
    scene.wait_concluded("silent", "deferred")
    accepted, relayed, deferred = scene.facts("accepted", "relayed", "deferred")
    last = max(relayed[mail_id][0]["position"] for mail_id in busy)
    for mail_id in scene.sent["silent"]:
        assert deferred[mail_id][0]["position"] > last
    assert max(relayed[mail_id][0]["position"] for mail_id in scene.sent["slow"]) > last

    def median_s(mail_ids: Sequence[str]) -> float:
        return statistics.median(
            (at(relayed[mail_id][0]) - at(accepted[mail_id][0])).total_seconds() for mail_id in mail_ids
        )

    print(
        f"accepted to relayed at the good one, median of {MAILS} mails: {median_s(idle):.3f} s alone, "
        f"{median_s(busy):.3f} s beside seven that misbehave: {median_s(busy) / median_s(idle):.2f} times"
    )


def test_a_slow_one_and_one_that_tires_of_connections_get_each_mail_once(scene: Scene) -> None:
    for name in ("slow", "tires"):
        scene.wait_concluded(name, "relayed")
    relayed, deferred = scene.facts("relayed", "deferred")
    for name in ("slow", "tires"):
        server = scene.servers[name]
        assert set(server.times_taken.values()) == {1}
        assert len(server.mails) == MAILS
        assert not deferred.keys() & set(scene.sent[name])
        assert server.most_at_once <= CONNECTIONS
    assert {relayed[mail_id][0]["attempt"] for mail_id in scene.sent["slow"]} == {1}
    tires = scene.servers["tires"]
    assert isinstance(tires, Tires)
    assert max(session.mails for session in tires.sessions) <= tires.mails_max


def test_greylisted_mail_goes_with_its_second_attempt(scene: Scene) -> None:
    greylists = scene.servers["greylists"]
    assert isinstance(greylists, Greylists)
    scene.wait_concluded("greylists", "relayed")
    deferred, relayed = scene.facts("deferred", "relayed")
    for mail_id in scene.sent["greylists"]:
        (first,) = deferred[mail_id]
        assert (first["attempt"], first["code"], first["status"]) == (1, 450, "4.7.1")
        (second,) = relayed[mail_id]
        assert second["attempt"] == 2
        assert at(second) >= at(first, "next_attempt_at")
    assert set(greylists.times_taken.values()) == {1}
    assert greylists.refusals == MAILS


def test_a_mail_that_a_host_dropped_behind_the_dot_comes_again_and_is_counted(scene: Scene) -> None:
    drops = scene.servers["drops"]
    scene.wait_concluded("drops", "relayed")
    (deferred,) = scene.facts("deferred")
    for mail_id in scene.sent["drops"]:
        (first,) = deferred[mail_id]
        assert (first["attempt"], first["code"], first["status"]) == (1, 0, "4.4.2")
    assert len(drops.mails) == 2 * MAILS
    assert set(drops.times_taken.values()) == {1}
    assert scene.gateway.log_of("relay").count('"possible_double"') == MAILS
    assert _said(scene, "drops").startswith("The host may have the mail")


def test_one_that_never_answers_is_asked_again_on_schedule(scene: Scene) -> None:
    silent, mail_ids = scene.servers["silent"], scene.sent["silent"]
    scene.wait_concluded("silent", "deferred", 2)
    connections = len(silent.sessions) - silent.open_now
    (deferred,) = scene.facts("deferred")
    for mail_id in mail_ids:
        for attempt, fact in enumerate(deferred[mail_id], 1):
            assert (fact["attempt"], fact["code"]) == (attempt, 0)
            delay = timedelta(seconds=RETRY_FIRST_S * min(2 ** (attempt - 1), 2))
            assert fact["status"] == SUSPENDED or at(fact, "next_attempt_at") - at(fact) >= 0.8 * delay
        for before, fact in pairwise(deferred[mail_id]):
            assert at(fact) >= at(before, "next_attempt_at")
    assert _statuses(deferred, mail_ids) == {"4.4.2"}
    assert silent.most_at_once <= CONNECTIONS
    attempts = sum(len(deferred[mail_id]) for mail_id in mail_ids)
    assert connections <= attempts
    print(f"one that never answers: {attempts} attempts over {connections} connections")
    assert _said(scene, "silent") == "The host took too long"


@pytest.mark.parametrize(
    ("name", "failure"),
    [("bad-tls", "validation-failure"), ("wrong-certificate", "certificate-not-trusted")],
)
def test_one_without_the_tls_that_its_agency_demands_hears_of_no_mail(
    scene: Scene, name: str, failure: str
) -> None:
    server, mail_ids = scene.servers[name], scene.sent[name]
    scene.wait_concluded(name, "deferred", 2)
    connections = len(server.sessions) - server.open_now
    (deferred,) = scene.facts("deferred")
    assert _statuses(deferred, mail_ids) == {"4.7.5"}
    assert not any(b"MAIL" in session.heard for session in server.sessions)
    assert connections <= sum(len(deferred[mail_id]) for mail_id in mail_ids)
    (mail,) = scene.gateway.trace("--mail-id", mail_ids[0])
    assert {step["tls_failure"] for step in mail["steps"] if step["status"] == "4.7.5"} == {failure}

    tls = ("agency", "tls", scene.agencies[name])
    scene.gateway.cli(*tls, "opportunistic", "--reason", REASON, "--yes")
    scene.wait_concluded(name, "relayed")
    assert {mail.was_tls for mail in server.mails} == {name == "wrong-certificate"}
    assert set(server.times_taken.values()) == {1}


def test_a_relay_killed_behind_a_hosts_250_doubles_that_mail_and_status_says_so(scene: Scene) -> None:
    kills = scene.servers["kills"]
    scene.wait_concluded("kills", "relayed")
    assert list(kills.times_taken.values()) == [2]
    assert scene.gateway.cli("status")["possible_doubles"] == 1
    checked = scene.gateway.cli("queue", "check")
    assert (checked["possible_doubles"], checked["faults"]) == (1, [])


def _statuses(deferred: Facts, mail_ids: Sequence[str]) -> set[str]:
    """With which mails were put off, beside those of a destination that nobody asked for a while."""
    return {fact["status"] for mail_id in mail_ids for fact in deferred[mail_id]} - {SUSPENDED}


def _said(scene: Scene, name: str) -> str:
    """What the trace has of the first attempt for its first mail."""
    (mail,) = scene.gateway.trace("--mail-id", scene.sent[name][0])
    return str(next(step["reply_text"] for step in mail["steps"] if step["topic"] == "mail.deferred/1"))
