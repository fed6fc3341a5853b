"""What a line of an accounts file says, and what is said of a bad one."""

import pytest

from gateway.domain.account import QUOTA_OCTETS_DEFAULT
from gateway.domain.importing import LINE_OCTETS_MAX, Hashed, Header, RefusedRow, Row
from gateway.domain.registration import Refused
from gateway.mail.address import parse_address

PHC = "$argon2id$v=19$m=65536,t=3,p=4$9gaTece956ZyufdDFJ4q0A$5X0e7ONThLQ1BXr4FliuxUa05dH9FWmFG0svvHBi+/8"
HEADER = b"address,display_name,kind,quota,aliases,credential\n"


def read(line: str | bytes, header: bytes = HEADER) -> Row | RefusedRow | None:
    return Header(header).read(7, line if isinstance(line, bytes) else line.encode())


def test_a_full_row_is_read() -> None:
    row = read(f'suda@opm.go.th,"สุดา, น.",office,500M,a@opm.go.th; b@opm.go.th,"argon2:{PHC}"\r\n')
    assert row == Row(
        line=7,
        address=parse_address("suda@opm.go.th"),
        display_name="สุดา, น.",
        kind="office",
        quota_octets=500 * 1024**2,
        aliases=(parse_address("a@opm.go.th"), parse_address("b@opm.go.th")),
        credential=Hashed(PHC.encode()),
    )


def test_columns_come_in_any_order_and_most_may_be_left_out() -> None:
    row = read("invite,สุดา@opm.go.th\n", "\ufeffCredential, address\r\n".encode())
    assert isinstance(row, Row)
    assert (str(row.address), row.kind, row.display_name) == ("สุดา@opm.go.th", "person", "")
    assert (row.quota_octets, row.aliases, row.credential) == (QUOTA_OCTETS_DEFAULT, (), "invite")


def test_a_blank_line_is_no_row() -> None:
    for line in ("\n", "\r\n", "   \n", ",,,,,\n"):
        assert read(line) is None


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (b"address,password\n", "the header has 'password'"),
        (b"display_name,address\n", "the header lacks credential"),
        (b"", "the header lacks address and credential"),
        (b"address,credential,address\n", "names a column twice"),
        ("address,credential\n".encode("utf-16"), "not UTF-8"),
    ],
)
def test_a_header_nobody_can_read_is_refused(header: bytes, said: str) -> None:
    with pytest.raises(Refused, match=said):
        Header(header)


BAD = [
    (b"suda@opm.go.th,,,,,invite,more\n", "the row has 7 fields, the header 6"),
    (b"suda,,,,,invite\n", "'suda' is no mail address: there is no @"),
    ("\u0e2a\u0e38\u0e14\u0e32@opm.go.th,,,,,invite\n".encode("tis-620"), "the line is not UTF-8"),
    (b'suda@opm.go.th,"Suda,,,,invite\n', "the line is not CSV"),
    (b'suda@opm.go.th,"Suda"x,,,,invite\n', "the line is not CSV"),
    (b"suda@opm.go.th,,robot,,,invite\n", "the kind 'robot' is none of person, office"),
    (b"suda@opm.go.th,,,much,,invite\n", "the quota 'much' is no size such as 10G"),
    (b"suda@opm.go.th,,,,a b@opm.go.th,invite\n", "'a b@opm.go.th' is no mail address"),
    (b"suda@opm.go.th,,,," + b"a@opm.go.th;" * 101 + b",invite\n", "at most 100 aliases"),
    (b"suda@opm.go.th,,,,,\n", "neither invite nor openid nor argon2: and a PHC string"),
    (b"suda@opm.go.th,,,,,argon2:$2b$12$abc\n", "no PHC string of argon2"),
    (b"suda@opm.go.th,,,,,hunter2-in-the-clear\n", "neither invite nor openid"),
    (f'suda@opm.go.th,,,,,"argon2:{PHC.replace("m=65536", "m=9999999")}"\n'.encode(), "m=9999999"),
    (f'suda@opm.go.th,,,,,"argon2:{PHC.replace("t=3", "t=99")}"\n'.encode(), "t=99"),
    (b"x" * (LINE_OCTETS_MAX + 1), "longer than 65536 octets"),
]


@pytest.mark.parametrize(("line", "said"), BAD)
def test_a_bad_row_is_told_with_its_line(line: bytes, said: str) -> None:
    row = read(line)
    assert isinstance(row, RefusedRow)
    assert row.line == 7
    assert said in row.reason
    assert "hunter2" not in row.reason, "it might be a password"
