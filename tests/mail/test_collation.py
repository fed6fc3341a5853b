"""Texts in the form in which they are compared: RFC 5051, and Thai."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.collation import folded

SAME = [
    ("Straße", "STRASSE"),
    ("\u00e9", "E\u0301"),
    ("ＡＢ", "ab"),  # full width
    # SARA AM alone, or as nikhahit and SARA AA; the tone mark before or behind it.
    ("น้ำ", "น\u0e49\u0e4d\u0e32"),
    ("น้ำ", "น\u0e4d\u0e49\u0e32"),
    ("กระทรวง\u200bมหาดไทย", "กระทรวงมหาดไทย"),
    # A vowel below and a tone mark in either order.
    ("กุ้ง", "ก\u0e49\u0e38ง"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_a_person_takes_them_for_the_same(one: str, other: str) -> None:
    assert folded(one) == folded(other)


@pytest.mark.parametrize(("one", "other"), [("a", "b"), ("มา", "ม้า"), ("กา", "กำ"), ("e", "\u00e9")])
def test_a_person_takes_them_for_different(one: str, other: str) -> None:
    assert folded(one) != folded(other)


@given(st.text())
def test_it_is_done_once(text: str) -> None:
    assert folded(folded(text)) == folded(text)
