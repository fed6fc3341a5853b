"""Two people of a registry desk, by the programs they have: rights, a read state of one's own, moves between
accounts, also while the IMAP process is killed."""

import imaplib
import ssl
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress

import imapclient
import pytest

from tests.e2e.gateway import Gateway
from tests.e2e.load import host_and_port
from tests.sizes import size

DESK, MALEE, SUDA = "registry@opm.go.th", "malee.r@opm.go.th", "suda.r@opm.go.th"
PASSWORD = "for-tests-alone"
SHARED = f"Other Users/{DESK}/INBOX"
MOVED = size(20, 1_000)  # that two people want at once
KILLS = size(1, 20)

Open = Callable[[str], AbstractContextManager[imapclient.IMAPClient]]


@pytest.fixture(scope="module")
def opened(gateway: Gateway) -> Open:
    for address in (DESK, MALEE, SUDA):
        gateway.cli("account", "add", address, "--password", PASSWORD)
    gateway.wait_idle()
    context = ssl.create_default_context(cafile=gateway.ready["ca_file"])
    context.check_hostname = False

    @contextmanager
    def opened(address: str) -> Iterator[imapclient.IMAPClient]:
        host, port = host_and_port(gateway.address("imaps"))
        client = imapclient.IMAPClient(host, port=port, ssl_context=context)
        try:
            client.login(address, PASSWORD)
            yield client
        finally:
            client.shutdown()

    gateway.wait(lambda: _lets_in(opened), "everybody is let in")
    return opened


def _lets_in(opened: Open) -> bool:
    with suppress(imaplib.IMAP4.error):
        for address in (DESK, MALEE, SUDA):
            with opened(address):
                pass
        return True
    return False


def message(number: int) -> bytes:
    return f"Subject: {number}\r\nMessage-ID: <{number}@desk.example>\r\n\r\nหนังสือ {number}\r\n".encode()


def test_each_has_a_read_state_of_their_own(gateway: Gateway, opened: Open) -> None:
    with opened(DESK) as desk:
        desk.append("INBOX", message(1))
    gateway.cli("mailbox", "acl", "grant", DESK, MALEE, "work")
    gateway.cli("mailbox", "acl", "grant", DESK, "anyone", "read")
    shown = gateway.cli("mailbox", "acl", "show", DESK)
    assert {row["who"]: row["rights"] for row in shown} == {
        DESK: "lrswipkxtea", MALEE: "lrswite", "anyone": "lrs",
    }  # fmt: skip
    with opened(MALEE) as malee, opened(SUDA) as suda:
        assert SHARED in {name for _, _, name in malee.list_folders()}
        malee.select_folder(SHARED)
        (uid,) = malee.search(["UNSEEN"])
        assert "หนังสือ 1".encode() in malee.fetch([uid], ["BODY[]"])[uid][b"BODY[]"]
        assert malee.folder_status(SHARED, ["UNSEEN"]) == {b"UNSEEN": 0}
        assert suda.folder_status(SHARED, ["UNSEEN"]) == {b"UNSEEN": 1}
        suda.select_folder(SHARED)
        with pytest.raises(imaplib.IMAP4.error, match="no right"):
            suda.expunge()
        gateway.cli("mailbox", "acl", "revoke", DESK, "anyone")
        with pytest.raises(imaplib.IMAP4.error, match=r"not shared|BYE|EOF"):
            suda.noop()
        malee.delete_messages([uid])
        malee.expunge()


def test_who_wants_the_same_messages_shares_them_whoever_is_killed(gateway: Gateway, opened: Open) -> None:
    """Two people move all of a desk's messages home at once, the IMAP process is killed: each message
    is in one mailbox at the end, and in one alone."""
    with opened(DESK) as desk:
        for number in range(MOVED):
            desk.append("INBOX", message(number))
    for address in (MALEE, SUDA):
        gateway.cli("mailbox", "acl", "grant", DESK, address, "work")

    def left() -> int:
        with suppress(imaplib.IMAP4.error, OSError), opened(DESK) as client:
            return int(client.folder_status("INBOX", ["MESSAGES"])[b"MESSAGES"])
        return MOVED

    def move_all(address: str) -> None:
        while left():
            with suppress(imaplib.IMAP4.error, OSError), opened(address) as client:
                client.select_folder(SHARED)
                for uid in client.search():
                    _move(client, uid)

    with ThreadPoolExecutor() as threads:
        movers = [threads.submit(move_all, address) for address in (MALEE, SUDA)]
        for kill in range(KILLS):
            gateway.wait(lambda kill=kill: left() <= MOVED * (KILLS - kill) // (KILLS + 1), "some have moved")
            gateway.kill("imap")
        for mover in movers:
            mover.result()
    gateway.wait(lambda: _everywhere(opened).total() >= MOVED, "nothing is under way")
    assert _everywhere(opened) == Counter({str(number): 1 for number in range(MOVED)})


def _move(client: imapclient.IMAPClient, uid: int) -> None:
    try:
        client.move([uid], "INBOX")
    except imaplib.IMAP4.abort:  # the connection is gone
        raise
    except imaplib.IMAP4.error:  # the other one has it
        pass


def _everywhere(opened: Open) -> Counter[str]:
    """How often each message is anywhere, as far as somebody can say now."""
    found: Counter[str] = Counter()
    with suppress(imaplib.IMAP4.error, OSError):
        for address in (DESK, MALEE, SUDA):
            with opened(address) as client:
                client.select_folder("INBOX", readonly=True)
                if uids := client.search():
                    for data in client.fetch(uids, ["ENVELOPE"]).values():
                        found[data[b"ENVELOPE"].subject.decode()] += 1
    return found
