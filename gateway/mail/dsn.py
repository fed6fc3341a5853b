"""The report a sender gets when a mail could not be delivered: a message of its own, as octets.

It is 7-bit throughout but for the sender's address, so it passes any host. Text is for people, in Thai and
English; the second part is for programs; the third has the header fields of the mail it is about.

Source: RFC 3464 (delivery status), RFC 6522 (multipart/report), RFC 6533 (addresses in UTF-8), RFC 3834
(Auto-Submitted), RFC 2047 (words in header fields).
"""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Final

from gateway.mail.address import Address
from gateway.mail.ids import MailId
from gateway.mail.status import EnhancedStatus

HEADER_OCTETS_MAX: Final = 32 * 1024  # of the third part; what does not fit is left out from the end
_LINE_OCTETS_MAX: Final = 998  # RFC 5322 §2.1.1
_FIELD_OCTETS_MAX: Final = 900  # of what a host said, in one field of ours
_SUBJECT: Final = "ส่งไปรษณีย์ไม่ถึงผู้รับ / Mail could not be delivered"


@dataclass(frozen=True, slots=True)
class Failure:
    """One recipient that was given up."""

    recipient: Address
    status: EnhancedStatus
    said: str  # what the host or we answered, code first; one line
    remote_host: str  # "" when we said it ourselves


@dataclass(frozen=True, slots=True)
class Report:
    """What a report says. header: of the mail it is about, with the blank line or without; b"": not known."""

    report_id: MailId
    mail_id: MailId
    hostname: str  # of this gateway
    sender: Address  # of the mail it is about: the report goes there
    at: datetime
    arrived_at: datetime
    failures: tuple[Failure, ...]
    header: bytes

    def __post_init__(self) -> None:
        assert self.failures, "a report is about at least one recipient"


def render(report: Report) -> bytes:
    """The report as a message, lines ended by CRLF."""
    boundary = f"=_{report.report_id}"
    parts = [_for_people(report), _for_programs(report)]
    if report.header:
        parts.append(_header_part(report.header))
    lines = [
        f"Date: {format_datetime(report.at)}",
        f"From: {_word('ระบบส่งไปรษณีย์ / Mail delivery system')}",
        f" <postmaster@{report.hostname}>",
        f"To: <{report.sender}>",
        f"Subject: {_word(_SUBJECT)}",
        f"Message-ID: <{report.report_id}@{report.hostname}>",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        "Content-Type: multipart/report; report-type=delivery-status;",
        f'\tboundary="{boundary}"',
        "",
        "",
    ]
    octets = "\r\n".join(lines).encode()
    for part in parts:
        octets += f"--{boundary}\r\n".encode() + part + b"\r\n"
    return octets + f"--{boundary}--\r\n".encode()


# --- the three parts ------------------------------------------------------------------------------------


def _for_people(report: Report) -> bytes:
    thai = [
        "เรียน ผู้ส่ง",
        "",
        f"ระบบไปรษณีย์ของ {report.hostname} ส่งไปรษณีย์ของท่านไม่ถึงผู้รับต่อไปนี้ และจะไม่พยายามส่งอีก",
        "",
    ]
    english = [
        "",
        f"The mail system at {report.hostname} could not deliver your mail to these recipients.",
        "It will not try again.",
        "",
    ]
    failed = [f"  {failure.recipient}\r\n    {failure.said}" for failure in report.failures]
    text = "\r\n".join([*thai, *failed, *english, *failed, "", f"Mail-ID: {report.mail_id}", ""])
    head = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return head.encode() + _base64(text.encode())


def _for_programs(report: Report) -> bytes:
    blocks = [
        [
            f"Reporting-MTA: dns; {report.hostname}",
            f"Original-Envelope-Id: {report.mail_id}",
            f"Arrival-Date: {format_datetime(report.arrived_at)}",
        ],
        *(
            [*_fields_of(failure), f"Last-Attempt-Date: {format_datetime(report.at)}"]
            for failure in report.failures
        ),
    ]
    body = "".join("\r\n".join(block) + "\r\n\r\n" for block in blocks)
    return b"Content-Type: message/delivery-status\r\n\r\n" + body.removesuffix("\r\n").encode("ascii")


def _fields_of(failure: Failure) -> Iterator[str]:
    """RFC 3464 §2.3: what became of one recipient."""
    yield f"Final-Recipient: {_typed(failure.recipient)}"
    yield "Action: failed"
    yield f"Status: {failure.status}"
    if failure.remote_host:
        yield f"Remote-MTA: dns; {_ascii(failure.remote_host)}"
    yield from _folded(f"Diagnostic-Code: {'smtp' if failure.remote_host else 'x-saraban'};", failure.said)


def _header_part(header: bytes) -> bytes:
    """RFC 6522 §4: quoted-printable when it is not plain 7-bit text."""
    kept = _whole_lines(header)
    lines = kept.split(b"\r\n")
    is_plain = kept.isascii() and b"\0" not in kept and max(map(len, lines)) <= _LINE_OCTETS_MAX
    if is_plain and not any(b"\r" in line or b"\n" in line for line in lines):
        return b"Content-Type: text/rfc822-headers\r\n\r\n" + kept
    head = b"Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    return head + b"\r\n".join(
        binascii.b2a_qp(line, istext=False).replace(b"=\n", b"=\r\n") for line in lines
    )


# --- helpers --------------------------------------------------------------------------------------------


def _whole_lines(header: bytes) -> bytes:
    """The header fields without the blank line, cut at the end of a line when they are too long."""
    kept = header.removesuffix(b"\r\n\r\n")
    if len(kept) > HEADER_OCTETS_MAX:
        kept = kept[: max(kept.rfind(b"\r\n", 0, HEADER_OCTETS_MAX), 0)]
    return kept.removesuffix(b"\r\n") + b"\r\n"


def _typed(address: Address) -> str:
    """RFC 3464 §2.1.2; RFC 6533 §3, utf-8-addr-xtext: an address in UTF-8 written in ASCII."""
    if address.is_ascii:
        return f"rfc822; {address}"
    written = "".join(c if c.isascii() and c not in "\\+=" else f"\\x{{{ord(c):X}}}" for c in str(address))
    return f"utf-8; {written}"


def _ascii(text: str) -> str:
    """Text of a host in a field of ours: printable ASCII in one line."""
    return "".join(c if " " <= c <= "~" else "?" for c in text)


def _folded(name: str, text: str) -> Iterator[str]:
    """A field of several words over lines of 78 characters (RFC 5322 §2.1.1)."""
    line = name
    for word in _ascii(text)[:_FIELD_OCTETS_MAX].split():
        if len(line) + 1 + len(word) > 78 and line.strip():
            yield line
            line = ""
        line += f" {word}"
    yield line


def _word(text: str) -> str:
    """RFC 2047 §2: encoded words of 75 characters at most, each of whole characters, folded."""
    words, piece = list[str](), ""
    for character in text:
        if len((piece + character).encode()) > 45:
            words.append(piece)
            piece = ""
        piece += character
    words.append(piece)
    return "\r\n ".join(f"=?utf-8?b?{base64.b64encode(word.encode()).decode()}?=" for word in words)


def _base64(octets: bytes) -> bytes:
    encoded = base64.b64encode(octets)
    return b"".join(encoded[i : i + 76] + b"\r\n" for i in range(0, len(encoded), 76))
