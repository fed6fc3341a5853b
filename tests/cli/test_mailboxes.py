"""How messages leave by the command line: octet for octet as EML, quoted as mboxrd, readable on a screen."""

import asyncio
import io
import mailbox
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.cli.mailboxes import Head, _write
from gateway.mail.ids import MailboxId, MailId

HEAD = Head(
    **{
        **dict.fromkeys(Head.__dataclass_fields__, ""),
        "mail_id": MailId("mail_x"),
        "mailbox_id": MailboxId("mbx_x"),
        "uid": 1,
        "internal_date": datetime(2026, 11, 3, 4, 5, 6, tzinfo=UTC),
    }
)


def written(*messages: bytes, form: str) -> bytes:
    """Messages as they come out of a store, in two pieces each."""

    async def pieces(message: bytes) -> AsyncIterator[bytes]:
        half = len(message) // 2
        for piece in (message[:half], message[half:]):
            yield piece

    async def write() -> bytes:
        file = io.BytesIO()
        for message in messages:
            await _write(file, pieces(message), HEAD, form)
        return file.getvalue()

    return asyncio.run(write())


@pytest.mark.parametrize(
    "message", [b"Subject: a\r\n\r\nFrom here\r\n", b"", b"no line end", b"\xff\r\n.\r\n"]
)
def test_an_eml_is_the_message_octet_for_octet(message: bytes) -> None:
    assert written(message, form="eml") == message


QUOTED = [
    (b"a\r\nFrom here\r\n", b"a\n>From here\n\n"),
    (b"a\r\n>From here\r\n", b"a\n>>From here\n\n"),
    (b"a\r\n>>>From here\r\n", b"a\n>>>>From here\n\n"),
    (b"From: ann@example.org\r\n\r\n", b"From: ann@example.org\n\n\n"),
    (b"a\r\n From here\r\n", b"a\n From here\n\n"),
    (b"a\r\n> From here\r\n", b"a\n> From here\n\n"),
    (b"a\r\nFrom\r\n", b"a\nFrom\n\n"),
    (b"From here", b">From here\n\n"),
    (b"a\r\n\r\nx From y\r\n", b"a\n\nx From y\n\n"),
    ("a\r\n\r\nFrom สวัสดี\r\n".encode(), "a\n\n>From สวัสดี\n\n".encode()),
]


@pytest.mark.parametrize(("message", "quoted"), QUOTED)
def test_mboxrd_quotes_every_line_that_could_begin_a_message(message: bytes, quoted: bytes) -> None:
    assert written(message, form="mboxrd") == b"From MAILER-DAEMON Tue Nov 03 04:05:06 2026\n" + quoted


def test_other_programs_find_every_message_of_an_mbox(tmp_path: Path) -> None:
    messages = [b"Subject: %d\r\n\r\nFrom here\r\n\r\nFrom there\r\n" % number for number in range(5)]
    file = tmp_path / "mail.mbox"
    file.write_bytes(written(*messages, form="mboxrd"))
    box = mailbox.mbox(file, create=False)
    try:
        assert [message["Subject"] for message in box] == ["0", "1", "2", "3", "4"]
    finally:
        box.close()
