"""Whatever a signed-in client says in the grammar, in either state, it gets one answer, and can go on."""

import pytest

from gateway.protocols.imap.commands import BeforeSignIn, Capability, Compress, Id, Idle, Logout, State
from tests.processes.imap_sessions.home import Home, Visit
from tests.protocols.imap import test_parsing, test_sharing

MESSAGE = b"Subject: m\r\n\r\nbody\r\n"
# The connection answers these itself, or its next line belongs to them.
ELSEWHERE = (BeforeSignIn, Capability, Compress, Id, Idle, Logout)
PARSED = (*test_parsing.COMMANDS, *test_sharing.COMMANDS)
COMMANDS = [
    *(sent for sent, command in PARSED if not isinstance(command, ELSEWHERE)),
    *(b"SEARCH " + sent for sent, _ in test_parsing.KEYS),
    *(b"UID SEARCH RETURN (MIN MAX COUNT ALL SAVE) " + sent for sent, _ in test_parsing.KEYS),
    *(b"UID FETCH 1:* " + sent for sent, _, _ in test_parsing.ATTRIBUTES),
]


async def signed_in(home: Home, state: State) -> Visit:
    suda = await home.visit()
    if state is State.SELECTED:
        await suda.ok("APPEND INBOX {} {}", MESSAGE, MESSAGE)
        await suda.ok("SELECT INBOX")
    return suda


@pytest.mark.parametrize(
    ("state", "enabled"),
    [
        (State.SIGNED_IN, ""),
        (State.SELECTED, ""),
        (State.SELECTED, "IMAP4rev2 QRESYNC"),
        (State.SELECTED, "UIDONLY"),
    ],
)
async def test_every_command_is_answered(home: Home, state: State, enabled: str) -> None:
    suda = await signed_in(home, state)
    if enabled:
        await suda.ok(f"ENABLE {enabled}")
    for sent in COMMANDS:
        answer = await suda.command(sent)
        assert answer.status in ("OK", "NO", "BAD"), sent
        if suda.session.state is not state:
            await suda.command("SELECT INBOX" if state is State.SELECTED else "UNSELECT")
    await suda.ok("NOOP")
