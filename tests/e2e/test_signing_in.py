"""People sign in and send with the programs they have: each mechanism each program knows, on 587 and 465."""

import asyncio
import os
import smtplib
import ssl
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.gateway import Gateway
from tests.e2e.load import host_and_port
from tests.e2e.messages import new_message_id
from tests.needs import lacks
from tests.sizes import size

HOSTNAME = "mail.saraban.example"  # in the certificate
REFUSED_WORDS = ("535", "authentication failed", "5.7.8", "login denied", "authentication unsuccessful")


@dataclass(frozen=True)
class Sender:
    """Somebody of the demonstration with an app password, and where the gateway listens."""

    address: str
    password: str
    app_password: str
    authority: str  # file
    submission: tuple[str, int]
    submissions: tuple[str, int]


@pytest.fixture(scope="module")
def sender(gateway: Gateway) -> Sender:
    account = gateway.ready["demo_accounts"][0]
    made = gateway.cli("app-password", "make", account["address"], "--label", "ทดสอบ")

    def is_listed() -> bool:
        return made["app_id"] in [
            row["app_id"] for row in gateway.found("app-password", "list", account["address"])
        ]

    gateway.wait(is_listed, "the rows know the app password")
    return Sender(
        account["address"],
        account["password"],
        made["password"],
        gateway.ready["ca_file"],
        host_and_port(gateway.address("submission")),
        host_and_port(gateway.address("submissions")),
    )


def ran(command: Sequence[str], stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **more}
    try:
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=120, check=False, env=environment
        )
    except FileNotFoundError:
        lacks(command[0])


def message(sender: Sender, message_id: str, to: str) -> str:
    return (
        f"From: {sender.address}\nTo: {to}\nSubject: ส่งจาก {message_id}\nMessage-ID: {message_id}\n\nสวัสดี\n"
    )


@dataclass(frozen=True)
class Attempt:
    """One try of one program. implicit: TLS from the first octet, on 465."""

    sender: Sender
    password: str
    mechanism: str
    implicit: bool
    message_id: str
    to: str
    folder: Path

    @property
    def place(self) -> tuple[str, int]:
        return self.sender.submissions if self.implicit else self.sender.submission


def by_swaks(attempt: Attempt) -> tuple[bool, str]:
    host, port = attempt.place
    tls = "--tls-on-connect" if attempt.implicit else "--tls"
    letter = attempt.folder / "letter.eml"
    letter.write_text(message(attempt.sender, attempt.message_id, attempt.to))
    who = [
        "--auth",
        attempt.mechanism,
        "--auth-user",
        attempt.sender.address,
        "--auth-password",
        attempt.password,
    ]
    where = ["--server", host, "--port", str(port), tls, "--tls-ca-path", attempt.sender.authority]
    what = ["--from", attempt.sender.address, "--to", attempt.to, "--data", f"@{letter}"]
    done = ran(["swaks", *where, *who, *what, "--ehlo", "client.example"])
    return done.returncode == 0, done.stdout + done.stderr


def by_curl(attempt: Attempt, *more: str) -> tuple[bool, str]:
    host, port = attempt.place
    letter = attempt.folder / "letter.eml"
    letter.write_text(
        message(attempt.sender, attempt.message_id, attempt.to).replace("\n", "\r\n"), newline=""
    )
    scheme = "smtps" if attempt.implicit else "smtp"
    url = f"{scheme}://{HOSTNAME}:{port}/client.example"
    who = [
        "--user",
        f"{attempt.sender.address}:{attempt.password}",
        "--login-options",
        f"AUTH={attempt.mechanism}",
    ]
    where = [
        "--url",
        url,
        "--resolve",
        f"{HOSTNAME}:{port}:{host}",
        "--ssl-reqd",
        "--cacert",
        attempt.sender.authority,
    ]
    what = ["--mail-from", attempt.sender.address, "--mail-rcpt", attempt.to, "--upload-file", str(letter)]
    done = ran(["curl", "--silent", "--show-error", "--verbose", *where, *who, *what, *more])
    return done.returncode == 0, done.stdout + done.stderr


def by_msmtp(attempt: Attempt) -> tuple[bool, str]:
    host, port = attempt.place
    settings, kept = attempt.folder / "msmtprc", attempt.folder / "password"
    kept.write_text(attempt.password)
    settings.write_text(
        f"account it\nhost {host}\nport {port}\nauth {attempt.mechanism.lower()}\n"
        f"from {attempt.sender.address}\nuser {attempt.sender.address}\npasswordeval cat {kept}\ntls on\n"
        f"tls_starttls {'off' if attempt.implicit else 'on'}\ntls_trust_file {attempt.sender.authority}\n"
        f"tls_host_override {HOSTNAME}\ndomain client.example\n"
    )
    settings.chmod(0o600)
    command = ["msmtp", f"--file={settings}", "--account=it", "--debug", attempt.to]
    done = ran(command, message(attempt.sender, attempt.message_id, attempt.to))
    return done.returncode == 0, done.stdout + done.stderr


def by_mutt(attempt: Attempt) -> tuple[bool, str]:
    host, port = attempt.place
    settings = attempt.folder / "muttrc"
    name = attempt.sender.address.replace("@", "%40")
    settings.write_text(
        f"set smtp_url={'smtps' if attempt.implicit else 'smtp'}://{name}@{host}:{port}/\n"
        f"set smtp_pass='{attempt.password}'\nset smtp_authenticators='{attempt.mechanism.lower()}'\n"
        f"set ssl_force_tls=yes\nset certificate_file={attempt.sender.authority}\nset ssl_verify_host=no\n"
        f"set ssl_usesystemcerts=no\nset from={attempt.sender.address}\nset use_from=yes\nset copy=no\n"
        f"set record=\nset hostname=client.example\nmy_hdr Message-ID: {attempt.message_id}\n"
        "set charset=utf-8\nset message_id_format=''\n"
    )
    command = ["mutt", "-n", "-F", str(settings), "-s", f"ส่งจาก {attempt.message_id}", "--", attempt.to]
    done = ran(command, "สวัสดี\n", HOME=str(attempt.folder))
    return done.returncode == 0, done.stdout + done.stderr


def by_smtplib(attempt: Attempt) -> tuple[bool, str]:
    trust = ssl.create_default_context(cafile=attempt.sender.authority)
    trust.check_hostname = False  # the certificate is that of the gateway's name, and we come by its address
    host, port = attempt.place
    connection = (
        smtplib.SMTP_SSL(host, port, "client.example", context=trust)
        if attempt.implicit
        else smtplib.SMTP(host, port, "client.example")
    )
    with connection as smtp:
        if not attempt.implicit:
            smtp.starttls(context=trust)
        smtp.ehlo()
        smtp.user, smtp.password = attempt.sender.address, attempt.password  # type: ignore[attr-defined]
        try:
            smtp.auth(attempt.mechanism, getattr(smtp, f"auth_{attempt.mechanism.lower()}"))
        except smtplib.SMTPAuthenticationError as error:
            return False, str(error)
        letter = message(attempt.sender, attempt.message_id, attempt.to).replace("\n", "\r\n").encode()
        smtp.sendmail(attempt.sender.address, [attempt.to], letter, ["BODY=8BITMIME"])
    return True, ""


Program = Callable[[Attempt], tuple[bool, str]]
# The mechanisms each program knows of those that the gateway offers.
KNOWN: list[tuple[Program, str]] = [
    (by_smtplib, "PLAIN"), (by_smtplib, "LOGIN"),
    (by_swaks, "PLAIN"), (by_swaks, "LOGIN"),
    (by_curl, "PLAIN"), (by_curl, "LOGIN"),
    (by_msmtp, "PLAIN"), (by_msmtp, "LOGIN"), (by_msmtp, "SCRAM-SHA-256"),
    (by_mutt, "PLAIN"), (by_mutt, "LOGIN"), (by_mutt, "SCRAM-SHA-256"),
]  # fmt: skip


# Each on both ports; at CI size on one of them, in turn.
TRIED = [
    (program, mechanism, implicit)
    for number, (program, mechanism) in enumerate(KNOWN)
    for implicit in (False, True)
    if implicit == bool(number % 2) or size(0, 1)
]


def name_of(value: object) -> str:
    if isinstance(value, bool):
        return "465" if value else "587"
    return str(getattr(value, "__name__", value)).removeprefix("by_")


@pytest.mark.parametrize(("program", "mechanism", "implicit"), TRIED, ids=name_of)
def test_a_program_signs_in_and_sends(
    gateway: Gateway, sender: Sender, tmp_path: Path, program: Program, mechanism: str, implicit: bool
) -> None:
    to, message_id = gateway.ready["demo_accounts"][-1]["address"], new_message_id()
    right = [sender.app_password] if mechanism.startswith("SCRAM") else [sender.password, sender.app_password]
    for password in right:
        attempt = Attempt(sender, password, mechanism, implicit, message_id, to, tmp_path)
        has_sent, said = program(attempt)
        assert has_sent, said
    wrong = Attempt(sender, "wrong-horse-battery", mechanism, implicit, new_message_id(), to, tmp_path)
    has_sent, said = program(wrong)
    assert not has_sent
    assert any(word in said.lower() for word in REFUSED_WORDS), said

    def is_there() -> bool:
        subjects = [row["subject"] for row in gateway.mailbox(to)]
        return subjects.count(f"ส่งจาก {message_id}") == len(right)

    gateway.wait(is_there, "every mail that was sent is delivered")


async def test_a_revoked_app_password_opens_nothing_more(gateway: Gateway, sender: Sender) -> None:
    made = gateway.cli("app-password", "make", sender.address, "--label", "lost phone")

    def is_let_in() -> bool:
        trust = ssl.create_default_context(cafile=sender.authority)
        trust.check_hostname = False
        with smtplib.SMTP_SSL(*sender.submissions, "client.example", context=trust) as smtp:
            try:
                smtp.login(sender.address, made["password"])
            except smtplib.SMTPAuthenticationError:
                return False
            return True

    await asyncio.to_thread(gateway.wait, is_let_in, "the app password opens")
    gateway.cli("app-password", "revoke", made["app_id"], "--of", sender.address, "--yes")
    await asyncio.to_thread(gateway.wait, lambda: not is_let_in(), "it opens nothing any more")
