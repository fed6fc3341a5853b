"""Acceptance 7: no file of NATS or S3 shows anything of a mail in the clear."""

import asyncio
import base64
import secrets
from pathlib import Path

from tests.e2e.gateway import Gateway
from tests.e2e.load import send_one
from tests.e2e.stores import files_with, objects

# Above what is carved into an object of its own, and below it.
LARGE_OCTETS, SMALL_OCTETS = 300_000, 3_000


def marker(name: str) -> str:
    return f"{name}-{secrets.token_hex(12)}"


def test_no_file_of_nats_or_s3_shows_a_mail(gateway: Gateway, tmp_path: Path) -> None:
    names = ("subject", "sender", "recipient", "body", "small", "large", "name")
    marks = {name: marker(name) for name in names}
    recipient = f"{marks['recipient']}@opdc.go.th"
    gateway.cli("account", "add", recipient, "--name", marks["name"], "--password", "for-tests-alone")
    message = _message(marks, recipient)
    packs = objects(gateway, "packs/")
    sender = f"{marks['sender']}@sender.example"
    code, said, _ = asyncio.run(
        send_one(gateway.address("smtp"), sender, [recipient, "farm@dld.go.th"], message)
    )
    assert code == 250, said
    gateway.wait_idle()
    gateway.wait(lambda: objects(gateway, "packs/").keys() > packs.keys(), "the mail is in a pack")

    wanted = {name: mark.encode() for name, mark in marks.items()}
    wanted |= {f"{name} in base64": core for name, mark in marks.items() for core in _base64_cores(mark)}
    control = tmp_path / "control"
    control.mkdir()
    (control / "message").write_bytes(message + "".join(marks.values()).encode())
    assert len(files_with(control, wanted)) >= len(names), "the search finds what is there"
    stores = [gateway.data / "nats", gateway.data / "s3"]
    assert all(any(store.rglob("*")) for store in stores)
    assert [hit for store in stores for hit in files_with(store, wanted)] == []


def _message(marks: dict[str, str], recipient: str) -> bytes:
    head = (
        f"From: {marks['sender']}@sender.example\r\nTo: {recipient}\r\nSubject: {marks['subject']}\r\n"
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        f"--b\r\n\r\n{marks['body']}\r\n"
    )
    return (
        head.encode()
        + _part(marks["small"], SMALL_OCTETS)
        + _part(marks["large"], LARGE_OCTETS)
        + b"--b--\r\n"
    )


def _part(mark: str, octets: int) -> bytes:
    content = (mark + "\n").encode() * (octets // (len(mark) + 1))
    head = f"--b\r\nContent-Type: text/plain; name={mark}.txt\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return head.encode() + base64.encodebytes(content).replace(b"\n", b"\r\n")


def _base64_cores(mark: str) -> list[bytes]:
    """What of the marker's base64 does not depend on where in a line of octets it begins."""
    octets = mark.encode()
    return [base64.b64encode(octets[shift : shift + 18])[:24] for shift in range(3)]
