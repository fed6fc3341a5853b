"""What a list does to the header of a mail, and how it knows a mail again."""

import pytest

from gateway.mail.address import parse_address
from gateway.mail.listing import has_been_at, hidden_of_lists, list_front, list_identifier

ALL, THAI = parse_address("All@OPM.go.th"), parse_address("ทุกคน@opm.go.th")
FRONT = b"Return-Path: <ann@example.org>\r\nReceived: from a\r\n\tby b; now\r\n"


def test_a_list_says_who_it_is_and_whose_the_mail_was_stays_out_of_it() -> None:
    front = list_front(FRONT, ALL, list_identifier(ALL, "acc_1"), parse_address("all-bounces@opm.go.th"))
    assert front.decode().split("\r\n") == [
        "Return-Path: <all-bounces@opm.go.th>",
        "Delivered-To: All@OPM.go.th",
        "List-Id: <all.opm.go.th>",
        "List-Post: <mailto:All@OPM.go.th>",
        "Precedence: list",
        "Received: from a",
        "\tby b; now",
        "",
    ]


def test_a_list_in_a_list_keeps_where_the_mail_has_been() -> None:
    outer = parse_address("outer@opm.go.th")
    front = list_front(FRONT, ALL, "all.opm.go.th", parse_address("all-bounces@opm.go.th"))
    front = list_front(front, outer, "outer.opm.go.th", parse_address("outer-bounces@opm.go.th"))
    for field in (b"Return-Path:", b"List-Id:", b"List-Post:", b"Precedence:"):
        assert front.count(field) == 1
    assert has_been_at(front, ALL, "all.opm.go.th")
    assert has_been_at(front, outer, "outer.opm.go.th")


def test_a_thai_name_is_written_as_mailto_and_list_id_allow() -> None:
    identifier = list_identifier(THAI, "acc_1")
    assert identifier == "acc_1.opm.go.th"
    front = list_front(FRONT, THAI, identifier, parse_address("ทุกคน-bounces@opm.go.th"))
    assert "Delivered-To: ทุกคน@opm.go.th\r\n".encode() in front
    assert b"List-Post: <mailto:%E0%B8%97" in front
    assert has_been_at(front, THAI, identifier)


@pytest.mark.parametrize(
    ("header", "was_there"),
    [
        (b"List-Id: All of us <ALL.opm.go.th>\r\n\r\n", True),
        (b"list-id:\r\n <all.opm.go.th>\r\n\r\n", True),
        (b"Delivered-To: all@opm.go.th\r\n\r\n", True),
        (b"List-Id: <all.example.org>\r\nDelivered-To: ann@opm.go.th\r\n\r\n", False),
        (b"Subject: List-Id: <all.opm.go.th>\r\n\r\nList-Id: <all.opm.go.th>\r\n", False),
        (b"", False),
    ],
)
def test_a_mail_that_was_there_is_known_again(header: bytes, was_there: bool) -> None:
    assert has_been_at(header, ALL, "all.opm.go.th") is was_there


def test_what_another_list_said_of_itself_is_hidden() -> None:
    header = b"From: a\r\nList-Id: <x>\r\nList-Post:\r\n <y>\r\nPrecedence: bulk\r\n"
    header += b"Require-Recipient-Valid-Since: x\r\nSubject: List-Id\r\n\r\n"  # RFC 7293 §8.1
    ((start, end),) = hidden_of_lists(header, ())
    assert header[:start] + header[end:] == b"From: a\r\nSubject: List-Id\r\n\r\n"
    assert hidden_of_lists(header, ((0, 9),)) == ((0, end),)
    assert hidden_of_lists(b"From: a\r\n\r\n", ((3, 5),)) == ((3, 5),)
