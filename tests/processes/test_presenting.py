"""What a reader gets: front, then the stored octets without the hidden ranges, whole or in part."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import sealing
from gateway.domain.events import Content, Message, MessageSecret, Wrap
from gateway.domain.sealing import BrokenSeal
from gateway.mail.ids import MailId
from gateway.ports import ContentMissing, KeyForgotten
from gateway.processes.presenting import Opened, open_message
from tests.processes.world import World

MAIL = MailId("mail_x")
FRONT = b"Return-Path: <>\r\n"
STORED = b"Return-Path: <boss@opm.go.th>\r\nSubject: hi\r\nReturn-Path: <>\r\n\r\nHello.\r\n"
HIDDEN = ((0, 31), (44, 61))
PRESENTED = FRONT + b"Subject: hi\r\n\r\nHello.\r\n"


@dataclass
class Sealed:
    """A message in a world, and what opens it."""

    world: World
    message: Message
    data_key: bytes

    async def wrap(self, name: str) -> Wrap:
        return Wrap(name, sealing.wrap(self.data_key, await self.world.keys.get_or_make(name)))

    async def read(self, opened: Opened, start: int = 0, end: int | None = None) -> bytes:
        pieces: AsyncIterator[bytes] = opened.octets(self.world.contents, start, end)  # type: ignore[arg-type]
        return b"".join([piece async for piece in pieces])


def sealed(hidden: tuple[tuple[int, int], ...] = HIDDEN) -> Sealed:
    world = World()
    data_key, salt = world.entropy(32), world.entropy(16)
    secret = MessageSecret(front=FRONT, salt=salt, summary=b"{}")
    message = Message(
        content=world.contents.keep(STORED, salt),
        presented_octets=len(PRESENTED),
        sealed=sealing.seal(secret, data_key, nonce=world.entropy(12), label=f"message:{MAIL}"),
        hidden=hidden,
    )
    return Sealed(world, message, data_key)


async def test_a_reader_gets_front_and_message_without_what_is_hidden() -> None:
    one = sealed()
    opened = await open_message(one.world.keys, MAIL, one.message, [await one.wrap("account.acc_a")])
    assert await one.read(opened) == PRESENTED


@given(st.integers(0, len(PRESENTED) + 5), st.integers(0, len(PRESENTED) + 5))
async def test_any_range_is_that_range_of_the_whole(start: int, end: int) -> None:
    one = sealed()
    opened = await open_message(one.world.keys, MAIL, one.message, [await one.wrap("account.acc_a")])
    assert await one.read(opened, start, end) == PRESENTED[start:end]


async def test_the_first_holder_whose_key_is_left_opens_it() -> None:
    one = sealed()
    wraps = [await one.wrap(name) for name in ("account.acc_a", "account.acc_b")]
    await one.world.keys.forget("account.acc_a")
    assert await one.read(await open_message(one.world.keys, MAIL, one.message, wraps)) == PRESENTED


async def test_a_message_whose_keys_are_all_gone_was_erased() -> None:
    one = sealed()
    wraps = [await one.wrap("account.acc_a")]
    await one.world.keys.forget("account.acc_a")
    with pytest.raises(KeyForgotten, match="mail_x was erased"):
        await open_message(one.world.keys, MAIL, one.message, wraps)
    with pytest.raises(KeyForgotten):
        await open_message(one.world.keys, MAIL, one.message, [])


async def test_a_seal_of_another_mail_does_not_open() -> None:
    one = sealed()
    wraps = [await one.wrap("account.acc_a")]
    with pytest.raises(BrokenSeal):
        await open_message(one.world.keys, MailId("mail_y"), one.message, wraps)
    await one.world.keys.put("account.acc_a", bytes(32))
    with pytest.raises(BrokenSeal):
        await open_message(one.world.keys, MAIL, one.message, wraps)


async def test_content_that_is_gone_is_said_to_be_missing() -> None:
    one = sealed()
    opened = await open_message(one.world.keys, MAIL, one.message, [await one.wrap("account.acc_a")])
    one.world.contents.messages.clear()
    with pytest.raises(ContentMissing):
        await one.read(opened)


class Asked:
    """A content store that notes how it was asked."""

    def __init__(self) -> None:
        self.ranges: list[tuple[int, int | None]] = []

    async def open(
        self, content: Content, *, data_key: bytes, salt: bytes, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        self.ranges.append((start, end))
        yield STORED[start:end]


async def test_a_whole_message_is_asked_for_as_one_so_that_its_digest_is_checked() -> None:
    one, asked = sealed(hidden=()), Asked()
    opened = await open_message(one.world.keys, MAIL, one.message, [await one.wrap("account.acc_a")])
    assert b"".join([p async for p in opened.octets(asked)]) == FRONT + STORED  # type: ignore[arg-type]
    assert asked.ranges == [(0, None)]
