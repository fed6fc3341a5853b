"""The presented message is the front and the stored octets without the forged fields of ours."""

import email
import email.policy
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.presented import (
    Reception,
    date,
    front,
    hidden_ranges,
    presented,
    presented_octets,
    received,
)
from tests.mail.messages import reader

AT = datetime(2026, 11, 23, 3, 4, 5, tzinfo=UTC)
RECEPTION = Reception(
    helo="mail.example.org",
    remote_ip="192.0.2.1",
    by_host="mx.opm.go.th",
    mail_id="mail_01abc",
    at=AT,
    protocol="ESMTPS",
)


def test_the_front_has_our_trace_fields() -> None:
    octets = front("ann@example.org", RECEPTION, b"", "mx.opm.go.th; spf=pass smtp.mailfrom=example.org")
    assert octets == (
        b"Return-Path: <ann@example.org>\r\n"
        b"Authentication-Results: mx.opm.go.th; spf=pass smtp.mailfrom=example.org\r\n"
        b"Received: from mail.example.org ([192.0.2.1]) by mx.opm.go.th with ESMTPS\r\n"
        b"\tid mail_01abc; Mon, 23 Nov 2026 03:04:05 +0000\r\n"
    )


def test_the_null_reverse_path_is_an_empty_path() -> None:
    assert front(None, RECEPTION, b"").startswith(b"Return-Path: <>\r\n")


def test_with_names_the_way_it_came() -> None:
    assert "with UTF8SMTPS" in received(replace(RECEPTION, protocol="UTF8SMTPS")).replace("\r\n\t", " ")


def test_an_ipv6_address_is_a_tagged_literal() -> None:
    assert "([IPv6:2001:db8::1])" in received(replace(RECEPTION, remote_ip="2001:db8::1"))


def test_dates_are_in_utc() -> None:
    assert (
        date(datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=7))))
        == "Thu, 1 Jan 2026 20:04:05 +0000"
    )


@given(
    st.text(max_size=300),
    st.text(max_size=300),
    st.text(max_size=40),
    st.sampled_from([b"", b" x", b"\tx", b"X: y"]),
)
def test_nothing_a_peer_said_makes_or_continues_a_line(
    helo: str, path: str, results: str, message: bytes
) -> None:
    hostile = replace(RECEPTION, helo=helo + "\r\nX-Evil: 1", remote_ip="192.0.2.1\r\nX: y")
    octets = front(path + "\r\nX-Evil: 2\n", hostile, message, results + "\r\nX-Evil: 3")
    parsed = email.message_from_bytes(octets + message + b"\r\n\r\n", policy=email.policy.compat32)
    ours = ["Return-Path", "Authentication-Results", "Received"]
    assert parsed.keys()[:3] == ours
    assert parsed.keys()[3:] == {b"": [], b"X: y": ["X"]}.get(message, ["X-Unnamed"])
    assert octets.count(b"\r") == octets.count(b"\n") == octets.count(b"\r\n")
    assert str(parsed["Received"]).endswith("+0000")


FORGED = [
    (b"Return-Path: <ann@example.org>\r\n", False),  # the sender's own words; ours stands first
    (b"Authentication-Results: mx.opm.go.th; dkim=pass\r\n", True),
    (b"Authentication-Results: MX.OPM.GO.TH 1; dkim=pass\r\n", True),
    (b'authentication-results:\r\n (a (b) c) "mx.opm.go.th" ; none\r\n', True),
    (b"Authentication-Results: mx.opm.go.th.; dkim=pass\r\n", True),
    (b"Authentication-Results: ; dkim=pass\r\n", True),  # RFC 8601 §5: what cannot be read is not kept
    (b"Authentication-Results: mx.example.org; dkim=pass\r\n", False),
    (b"Authentication-Results: mx.opm.go.th.example.org; dkim=pass\r\n", False),
    (b"X-Return-Path: <a@example.org>\r\n", False),
    (b"Received: from mx.opm.go.th\r\n", False),
]


@pytest.mark.parametrize(("field", "is_hidden"), FORGED)
def test_hides_fields_that_claim_to_be_ours(field: bytes, is_hidden: bool) -> None:
    header = b"Subject: x\r\n" + field + b"To: a\r\n\r\n"
    expected = ((12, 12 + len(field)),) if is_hidden else ()
    assert hidden_ranges(header, "mx.opm.go.th") == expected


def test_an_authserv_id_is_the_same_as_a_and_u_label() -> None:
    header = b"Authentication-Results: mx.xn--12c1fe0br.example; dkim=pass\r\n"
    unicode_id = b"mx.xn--12c1fe0br.example".decode("idna")
    assert hidden_ranges(header, unicode_id) == ((0, len(header)),)


def test_neighbours_are_one_range_and_the_body_is_never_touched() -> None:
    field = b"Authentication-Results: mx.opm.go.th; none\r\n"
    assert hidden_ranges(field * 2 + b"\r\n" + field, "mx.opm.go.th") == ((0, 2 * len(field)),)


@given(st.binary(max_size=60), st.lists(st.integers(0, 200), max_size=8, unique=True), st.data())
def test_any_range_is_the_slice_of_the_whole(front_: bytes, edges: list[int], data: st.DataObject) -> None:
    stored = bytes(range(200))
    edges = sorted(edge for edge in edges if edge <= len(stored))
    hidden = list(zip(edges[::2], edges[1::2], strict=False))
    kept = b"".join(stored[at : at + 1] for at in range(200) if not any(a <= at < b for a, b in hidden))
    whole = front_ + kept
    assert presented_octets(len(front_), hidden, len(stored)) == len(whole)
    assert b"".join(presented(front_, hidden, len(stored), reader(stored))) == whole
    start, end = sorted((data.draw(st.integers(0, 300)), data.draw(st.integers(0, 300))))
    given_ = b"".join(presented(front_, hidden, len(stored), reader(stored, split=7), start, end))
    assert given_ == whole[start:end]
