"""SMTP conversations as text files, one per behaviour (tests/dialogs/smtp/*.txt).

    config: KEY=VALUE    of SessionConfig; before the first line of the conversation
    C: LINE              the client sends LINE and CRLF; \\x00 is an octet, {a*5000} a repetition
    c: OCTETS            the same without CRLF
    S: REPLY             the server answers a reply whose last line begins so
    s: LINE              that reply has this line
    tls                  TLS begins; what was agreed on before must be STARTTLS
    kept: OCTETS         the last mail kept is this message
    from: / to: / via:   its sender, its recipients (by spaces), the protocol of its Received field
    dsn: RET ENVID | NOTIFY ORCPT | …   what it asks to be told of, a recipient each; - where it says nothing
    rrvs: DATE …         since when its recipients must have been the same, by spaces; - where nothing is said
    held: FOR UNTIL      what it asks to be held: seconds, and a time; - where nothing is said
    demands: WHAT …      what it demands of its way, as it would be passed on to a host that offers everything
    close                the server has closed the connection

Each runs line by line (each reply in its place), octet by octet, and with everything sent at once
(RFC 2920): the replies must be the same.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.mail.date_time import date_time
from gateway.mail.envelope import Envelope
from gateway.protocols.smtp import demanding
from gateway.protocols.smtp.config import SessionConfig
from gateway.protocols.smtp.offers import Offers
from tests.dialogs.smtp_shell import Shell

EVERYTHING = Offers(has_deliver_by=True, has_priority=True, has_requiretls=True)
DIALOGS = sorted((Path(__file__).parent / "smtp").glob("*.txt"))
_REPEATED = re.compile(r"\{([^{}*]+)\*([0-9]+)\}")


@dataclass(frozen=True)
class Dialog:
    config: SessionConfig
    steps: tuple[tuple[str, str], ...]


def read(path: Path) -> Dialog:
    settings: dict[str, Any] = {"message_octets_max": 1000}
    steps: list[tuple[str, str]] = []
    for line in path.read_text("utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        word, _, rest = line.partition(" ")
        word = word.rstrip(":")
        assert word in (
            "config",
            "C",
            "c",
            "S",
            "s",
            "tls",
            "kept",
            "from",
            "to",
            "via",
            "dsn",
            "rrvs",
            "demands",
            "held",
            "close",
        ), line
        if word == "config":
            key, _, value = rest.partition("=")
            settings[key] = _setting(value)
        else:
            steps.append((word, rest))
    return Dialog(SessionConfig("mx.example", **settings), tuple(steps))


def _setting(value: str) -> bool | int | tuple[str, ...]:
    if value in ("True", "False"):
        return value == "True"
    return int(value) if value.isdigit() else tuple(value.split())


def octets(step: tuple[str, str]) -> bytes:
    word, text = step
    text = _REPEATED.sub(lambda found: found[1] * int(found[2]), text)
    raw = text.encode("utf-8").decode("latin-1")
    sent = re.sub(r"\\(x[0-9a-f]{2}|r|n|\\)", lambda m: _unescaped(m[1]), raw).encode("latin-1")
    return sent + b"\r\n" if word == "C" else sent


def _unescaped(name: str) -> str:
    return {"r": "\r", "n": "\n", "\\": "\\"}.get(name) or chr(int(name[1:], 16))


class Transcript:
    """Takes the server's replies apart, one after the other, as the dialog expects them."""

    def __init__(self) -> None:
        self._seen = 0
        self._reply: list[str] = []

    def expect(self, shell: Shell, wanted: str) -> None:
        self._reply = []
        while True:
            end = shell.sent.find(b"\r\n", self._seen)
            assert end >= 0, f"expected {wanted!r}, the server said nothing more"
            line = shell.sent[self._seen : end].decode()
            self._seen = end + 2
            self._reply.append(line)
            if line[3:4] != "-":
                break
        assert line.startswith(wanted), f"expected {wanted!r}, got {line!r}"

    def expect_line(self, wanted: str) -> None:
        assert any(line[4:] == wanted for line in self._reply), f"expected {wanted!r} in {self._reply}"

    def assert_no_more(self, shell: Shell) -> None:
        assert shell.sent[self._seen :] == b"", "the server said more than expected"


def check(shell: Shell, transcript: Transcript, step: tuple[str, str]) -> None:
    word, text = step
    match word:
        case "S":
            transcript.expect(shell, text)
        case "s":
            transcript.expect_line(text)
        case "kept":
            assert shell.kept[-1][2] == octets(step)
        case "from":
            sender = shell.kept[-1][0].mail_from
            assert ("" if sender is None else str(sender)) == text
        case "to":
            assert " ".join(map(str, shell.kept[-1][0].rcpt_to)) == text
        case "via":
            assert shell.kept[-1][1] == text
        case "dsn":
            assert asked(shell.kept[-1][0]) == text
        case "rrvs":
            envelope = shell.kept[-1][0]
            assert " ".join(said or "-" for said in envelope.rrvs or ("",) * len(envelope.rcpt_to)) == text
        case "demands":
            assert demanding.written(shell.kept[-1][0].demands, EVERYTHING).strip() == text
        case "held":
            demands = shell.kept[-1][0].demands
            until = date_time(demands.hold_until) if demands.hold_until else "-"
            assert f"{demands.hold_for_s or '-'} {until}" == text
        case "close":
            assert shell.close is not None


def asked(envelope: Envelope) -> str:
    options = envelope.dsn
    notify = options.notify or ("",) * len(envelope.rcpt_to)
    orcpt = options.orcpt or ("",) * len(envelope.rcpt_to)
    pairs = [(options.ret, options.envid), *zip(notify, orcpt, strict=True)]
    return " | ".join(" ".join(said or "-" for said in pair) for pair in pairs)


@pytest.mark.parametrize("path", DIALOGS, ids=lambda path: path.stem)
def test_line_by_line(path: Path) -> None:
    dialog = read(path)
    shell, transcript = Shell(dialog.config), Transcript()
    for step in dialog.steps:
        if step[0] in ("C", "c"):
            transcript.assert_no_more(shell)
            shell.feed(octets(step))
        elif step[0] == "tls":
            shell.start_tls()
        else:
            check(shell, transcript, step)
    transcript.assert_no_more(shell)
    assert shell.session.is_closed == (shell.close is not None)
    assert (shell.close is not None) == any(word == "close" for word, _ in dialog.steps)


@pytest.mark.parametrize("path", DIALOGS, ids=lambda path: path.stem)
def test_octet_by_octet(path: Path) -> None:
    dialog = read(path)
    shell, transcript = Shell(dialog.config), Transcript()
    for step in dialog.steps:
        if step[0] in ("C", "c"):
            sent = octets(step)
            # Long ones in pieces of a prime size, else octet by octet: the same splits, in less time.
            width = 1 if len(sent) < 2000 else 61
            for start in range(0, len(sent), width):
                shell.feed(sent[start : start + width])
        elif step[0] == "tls":
            shell.start_tls()
        else:
            check(shell, transcript, step)
    transcript.assert_no_more(shell)


@pytest.mark.parametrize("path", DIALOGS, ids=lambda path: path.stem)
def test_all_at_once(path: Path) -> None:
    """What was kept is compared at the end, so a dialog names the last mail only."""
    dialog = read(path)
    shell, transcript = Shell(dialog.config), Transcript()
    sent = b""
    for step in dialog.steps:
        if step[0] in ("C", "c"):
            sent += octets(step)
        elif step[0] == "tls":
            shell.feed(sent)
            shell.start_tls()
            sent = b""
    shell.feed(sent)
    last = max((i for i, step in enumerate(dialog.steps) if step[0] == "kept"), default=0)
    for number, step in enumerate(dialog.steps):
        if step[0] in ("S", "s", "close") or number >= last:
            check(shell, transcript, step)
    transcript.assert_no_more(shell)


def test_there_are_dialogs() -> None:
    assert len(DIALOGS) > 50
