"""PLAIN and LOGIN: what a client answers is what it claims, and nothing else is taken for it."""

import pytest

from gateway.protocols.sasl.exchange import BadResponse, Challenge, PasswordClaim, prepare_password
from gateway.protocols.sasl.plain import Login, Plain

PLAIN = [
    # RFC 4616 §4: the examples.
    (b"\0tim\0tanstaaftanstaaf", PasswordClaim("tim", "tanstaaftanstaaf")),
    (b"Ursel\0Kurt\0xipj3plmq", PasswordClaim("Kurt", "xipj3plmq", "Ursel")),
    ("\0สมชาย@opm.go.th\0รหัสผ่าน".encode(), PasswordClaim("สมชาย@opm.go.th", "รหัสผ่าน")),
]


@pytest.mark.parametrize(("response", "claim"), PLAIN)
def test_plain_is_one_response(response: bytes, claim: PasswordClaim) -> None:
    assert Plain().answer(response) == claim


@pytest.mark.parametrize(
    "response", [b"", b"a", b"\0a", b"\0a\0", b"\0\0p", b"\0a\0p\0", b"\0\xff\0p", b"\0a\0" + b"x" * 256]
)
def test_plain_that_is_not_three_fields_is_refused(response: bytes) -> None:
    with pytest.raises(BadResponse):
        Plain().answer(response)


def test_login_asks_for_both() -> None:
    login = Login()
    assert login.answer(None) == Challenge(b"Username:")
    assert login.answer(b"suda@opm.go.th") == Challenge(b"Password:")
    assert login.answer(b"right") == PasswordClaim("suda@opm.go.th", "right")


def test_a_password_is_not_shown() -> None:
    assert "tanstaaf" not in repr(PasswordClaim("tim", "tanstaaf"))


@pytest.mark.parametrize(
    ("typed", "prepared"),
    [
        ("a b", "a b"),
        ("a\u00a0b", "a b"),  # RFC 8265 §4.2.2: another space
        ("e\u0301", "é"),  # NFC
        ("\uff41", "\uff41"),  # no width mapping, no case mapping
        ("กำ", "กำ"),  # SARA AM stays: NFC, not NFKC
    ],
)
def test_a_password_has_one_form(typed: str, prepared: str) -> None:
    assert prepare_password(typed) == prepared


def test_control_characters_are_in_no_password() -> None:
    with pytest.raises(BadResponse):
        prepare_password("a\tb")
