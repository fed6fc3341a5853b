"""What an author may say, and what is added for it (RFC 6409 §6.1 and §8)."""

from datetime import UTC, datetime

import pytest

from gateway.mail.address import Address, parse_address
from gateway.mail.reply import Reply
from gateway.mail.submission import NO_FROM, NOT_YOUR_FROM, NOT_YOUR_SENDER, missing_fields, refusal

OWN = frozenset({Address("suda", "opm.go.th"), Address("registry", "opm.go.th")})
AT = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)

SAID = [
    ("From: suda@opm.go.th", None),
    ("from : =?utf-8?b?4Liq4Li4?= <SUDA@OPM.go.th>", None),
    ("From: Registry <registry@opm.go.th>\r\nSender: suda@opm.go.th", None),
    ("From: ann@example.org, suda@opm.go.th", None),  # RFC 5322 §3.6.2: several authors
    ("From: office: suda@opm.go.th;", None),  # RFC 6854
    ("Subject: no author", NO_FROM),
    ("From: suda@opm.go.th\r\nFrom: ann@example.org", NO_FROM),  # which one would be shown?
    ("From: ann@example.org", NOT_YOUR_FROM),
    ("From: suda@opm.go.th <ann@example.org>", NOT_YOUR_FROM),  # what is shown is not what counts
    ("From: suda", NOT_YOUR_FROM),
    ("From: ", NOT_YOUR_FROM),
    ("From: nobody: ;", NOT_YOUR_FROM),
    ("From: suda@opm.go.th\r\nSender: ann@example.org", NOT_YOUR_SENDER),
    ("From: suda@opm.go.th\r\nSender: nobody", NOT_YOUR_SENDER),
    ("From: suda@opm.go.th\r\nSender: ", NOT_YOUR_SENDER),
]


@pytest.mark.parametrize(("header", "refused"), SAID)
def test_an_author_may_speak_for_itself_alone(header: str, refused: Reply | None) -> None:
    assert refusal(f"{header}\r\n\r\n".encode(), OWN) == refused


ADDED = [
    ("From: suda@opm.go.th", ["Date: Mon, 23 Nov 2026 04:05:06 +0000", "Message-ID: <mail_1@mail.example>"]),
    ("From: suda@opm.go.th\r\nDATE: today\r\nMessage-Id: <1@x>", []),
    ("From: suda@opm.go.th\r\nDate: today", ["Message-ID: <mail_1@mail.example>"]),
    # RFC 5322 §3.6.2: several authors want a Sender.
    (
        "From: suda@opm.go.th, ann@example.org\r\nDate: today\r\nMessage-ID: <1@x>",
        ["Sender: <suda@opm.go.th>"],
    ),
    ("From: suda@opm.go.th, b@example.org\r\nDate: x\r\nMessage-ID: <1@x>\r\nSender: suda@opm.go.th", []),
]


@pytest.mark.parametrize(("header", "added"), ADDED)
def test_what_the_author_left_out_is_added(header: str, added: list[str]) -> None:
    author = parse_address("suda@opm.go.th")
    said = missing_fields(
        f"{header}\r\n\r\n".encode(), author=author, message_id="mail_1@mail.example", at=AT
    )
    assert said == added
