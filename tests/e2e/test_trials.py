"""Two agencies whose trial was over while no steward was there: it comes back and makes each step."""

import asyncio
import os
import signal
import smtplib
import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.cli import settings_of
from gateway.domain.events import Actor, Stamp
from gateway.domain.trial import End, Warn
from gateway.domain.trial_steps import take_step
from gateway.mail.address import parse_address
from gateway.mail.ids import AgencyId
from gateway.ports import Position
from gateway.processes.registry.reading import Reading
from gateway.processes.registry.registry import Registry
from gateway.wiring.desk import Desk, open_desk
from tests.e2e.gateway import Gateway
from tests.e2e.load import host_and_port

PASSWORD = "a long enough password"
PLOY, NAN = "ploy@trial.example", "nan@gone.example"


class EarlierClock:
    """So long ago."""

    def __init__(self, ago: timedelta) -> None:
        self._ago = ago

    def now(self) -> datetime:
        return datetime.now(UTC) - self._ago

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def begin_trial(desk: Desk, name: str, address: str, ago: timedelta) -> AgencyId:
    """An agency that has been on trial for so long, with one account."""
    registry = Registry(
        log=desk.log,
        keys=desk.keys,
        count_accounts=None,  # type: ignore[arg-type]
        clock=EarlierClock(ago),
        entropy=desk.entropy,
        actor=Actor("operator", "test"),
        by=desk.by,
    )
    parsed = parse_address(address)
    agency_id = await registry.add_agency(name, [parsed.domain], trial_days=30)
    await registry.add_account(agency_id, parsed)
    return agency_id


async def end_trial(desk: Desk, agency_id: AgencyId, ago: timedelta) -> None:
    """As a steward did that was there in time."""
    at = datetime.now(UTC) - ago
    stamp = Stamp(at=at, actor=Actor("system", "steward"), by=desk.by)
    for step in (Warn(7), Warn(1), End(at + timedelta(days=30))):
        found = await Reading(desk.log, desk.keys).agency(agency_id)
        made = take_step(found.agency, found.position, step, stamp)
        expected = {history: Position(position) for history, position in made.expected.items()}
        await desk.log.append_guarded(made.facts, expected, made.versions)


async def begun(data: Path) -> tuple[AgencyId, AgencyId]:
    """One whose trial ended ten days ago, unnoticed, and one whose days of grace are over."""
    async with open_desk(settings_of(data)) as desk:
        ending = await begin_trial(desk, "Ending", PLOY, timedelta(days=40))
        gone = await begin_trial(desk, "Gone", NAN, timedelta(days=70))
        await end_trial(desk, gone, timedelta(days=31))
    return ending, gone


def send(gateway: Gateway, recipient: str) -> None:
    with smtplib.SMTP(*host_and_port(gateway.address("smtp")), timeout=30) as client:
        client.sendmail("ann@example.org", recipient, f"Subject: to {recipient}\r\n\r\nHello\r\n")


def sign_in(gateway: Gateway, address: str) -> bytes:
    """What 587 says to the right password."""
    trust = ssl.create_default_context(cafile=gateway.ready["ca_file"])
    trust.check_hostname = False
    with smtplib.SMTP(*host_and_port(gateway.address("submission")), timeout=30) as client:
        client.starttls(context=trust)
        try:
            code, said = client.login(address, PASSWORD)
        except smtplib.SMTPAuthenticationError as error:
            code, said = error.smtp_code, error.smtp_error  # type: ignore[assignment]
        return b"%d %s" % (code, said)


def halfway(gateway: Gateway, exports: Path, uid: int) -> Path:
    """A pipe where the steward writes a message of NAN: it waits there for a reader that never comes."""
    (account,) = gateway.found("account", "search", NAN)
    (message,) = [each for each in gateway.mailbox(NAN) if each["uid"] == uid]
    (delivered,) = [
        event["event"]
        for event in gateway.events("mail.delivered")
        if event["event"]["mail_id"] == message["mail_id"]
    ]
    folder = exports / account["account_id"] / delivered["mailbox_id"]
    folder.mkdir(parents=True)
    pipe = folder / f"{uid:08d}-{message['mail_id']}.eml.part"
    os.mkfifo(pipe, 0o600)
    return pipe


def test_a_steward_that_comes_back_ends_one_trial_and_closes_another(
    own_gateway: Gateway, tmp_path: Path
) -> None:
    gateway = own_gateway
    gateway.kill("steward", signal.SIGSTOP)  # nobody looks at the clock
    ending, gone = asyncio.run(begun(gateway.data))
    gateway.wait(lambda: gateway.found("account", "search", PLOY) != [], "the rows know who is on trial")
    typed = tmp_path / "password"
    typed.write_text(f"{PASSWORD}\n")
    gateway.cli("account", "password", PLOY, "--password-file", str(typed))
    for address, mails in {PLOY: 1, NAN: 4}.items():
        for number in range(1, mails + 1):
            send(gateway, address)
            gateway.wait(lambda at=address, n=number: len(gateway.mailbox(at)) == n, "mail comes in")
    assert sign_in(gateway, PLOY).startswith(b"235 ")
    kept = [gateway.export(NAN, uid) for uid in range(1, 5)]

    exports = gateway.data / "exports" / gone
    cut = halfway(gateway, exports, uid=3)
    gateway.kill("steward")
    gateway.wait(lambda: len(list(exports.rglob("*.eml"))) == 2, "it is in the middle of the third file")
    gateway.kill("steward")
    cut.unlink()
    gateway.wait(lambda: gateway.cli("agency", "show", gone)["status"] == "closed", "one is closed")
    gateway.wait(lambda: gateway.cli("agency", "show", ending)["status"] == "expired", "one is ended")
    told = [event["topic"] for event in gateway.events("agency.") if event["subject"].endswith(ending)]
    assert told == ["agency.created/1", *["agency.trial_warned/1"] * 2, "agency.trial_ended/1"]

    gateway.wait(lambda: len(gateway.mailbox(PLOY)) == 3, "both warnings are delivered")
    said = sign_in(gateway, PLOY)
    assert said.startswith(b"525 5.7.13 The trial of your agency has ended"), said
    send(gateway, PLOY)
    gateway.wait(lambda: len(gateway.mailbox(PLOY)) == 4, "mail still comes in")

    assert [file.read_bytes() for file in sorted(exports.rglob("*.eml"))] == kept
    assert not list(exports.rglob("*.part"))
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        send(gateway, NAN)
    code, text = refused.value.recipients[NAN]
    assert (code, text.split()[0]) == (550, b"5.1.1")
