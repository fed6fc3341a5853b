"""The mails of the interop tests: what is sent to a peer and from it.

A peer (peer.py) refuses `nobody`, and passes mail of `later` on to an address the gateway refuses.
"""

import smtplib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tests.e2e.messages import new_message_id
from tests.sizes import size

HOSTED: Final = "interop@opdc.go.th"  # here, who sends and gets
THAI: Final = "ประสาน@opdc.go.th"  # its other address
UNKNOWN: Final = "nobody-at-all@opdc.go.th"
LARGE_OCTETS: Final = size(2 * 1024 * 1024, 20 * 1024 * 1024)
TOO_LARGE_OCTETS: Final = (
    36 * 1024 * 1024
)  # the gateway's message_octets_max is less than this and its header
RECIPIENTS: Final = size(100, 1000)
SUBJECT: Final = "interop"  # every letter has it
NOTIFY: Final = "NOTIFY=SUCCESS,FAILURE,DELAY"
LINE: Final = b"0123456789abcdef" * 4 + b"\r\n"


@dataclass(frozen=True, slots=True)
class Sent:
    """A mail that was handed over, to the gateway or to a peer."""

    message_id: str
    message: bytes
    said: str  # to the final dot


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail to send. Recipients are taken with `rcpt_options` each."""

    mail_from: str
    rcpt_to: Sequence[str]
    mail_options: Sequence[str] = ()
    rcpt_options: Sequence[str] = ()
    subject: str = SUBJECT
    body: bytes = b"Hello.\r\n..two dots\r\n.\r\n"

    def send(self, port: int) -> Sent:
        message_id = new_message_id()
        fields = (
            f"From: {self.mail_from}\r\nTo: {self.rcpt_to[0]}\r\nSubject: {self.subject}\r\n"
            f"Date: Sat, 28 Nov 2026 09:00:00 +0700\r\nMessage-ID: {message_id}\r\n\r\n"
        )
        message = fields.encode() + self.body
        with smtplib.SMTP("127.0.0.1", port, local_hostname="client.example", timeout=120) as client:
            client.ehlo()
            if "SMTPUTF8" in self.mail_options:
                client.command_encoding = "utf-8"
            for code, said in (
                client.mail(self.mail_from, self.mail_options),
                *(client.rcpt(address, self.rcpt_options) for address in self.rcpt_to),
                answer := client.data(message),
            ):
                assert code == 250, (self.rcpt_to[0], said)
        return Sent(message_id, message, answer[1].decode())


def letters_between(own: str, theirs: str, thai: Sequence[str], many: Sequence[str]) -> dict[str, Letter]:
    """What goes in both directions alike, from `own` to `theirs`."""
    told = (NOTIFY, f"ORCPT=rfc822;first+2B{theirs}")
    return {
        "plain": Letter(own, [theirs]),
        "8-bit": Letter(own, [theirs], ["BODY=8BITMIME"], body="เรียน ทุกท่าน\r\n".encode()),
        "thai": Letter(thai[0], thai[1:], ["SMTPUTF8", "BODY=8BITMIME"], subject=f"{SUBJECT} ขอเชิญประชุม"),
        "told": Letter(own, [theirs], ["RET=HDRS", "ENVID=QQ+20314159"], told),
        "large": Letter(own, [theirs], body=LINE * (LARGE_OCTETS // len(LINE))),
        "many": Letter(own, many),
    }


def letters_to(domain: str) -> dict[str, Letter]:
    """From the gateway to a peer."""
    many = [f"r{n}@{domain}" for n in range(RECIPIENTS)]
    letters = letters_between(HOSTED, f"ann@{domain}", (THAI, f"สมชาย@{domain}"), many)
    letters["refused"] = Letter(HOSTED, [f"nobody@{domain}"])
    letters["bounced later"] = Letter(HOSTED, [f"later@{domain}"])
    return letters


def letters_from(domain: str) -> dict[str, Letter]:
    """From a peer to the gateway."""
    ann, (name, _, hosted) = f"ann@{domain}", HOSTED.partition("@")
    many = [f"{name}+{n}@{hosted}" for n in range(RECIPIENTS)]
    letters = letters_between(ann, HOSTED, (f"สมชาย@{domain}", THAI), many)
    letters["unknown"] = Letter(ann, [UNKNOWN])
    letters["too large"] = Letter(ann, [HOSTED], body=LINE * (TOO_LARGE_OCTETS // len(LINE)))
    return letters
