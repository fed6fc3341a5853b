"""`saraban send` against a small SMTP server that has nothing of ours."""

import email
import email.policy
import json
import socketserver
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main


class Server(socketserver.ThreadingTCPServer):
    """Says yes to everybody but nobody@…; gives every mail the same id."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Conversation)
        self.lines: list[str] = []
        self.message = b""
        self.last = "250 2.0.0 mail_x"
        self.offers = ["8BITMIME", "SMTPUTF8"]


class Conversation(socketserver.StreamRequestHandler):
    server: Server

    def say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())

    def handle(self) -> None:
        self.say("220 mail.saraban.example")
        while line := self.rfile.readline().decode().rstrip("\r\n"):
            self.server.lines.append(line)
            match line.split(" ")[0].lower():
                case "ehlo":
                    self.say(
                        "250-mail.saraban.example", *(f"250-{o}" for o in self.server.offers), "250 HELP"
                    )
                case "rcpt" if "nobody@" in line:
                    self.say("550 5.1.1 No such mailbox here")
                case "data":
                    self.say("354 go on")
                    while (octets := self.rfile.readline()) != b".\r\n":
                        self.server.message += octets.removeprefix(b".") if octets[:2] == b".." else octets
                    self.say(self.server.last)
                case "quit":
                    self.say("221 bye")
                    return
                case _:
                    self.say("250 2.0.0 OK")


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def send(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Send":
    monkeypatch.setenv("SARABAN_LISTEN_SMTP", f"127.0.0.1:{server.server_address[1]}")
    return Send(tmp_path)


class Send:
    def __init__(self, data: Path) -> None:
        self._data = data

    def __call__(self, *arguments: str, as_json: bool = False) -> Result:
        common = ["--data", str(self._data), *(["--json"] if as_json else [])]
        return CliRunner().invoke(main, [*common, "send", *arguments])


def sent(server: Server) -> EmailMessage:
    message = email.message_from_bytes(server.message, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


ENVELOPE = ("--from", "somchai@opm.go.th", "--to", "malee@opdc.go.th")


def test_a_mail_is_sent_and_its_id_is_printed(server: Server, send: Send) -> None:
    told = send(*ENVELOPE, "--subject", "ขอเชิญประชุม", "--text", "เก้าโมง\nห้อง ๓")
    assert (told.exit_code, told.stdout) == (0, "accepted as mail_x\n")
    message = sent(server)
    assert (message["Subject"], message["To"]) == ("ขอเชิญประชุม", "malee@opdc.go.th")
    assert message["Message-ID"].endswith("@opm.go.th>")
    assert message.get_content().splitlines() == ["เก้าโมง", "ห้อง ๓"]
    assert any(line.lower().startswith("mail from:<somchai@opm.go.th>") for line in server.lines)


def test_who_was_refused_is_told_beside_the_id(send: Send) -> None:
    told = send(*ENVELOPE, "--to", "nobody@opm.go.th", as_json=True)
    assert told.exit_code == 0
    assert json.loads(told.stdout) == {
        "mail_id": "mail_x",
        "refused": {"nobody@opm.go.th": "550 5.1.1 No such mailbox here"},
    }


def test_a_mail_nobody_may_get_is_an_error(send: Send) -> None:
    told = send("--from", "somchai@opm.go.th", "--to", "nobody@opm.go.th")
    assert told.exit_code == 1
    assert told.stderr == (
        "saraban: no recipient was accepted: nobody@opm.go.th: 550 5.1.1 No such mailbox here\n"
    )


def test_a_mail_that_was_refused_at_its_end_is_an_error(server: Server, send: Send) -> None:
    server.last = "452 4.3.1 Short of space, try again later"
    told = send(*ENVELOPE)
    assert told.exit_code == 1
    assert told.stderr == "saraban: the gateway refused the mail: 452 4.3.1 Short of space, try again later\n"


def test_files_go_along_octet_for_octet_under_their_thai_names(
    server: Server, send: Send, tmp_path: Path
) -> None:
    files = {
        "หนังสือเชิญ.pdf": ("application/pdf", bytes(range(256)) * 300),
        "note.txt": ("text/plain", "ก\r\nข\n".encode()),
        "old.eml": ("application/octet-stream", b"Subject: x\n\n\xff\n"),
        "all.tar.gz": ("application/octet-stream", b"\x1f\x8b\x00"),
        "no-ending": ("application/octet-stream", b"."),
    }
    for name, (_, octets) in files.items():
        (tmp_path / name).write_bytes(octets)
    attach = [word for name in files for word in ("--attach", str(tmp_path / name))]
    assert send(*ENVELOPE, "--text", "ตามแนบ", *attach).exit_code == 0
    found = {
        part.get_filename(): (part.get_content_type(), part.get_payload(decode=True))
        for part in sent(server).iter_attachments()
    }
    assert found == files


def test_thai_addresses_ask_for_smtputf8(server: Server, send: Send) -> None:
    assert send("--from", "สมชาย@กรม.example", "--to", "สมหญิง@opm.go.th", "--text", "ครับ").exit_code == 0
    (mail,) = [line for line in server.lines if line.lower().startswith("mail from")]
    assert "<สมชาย@กรม.example>" in mail
    assert "SMTPUTF8" in mail
    assert "สมหญิง@opm.go.th" in server.message.decode()


def test_a_server_without_smtputf8_is_an_error_and_no_crash(server: Server, send: Send) -> None:
    server.offers = []
    told = send("--from", "สมชาย@opm.go.th", "--to", "malee@opdc.go.th")
    assert told.exit_code == 1
    assert "SMTPUTF8" in told.stderr


@pytest.mark.parametrize("subject", ["a\nBcc: eve@example.org", "a\r\nb"])
def test_a_subject_is_one_line(server: Server, send: Send, subject: str) -> None:
    told = send(*ENVELOPE, "--subject", subject)
    assert told.exit_code == 2
    assert "--subject" in told.stderr
    assert server.lines == []


def test_a_gateway_that_does_not_run_is_said_so(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SARABAN_LISTEN_SMTP", "127.0.0.1:1")
    told = send(*ENVELOPE)
    assert told.exit_code == 1
    assert told.stderr.startswith("saraban: no gateway answered at 127.0.0.1:1: ")


def test_a_gateway_that_takes_no_mail_is_said_so(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SARABAN_LISTEN_SMTP", "")
    told = send(*ENVELOPE)
    assert told.exit_code == 1
    assert told.stderr == "saraban: this gateway takes no mail: SARABAN_LISTEN_SMTP is empty\n"
