"""Searches find what they should while the index is filled, killed in it, and filled again on demand."""

import imaplib
import signal
import ssl
from functools import partial

from tests.e2e.gateway import Gateway
from tests.e2e.load import host_and_port
from tests.sizes import size

MESSAGES = size(40, 3_000)
KILLS = size(2, 30)
PASSWORD = "for-tests-alone"
ADDRESS = "searcher@opm.go.th"
WORD = "มหาสมุทร"


def message(number: int) -> bytes:
    said = f"ข้อความที่ {number} {WORD if number % 10 == 7 else 'flood'}"
    head = f"From: ann@example.org\r\nSubject: {number}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    return f"{head}{said}\r\n".encode()


def signed_in(gateway: Gateway) -> imaplib.IMAP4_SSL:
    context = ssl.create_default_context(cafile=gateway.ready["ca_file"])
    context.check_hostname = False  # it is asked for by its address
    client = imaplib.IMAP4_SSL(*host_and_port(gateway.address("imaps")), ssl_context=context)
    client.login(ADDRESS, PASSWORD)
    client.select("INBOX")
    return client


def found(client: imaplib.IMAP4_SSL) -> list[int]:
    client.literal = WORD.encode()
    kind, told = client.uid("SEARCH", "CHARSET", "UTF-8", "BODY")
    assert kind == "OK", told
    return [int(uid) for uid in told[0].split()]


def test_a_killed_indexer_goes_on_where_it_was(own_gateway: Gateway) -> None:
    gateway = own_gateway
    gateway.cli("account", "add", ADDRESS, "--name", "search", "--quota", "1G", "--password", PASSWORD)
    client = signed_in(gateway)
    expected = []
    for number in range(1, MESSAGES + 1):
        client.append("INBOX", "", "", message(number))
        if number % 10 == 7:
            expected.append(number)
        if number % (MESSAGES // KILLS) == 0:
            assert found(client) == expected, "what the index lacks is read"
            former = gateway.kill("steward", signal.SIGKILL)
            gateway.wait(partial(is_replaced, gateway, former), "the steward is back")
    gateway.wait(partial(is_indexed, gateway), "all of it is indexed")
    assert found(client) == expected
    told = gateway.cli("search", "rebuild")
    assert told["position"] > 0
    assert found(client) == expected
    gateway.wait(partial(is_indexed, gateway), "it is filled again")
    assert found(client) == expected
    client.logout()


def is_replaced(gateway: Gateway, former: int) -> bool:
    return gateway.pids("steward") not in ([], [None], [former])


def is_indexed(gateway: Gateway) -> bool:
    return bool(gateway.cli("status")["index_lag"] == 0)
