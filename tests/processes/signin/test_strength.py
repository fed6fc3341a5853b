"""Which passwords may be set."""

import pytest

from gateway.domain.registration import Refused
from gateway.mail.address import parse_address
from gateway.processes.signin.strength import COMMONEST, settable

ADDRESSES = [parse_address("somchai.jaidee@opm.go.th"), parse_address("saraban@opm.go.th")]


@pytest.mark.parametrize(
    "password", ["twelve chars", "ปลาทูทอดกรอบ", "nothing that anybody would try first", "x" * 100 + "yz"]
)
def test_a_long_password_is_strong(password: str) -> None:
    assert settable(password, ADDRESSES) == password


def test_a_password_is_set_in_the_form_it_is_compared_in() -> None:
    """RFC 8265 §4.2.2: whichever keyboard it was typed on."""
    assert settable("cafe\u0301 au\u00a0lait", ADDRESSES) == "caf\u00e9 au lait"


@pytest.mark.parametrize(
    ("password", "said"),
    [
        ("eleven char", "at least 12 characters"),
        ("x" * 257, "at most 256 characters"),
        ("twelve\tcharacters", "no control characters"),
        ("Password1234", "one of the first"),
        ("QWERTYUIOP123", "one of the first"),
        ("aaaaaaaaaaaa", "one of the first"),
        ("121212121212", "one of the first"),
        ("somchai.jaidee", "not one's own address"),
        ("Somchai.Jaidee@OPM.go.th", "not one's own address"),
        ("saraban@opm.go.th", "not one's own address"),
    ],
)
def test_a_weak_password_is_refused_with_a_reason(password: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        settable(password, ADDRESSES)


def test_the_commonest_are_in_the_form_they_are_looked_up_in() -> None:
    assert all(each == each.casefold() and len(each) >= 12 for each in COMMONEST)
