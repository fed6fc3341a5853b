"""`saraban import`: lines as they are counted, codes that are not lost nor read by others."""

import asyncio
import io
from pathlib import Path

import pytest

from gateway.cli.importing import _rows
from gateway.cli.invitations import open_invitations
from gateway.domain.importing import LINE_OCTETS_MAX, Header, RefusedRow
from gateway.mail.address import parse_address

SUDA, CHAI = parse_address("suda@opm.go.th"), parse_address("สมชาย@opm.go.th")


def test_each_row_has_the_number_of_its_line() -> None:
    header = b"address,credential\n"
    long = b"x" * (3 * LINE_OCTETS_MAX) + b"\n"
    lines = b"a@opm.go.th,invite\n\n" + long + b"b@opm.go.th,nothing\r\nc@opm.go.th,openid"
    rows = list(_rows(io.BytesIO(header + lines), Header(header)))
    assert [row.line for row in rows] == [2, 4, 5, 6]
    assert [row.line for row in rows if isinstance(row, RefusedRow)] == [4, 5]


def test_codes_are_for_their_owner_alone_and_the_last_one_counts(tmp_path: Path) -> None:
    file = tmp_path / "codes.csv"
    for code in ("first", "second"):
        with open_invitations(file) as invitations:
            asyncio.run(invitations.keep({SUDA: code, CHAI: "only"}))
    assert file.stat().st_mode & 0o777 == 0o600
    with open_invitations(file) as invitations:
        invitations.tidy()
    assert file.read_text() == "address,code\nsuda@opm.go.th,second\nสมชาย@opm.go.th,only\n"
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_line_that_a_crash_cut_short_spoils_no_other(tmp_path: Path) -> None:
    file = tmp_path / "codes.csv"
    file.touch(0o600)
    file.write_text("address,code\nsuda@opm.go.th,first\nchai@opm.g")
    with open_invitations(file) as invitations:
        asyncio.run(invitations.keep({CHAI: "whole"}))
        invitations.tidy()
    assert file.read_text() == "address,code\nsuda@opm.go.th,first\nสมชาย@opm.go.th,whole\n"


@pytest.mark.parametrize(
    ("octets", "mode", "said"),
    [
        (b"address,code\n", 0o640, "has mode 640, expected 600"),
        (b"address,credential\nsuda@opm.go.th,invite\n", 0o600, "is no file of invitations"),
        (b"\xff\xfe\n", 0o600, "is no file of invitations"),
    ],
)
def test_a_file_of_something_else_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], octets: bytes, mode: int, said: str
) -> None:
    file = tmp_path / "codes.csv"
    file.write_bytes(octets)
    file.chmod(mode)
    with pytest.raises(SystemExit), open_invitations(file):
        pass
    assert said in capsys.readouterr().err
    assert file.read_bytes() == octets
