"""The delivery report, read back by an independent parser."""

import base64
import binascii
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest

from gateway.mail.address import parse_address
from gateway.mail.dsn import HEADER_OCTETS_MAX, Action, Outcome, Report, render
from gateway.mail.ids import MailId
from gateway.mail.status import parse_status

AT = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)
SOMCHAI = Outcome(
    parse_address("somchai@dld.go.th"), parse_status("5.1.1"), "550 5.1.1 No such user", "mx.dld.go.th"
)
REPORT = Report(
    action=Action.FAILED,
    report_id=MailId("mail_report"),
    mail_id=MailId("mail_original"),
    hostname="mail.opm.go.th",
    sender=parse_address("suda@opm.go.th"),
    at=AT,
    arrived_at=AT,
    outcomes=(SOMCHAI,),
    header=b"Subject: hello\r\nFrom: suda@opm.go.th\r\n\r\n",
)


def read(report: Report) -> EmailMessage:
    octets = render(report)
    assert b"\n" not in octets.replace(b"\r\n", b"")
    assert max(map(len, octets.split(b"\r\n"))) <= 998
    message = message_from_bytes(octets, policy=default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def status_blocks(message: EmailMessage) -> list[Any]:
    return list(message.get_payload(1).get_payload())  # type: ignore[union-attr]


def test_a_report_is_a_multipart_report_for_the_sender() -> None:
    message = read(REPORT)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert message["To"] == "suda@opm.go.th"
    assert message["Auto-Submitted"] == "auto-replied"
    assert "ส่งไปรษณีย์ไม่ถึงผู้รับ" in message["Subject"]
    assert message["Message-ID"] == "<mail_report@mail.opm.go.th>"
    assert [part.get_content_type() for part in message.iter_parts()] == [
        "text/plain",
        "message/delivery-status",
        "text/rfc822-headers",
    ]


def test_people_read_who_did_not_get_it_in_two_languages() -> None:
    text = next(iter(read(REPORT).iter_parts())).get_content()
    assert "เรียน ผู้ส่ง" in text
    assert "could not deliver" in text
    assert text.count("somchai@dld.go.th") == 2
    assert "550 5.1.1 No such user" in text


def test_programs_read_one_block_per_recipient() -> None:
    other = Outcome(parse_address("x@dld.go.th"), parse_status("5.2.2"), "552 5.2.2 Full", "")
    of_mail, first, second = status_blocks(read(replace(REPORT, outcomes=(SOMCHAI, other))))
    assert of_mail["Reporting-MTA"] == "dns; mail.opm.go.th"
    assert of_mail["Original-Envelope-Id"] is None  # RFC 3464 §2.2.1: it is the sender's, and there was none
    assert of_mail["X-Saraban-Mail-ID"] == "mail_original"
    assert first["Final-Recipient"] == "rfc822; somchai@dld.go.th"
    assert first["Action"] == "failed"
    assert first["Status"] == "5.1.1"
    assert first["Remote-MTA"] == "dns; mx.dld.go.th"
    assert first["Diagnostic-Code"] == "smtp; 550 5.1.1 No such user"
    assert second["Final-Recipient"] == "rfc822; x@dld.go.th"
    assert second["Remote-MTA"] is None


# RFC 3464 §2.3.3, and what a person reads of it in English.
ACTIONS = [
    (Action.FAILED, "failed", "could not deliver"),
    (Action.DELIVERED, "delivered", "delivered your mail to the mailboxes"),
    (Action.RELAYED, "relayed", "passed your mail on"),
    (Action.EXPANDED, "expanded", "as these recipients have asked"),
    (Action.DELAYED, "delayed", "has not yet delivered"),
]


@pytest.mark.parametrize(("action", "written", "english"), ACTIONS)
def test_people_and_programs_read_what_became_of_the_mail(action: Action, written: str, english: str) -> None:
    message = read(replace(REPORT, action=action))
    assert status_blocks(message)[1]["Action"] == written
    text = next(iter(message.iter_parts())).get_content()
    assert english in text
    assert "เรียน ผู้ส่ง" in text
    assert text.count("somchai@dld.go.th") == 2
    assert " / " in message["Subject"]


def test_each_action_has_words_of_its_own() -> None:
    subjects = {read(replace(REPORT, action=action))["Subject"] for action in Action}
    assert len(subjects) == len(Action) == len(ACTIONS)


def test_a_delivery_has_nothing_to_diagnose() -> None:
    delivered = Outcome(parse_address("somchai@opm.go.th"), parse_status("2.0.0"))
    block = status_blocks(read(replace(REPORT, action=Action.DELIVERED, outcomes=(delivered,))))[1]
    assert (block["Diagnostic-Code"], block["Remote-MTA"], block["Status"]) == (None, None, "2.0.0")


def test_a_delay_says_how_long_it_will_be_tried() -> None:
    """RFC 3464 §2.3.9."""
    delayed = replace(REPORT, action=Action.DELAYED, retry_until=AT + timedelta(days=5))
    assert status_blocks(read(delayed))[1]["Will-Retry-Until"] == "Sat, 28 Nov 2026 04:05:06 +0000"
    assert status_blocks(read(REPORT))[1]["Will-Retry-Until"] is None


def test_the_sender_gets_back_what_it_named_the_mail_and_the_recipient() -> None:
    """RFC 3464 §2.2.1, §2.3.1; RFC 6533 §3."""
    boss = replace(SOMCHAI, orcpt="rfc822;boss@opm.go.th")
    thai = replace(SOMCHAI, orcpt="utf-8;นาย+1@opm.go.th")
    of_mail, first, second, third = status_blocks(
        read(replace(REPORT, envid="QQ 314=159", outcomes=(boss, thai, SOMCHAI)))
    )
    assert of_mail["Original-Envelope-Id"] == "QQ 314=159"
    assert first["Original-Recipient"] == "rfc822; boss@opm.go.th"
    assert second["Original-Recipient"] == "utf-8; \\x{E19}\\x{E32}\\x{E22}\\x{2B}1@opm.go.th"
    assert third["Original-Recipient"] is None


def test_an_address_in_thai_is_written_in_ascii() -> None:
    thai = replace(SOMCHAI, recipient=parse_address("สมชาย@dld.go.th"))
    report = replace(REPORT, outcomes=(thai,))
    assert render(report).isascii()
    block = status_blocks(read(report))[1]
    assert block["Final-Recipient"].startswith("utf-8; \\x{E2A}\\x{E21}")


def test_a_sender_in_thai_gets_the_parts_of_rfc_6533_with_addresses_as_they_are() -> None:
    """RFC 6533 §4, §5: such a report needs SMTPUTF8 on all its way, for its recipient's sake."""
    thai = replace(SOMCHAI, recipient=parse_address("สมชาย@dld.go.th"), orcpt="utf-8;นาย@opm.go.th")
    header = "Subject: สวัสดี\r\n\r\n".encode()
    report = replace(REPORT, sender=parse_address("สุดา@opm.go.th"), outcomes=(thai, SOMCHAI), header=header)
    octets = render(report)
    parts = octets.split(b"--=_mail_report")
    assert b"Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit" in parts[2]
    told = parts[2].decode()
    assert "\r\nOriginal-Recipient: utf-8; นาย@opm.go.th\r\n" in told
    assert "\r\nFinal-Recipient: utf-8; สมชาย@dld.go.th\r\n" in told
    assert "\r\nFinal-Recipient: rfc822; somchai@dld.go.th\r\n" in told
    message = message_from_bytes(octets, policy=default)
    assert message.get_param("report-type") == "delivery-status"
    kinds = [part.get_content_type() for part in message.iter_parts()]  # type: ignore[attr-defined]
    assert kinds == ["text/plain", "message/global-delivery-status", "message/global-headers"]
    returned = binascii.a2b_qp(parts[3].partition(b"\r\n\r\n")[2])
    assert returned.strip() == "Subject: สวัสดี".encode()


def test_what_a_hostile_host_says_adds_no_field_and_no_line() -> None:
    said = "550 5.1.1 sorry\r\nAction: delivered\r\n\r\n--=_mail_report--" + "x" * 5_000
    blocks = status_blocks(read(replace(REPORT, outcomes=(replace(SOMCHAI, said=said),))))
    assert [block["Action"] for block in blocks[1:]] == ["failed"]


HEADERS = [
    # Plain fields stay as they are.
    (b"Subject: hello\r\n\r\n", b"Subject: hello\r\n"),
    (b"Subject: hello", b"Subject: hello\r\n"),
    # Thai in the raw (RFC 6532), a NUL, a bare CR and an endless line survive in quoted-printable.
    ("Subject: สวัสดี\r\n\r\n".encode(), "Subject: สวัสดี\r\n".encode()),
    (b"X: a\0b\r\nY: a\rb\r\n\r\n", b"X: a\0b\r\nY: a\rb\r\n"),
    (b"X: " + b"y" * 2_000 + b"\r\n\r\n", b"X: " + b"y" * 2_000 + b"\r\n"),
]


@pytest.mark.parametrize(("header", "shown"), HEADERS)
def test_the_mails_header_fields_are_shown_as_they_were(header: bytes, shown: bytes) -> None:
    part = list(read(replace(REPORT, header=header)).iter_parts())[2]
    assert part.get_payload(decode=True) == shown


def test_a_header_without_end_is_cut_at_a_line() -> None:
    part = list(read(replace(REPORT, header=b"X-Line: 1\r\n" * 10_000)).iter_parts())[2]
    shown = part.get_payload(decode=True)
    assert isinstance(shown, bytes)
    assert len(shown) <= HEADER_OCTETS_MAX
    assert set(shown.splitlines()) == {b"X-Line: 1"}


def test_a_mail_whose_header_is_lost_is_reported_without_it() -> None:
    assert len(list(read(replace(REPORT, header=b"")).iter_parts())) == 2


WHOLE = [
    # RFC 6522 §3: a plain message is a part as it stands, also without a line end at its end.
    (b"Subject: hello\r\n\r\nHello.\r\n", "message/rfc822"),
    (b"Subject: hello\r\n\r\nHello.", "message/rfc822"),
    # RFC 6532 §3.7: what no host need take is encoded: 8-bit text, a NUL, an endless line, a bare LF.
    ("Subject: สวัสดี\r\n\r\nสวัสดี\r\n".encode(), "message/global"),
    (b"Subject: hello\r\n\r\na\0b\r\n", "message/global"),
    (b"Subject: hello\r\n\r\n" + b"x" * 2_000 + b"\r\n", "message/global"),
    (b"Subject: hello\r\n\r\na\nb\r\n", "message/global"),
]


@pytest.mark.parametrize(("original", "kind"), WHOLE)
def test_a_mail_that_goes_back_whole_is_there_octet_for_octet(original: bytes, kind: str) -> None:
    rendered = render(replace(REPORT, message=original))
    assert rendered.isascii()
    part = rendered.split(b"--=_mail_report")[3].removeprefix(b"\r\n").removesuffix(b"\r\n")
    head, _, body = part.partition(b"\r\n\r\n")
    assert f"Content-Type: {kind}".encode() in head
    assert (body if kind == "message/rfc822" else base64.b64decode(body)) == original
    assert b"text/rfc822-headers" not in rendered
