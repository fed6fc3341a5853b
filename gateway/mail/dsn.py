"""The report a sender gets of what became of its mail: a message of its own, as octets.

It is 7-bit throughout, so it passes any host; to a sender whose address is not, it can only go where UTF-8 is
taken, and its parts are those of RFC 6533 §4 then, with addresses as people write them. Text is for people,
in Thai and English; the second part is for programs; the third has the header fields of the mail it is
about, or all of it where the sender wants that.

Source: RFC 3464 (delivery status), RFC 3461 §6 (what was asked), RFC 6522 (multipart/report), RFC 6533
(addresses in UTF-8), RFC 3834 (Auto-Submitted), RFC 2047 (words in header fields).
"""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from enum import Enum
from typing import Final

from gateway.mail.address import Address
from gateway.mail.dsn_options import original_recipient, utf8_address
from gateway.mail.ids import MailId
from gateway.mail.status import EnhancedStatus

HEADER_OCTETS_MAX: Final = 32 * 1024  # of the third part; what does not fit is left out from the end
_LINE_OCTETS_MAX: Final = 998  # RFC 5322 §2.1.1
_FIELD_OCTETS_MAX: Final = 900  # of what a host said, in one field of ours


class Action(Enum):
    """What became of the recipients of a report (RFC 3464 §2.3.3)."""

    FAILED = "failed"
    DELIVERED = "delivered"
    RELAYED = "relayed"  # to a host that does not report
    DELAYED = "delayed"
    EXPANDED = "expanded"  # to several further addresses


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one recipient."""

    recipient: Address
    status: EnhancedStatus
    said: str = ""  # what the host or we answered, code first; one line
    remote_host: str = ""  # "" when we said it ourselves
    orcpt: str = ""  # as in dsn_options; "": the sender named no other address


@dataclass(frozen=True, slots=True)
class Report:
    """What a report says.

    header: of the mail it is about, with the blank line or without; b"": not known. message: the whole of
    it, to be shown instead; b"": not wanted, or too much.
    """

    action: Action
    report_id: MailId
    mail_id: MailId
    hostname: str  # of this gateway
    sender: Address  # of the mail it is about: the report goes there
    at: datetime
    arrived_at: datetime
    outcomes: tuple[Outcome, ...]
    header: bytes
    message: bytes = b""
    envid: str = ""  # by which the sender knows its mail
    retry_until: datetime | None = None  # of what is delayed

    @property
    def is_global(self) -> bool:
        """It goes where UTF-8 is taken, or nowhere."""
        return not self.sender.is_ascii

    def __post_init__(self) -> None:
        assert self.outcomes, "a report is about at least one recipient"


@dataclass(frozen=True, slots=True)
class _Words:
    """What people read of an action. {0}: our host."""

    subject: str
    thai: str
    english: tuple[str, ...]


_WORDS: Final = {
    Action.FAILED: _Words(
        "ส่งไปรษณีย์ไม่ถึงผู้รับ / Mail could not be delivered",
        "ระบบไปรษณีย์ของ {0} ส่งไปรษณีย์ของท่านไม่ถึงผู้รับต่อไปนี้ และจะไม่พยายามส่งอีก",
        (
            "The mail system at {0} could not deliver your mail to these recipients.",
            "It will not try again.",
        ),
    ),
    Action.DELIVERED: _Words(
        "ส่งไปรษณีย์ถึงผู้รับแล้ว / Mail was delivered",
        "ระบบไปรษณีย์ของ {0} ส่งไปรษณีย์ของท่านถึงตู้ไปรษณีย์ของผู้รับต่อไปนี้แล้ว",
        ("The mail system at {0} delivered your mail to the mailboxes of these recipients.",),
    ),
    Action.RELAYED: _Words(
        "ส่งต่อไปรษณีย์แล้ว / Mail was passed on",
        "ระบบไปรษณีย์ของ {0} ส่งต่อไปรษณีย์ของท่านไปยังระบบของผู้รับต่อไปนี้แล้ว ระบบนั้นอาจไม่แจ้งท่านเมื่อถึงผู้รับ",
        (
            "The mail system at {0} passed your mail on to the hosts of these recipients.",
            "Those hosts may not tell you when it arrives.",
        ),
    ),
    Action.EXPANDED: _Words(
        "ส่งต่อไปรษณีย์ตามที่ผู้รับกำหนดแล้ว / Mail was forwarded",
        "ระบบไปรษณีย์ของ {0} ส่งต่อไปรษณีย์ของท่านตามที่ผู้รับต่อไปนี้กำหนดไว้ และจะแจ้งท่านอีกเฉพาะเมื่อส่งไม่ถึง",
        (
            "The mail system at {0} passed your mail on as these recipients have asked it to.",
            "You are told of it again only if it does not arrive.",
        ),
    ),
    Action.DELAYED: _Words(
        "ไปรษณีย์ยังไม่ถึงผู้รับ / Mail is delayed",
        "ระบบไปรษณีย์ของ {0} ยังส่งไปรษณีย์ของท่านไม่ถึงผู้รับต่อไปนี้ และจะพยายามส่งต่อไป ท่านไม่ต้องส่งซ้ำ",
        (
            "The mail system at {0} has not yet delivered your mail to these recipients.",
            "It goes on trying. You need not send it again.",
        ),
    ),
}


# RFC 3463 §3: what a status means, for people; by its subject and detail.
_REASONS: Final = {
    (1, 1): ("ไม่มีตู้ไปรษณีย์นี้", "There is no such mailbox."),
    (1, 2): ("ไม่มีโดเมนนี้", "There is no such domain."),
    (1, 10): ("โดเมนนี้ไม่รับไปรษณีย์", "The domain takes no mail."),
    (2, 2): ("ตู้ไปรษณีย์ของผู้รับเต็ม", "The mailbox of the recipient is full."),
    (3, 4): ("ไปรษณีย์มีขนาดใหญ่เกินไป", "The mail is too large."),
}


_STATUS: Final = b"Content-Type: message/delivery-status\r\n\r\n"
_GLOBAL_STATUS: Final = (
    b"Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
)
_HEADERS: Final = b"text/rfc822-headers"
_GLOBAL_HEADERS: Final = b"message/global-headers"  # RFC 6533 §5: encoded as any part


def render(report: Report) -> bytes:
    """The report as a message, lines ended by CRLF."""
    boundary = f"=_{report.report_id}"
    parts = [_for_people(report), _for_programs(report)]
    if report.message:
        parts.append(_message_part(report.message))
    elif report.header:
        parts.append(_header_part(report.header, _GLOBAL_HEADERS if report.is_global else _HEADERS))
    lines = [
        f"Date: {format_datetime(report.at)}",
        f"From: {_word('ระบบส่งไปรษณีย์ / Mail delivery system')}",
        f" <postmaster@{report.hostname}>",
        f"To: <{report.sender}>",
        f"Subject: {_word(_WORDS[report.action].subject)}",
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
    words = _WORDS[report.action]
    thai = ["เรียน ผู้ส่ง", "", words.thai.format(report.hostname), ""]
    english = ["", *(line.format(report.hostname) for line in words.english), ""]
    told_in = [[_told(outcome, language) for outcome in report.outcomes] for language in (0, 1)]
    text = "\r\n".join([*thai, *told_in[0], *english, *told_in[1], "", f"Mail-ID: {report.mail_id}", ""])
    head = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return head.encode() + _base64(text.encode())


def _told(outcome: Outcome, language: int) -> str:
    """A recipient, why where we know words for it, and what was answered. language: 0 Thai, 1 English."""
    reason = (
        _REASONS.get((outcome.status.subject, outcome.status.detail)) if outcome.status.class_ != 2 else None
    )
    lines = [
        f"  {outcome.recipient}",
        *([f"    {reason[language]}"] if reason else []),
        f"    {outcome.said}",
    ]
    return "\r\n".join(lines).rstrip()


def _for_programs(report: Report) -> bytes:
    blocks = [
        [
            *([f"Original-Envelope-Id: {report.envid}"] if report.envid else []),
            f"Reporting-MTA: dns; {report.hostname}",
            f"Arrival-Date: {format_datetime(report.arrived_at)}",
            f"X-Saraban-Mail-ID: {report.mail_id}",
        ],
        *(
            [*_fields_of(outcome, report.action, is_utf8=report.is_global), *_dates_of(report)]
            for outcome in report.outcomes
        ),
    ]
    body = "".join("\r\n".join(block) + "\r\n\r\n" for block in blocks)
    octets = body.removesuffix("\r\n").encode("utf-8" if report.is_global else "ascii")
    return (_GLOBAL_STATUS if report.is_global else _STATUS) + octets


def _fields_of(outcome: Outcome, action: Action, *, is_utf8: bool) -> Iterator[str]:
    """RFC 3464 §2.3: what became of one recipient."""
    if outcome.orcpt:
        yield f"Original-Recipient: {'; '.join(original_recipient(outcome.orcpt, is_utf8=is_utf8))}"
    yield f"Final-Recipient: {_typed(outcome.recipient, is_utf8=is_utf8)}"
    yield f"Action: {action.value}"
    yield f"Status: {outcome.status}"
    if outcome.remote_host:
        yield f"Remote-MTA: dns; {_ascii(outcome.remote_host)}"
    if outcome.said:
        kind = "smtp" if outcome.remote_host else "x-saraban"
        yield from _folded(f"Diagnostic-Code: {kind};", outcome.said)


def _dates_of(report: Report) -> Iterator[str]:
    """RFC 3464 §2.3.7, §2.3.9."""
    yield f"Last-Attempt-Date: {format_datetime(report.at)}"
    if report.retry_until is not None:
        yield f"Will-Retry-Until: {format_datetime(report.retry_until)}"


def _message_part(message: bytes) -> bytes:
    """RFC 6522 §3, RFC 6532 §3.7: only a message/global may be encoded, and be of any octets."""
    if _is_plain(message):
        return b"Content-Type: message/rfc822\r\n\r\n" + message
    head = b"Content-Type: message/global\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return head + _base64(message)


def _header_part(header: bytes, kind: bytes) -> bytes:
    """RFC 6522 §4: quoted-printable when it is not plain 7-bit text."""
    kept = _whole_lines(header)
    if _is_plain(kept):
        return b"Content-Type: " + kind + b"\r\n\r\n" + kept
    lines = kept.split(b"\r\n")
    head = b"Content-Type: " + kind + b"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    return head + b"\r\n".join(
        binascii.b2a_qp(line, istext=False).replace(b"=\n", b"=\r\n") for line in lines
    )


# --- helpers --------------------------------------------------------------------------------------------


def _is_plain(octets: bytes) -> bool:
    """7-bit lines that any host takes (RFC 2045 §2.7)."""
    if not octets.isascii() or b"\0" in octets:
        return False
    lines = octets.split(b"\r\n")
    is_short = max(map(len, lines)) <= _LINE_OCTETS_MAX
    return is_short and not any(b"\r" in line or b"\n" in line for line in lines)


def _whole_lines(header: bytes) -> bytes:
    """The header fields without the blank line, cut at the end of a line when they are too long."""
    kept = header.removesuffix(b"\r\n\r\n")
    if len(kept) > HEADER_OCTETS_MAX:
        kept = kept[: max(kept.rfind(b"\r\n", 0, HEADER_OCTETS_MAX), 0)]
    return kept.removesuffix(b"\r\n") + b"\r\n"


def _typed(address: Address, *, is_utf8: bool) -> str:
    """RFC 3464 §2.1.2; RFC 6533 §3: an address in UTF-8 as it is where that may be, else written in ASCII."""
    if address.is_ascii:
        return f"rfc822; {address}"
    return f"utf-8; {utf8_address(str(address), is_utf8=is_utf8)}"


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
