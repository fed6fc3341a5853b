"""A notice to those who answer for an agency: its trial ends. In Thai and English, as octets.

It is 7-bit throughout but for addresses, so it passes any host.

Source: RFC 5322, RFC 2047 (words in header fields), RFC 3834 §5 (Auto-Submitted).
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.utils import format_datetime
from typing import Final

from gateway.mail.address import Address
from gateway.mail.ids import MailId

FROM: Final = "ระบบไปรษณีย์ / Mail system"
SUBJECT: Final = "การทดลองใช้จะสิ้นสุด {date} / Your trial ends on {date}"
THAI: Final = """เรียน ผู้ดูแลอีเมลของ {name}

การทดลองใช้ระบบไปรษณีย์ {hostname} ของหน่วยงานจะสิ้นสุดวันที่ {date} เวลา {time} UTC
เมื่อสิ้นสุดแล้ว ทุกบัญชีของหน่วยงานจะลงชื่อเข้าใช้และส่งอีเมลไม่ได้ แต่ยังรับอีเมลเข้าอีก {grace} วัน
หลังจากนั้นระบบจะส่งออกอีเมลทั้งหมดเป็นไฟล์และปิดหน่วยงาน
หากต้องการใช้งานต่อ โปรดติดต่อผู้ดูแลระบบก่อนวันดังกล่าว"""
ENGLISH: Final = """To those who answer for mail at {name}

The trial of your agency at {hostname} ends on {date} at {time} UTC.
From then on none of its accounts signs in or sends. Mail still comes in for {grace} more days;
after them all mail is exported into files, and the agency is closed.
If you want to stay, ask the operator of the mail system before that day."""


@dataclass(frozen=True, slots=True)
class TrialEnds:
    """What the notice says. recipients: at least one."""

    mail_id: MailId
    at: datetime
    hostname: str  # of this gateway
    recipients: Sequence[Address]
    agency_name: str
    ends_at: datetime
    grace_days: int


def render(notice: TrialEnds) -> bytes:
    """The notice as a message, lines ended by CRLF."""
    words = {
        "name": notice.agency_name,
        "hostname": notice.hostname,
        "date": f"{notice.ends_at:%Y-%m-%d}",
        "time": f"{notice.ends_at:%H:%M}",
        "grace": str(notice.grace_days),
    }
    text = f"{THAI}\n\n{ENGLISH}\n".format(**words).replace("\n", "\r\n")
    to = ",\r\n ".join(f"<{recipient}>" for recipient in notice.recipients)
    lines = [
        f"Date: {format_datetime(notice.at)}",
        f"From: {_word(FROM)}\r\n <postmaster@{notice.hostname}>",
        f"To: {to}",
        f"Subject: {_word(SUBJECT.format(**words))}",
        f"Message-ID: <{notice.mail_id}@{notice.hostname}>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: base64",
        "",
        "",
    ]
    encoded = base64.encodebytes(text.encode()).replace(b"\n", b"\r\n")
    return "\r\n".join(lines).encode() + encoded


def _word(text: str) -> str:
    return Header(text, "utf-8", maxlinelen=76, header_name="Subject").encode(linesep="\r\n")
