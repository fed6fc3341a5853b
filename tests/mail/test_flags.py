"""Flags as one canonical text (RFC 9051 §2.3.2)."""

import pytest

from gateway.mail.flags import flags_text, has_flag, replaced_flags, with_flags, without_flags

TEXTS = [
    ([], ""),
    (["\\Seen"], "\\Seen"),
    (["\\seen", "\\SEEN"], "\\Seen"),
    (["$label2", "\\Seen", "$Label1", "\\Answered"], "\\Answered \\Seen $Label1 $label2"),
    (["$Forwarded", "$FORWARDED"], "$Forwarded"),  # as spelt first
    (["\\Recent", "\\Flagged"], "\\Flagged"),  # a session's own
]


@pytest.mark.parametrize(("flags", "text"), TEXTS)
def test_equal_sets_are_one_text(flags: list[str], text: str) -> None:
    assert flags_text(flags) == text
    assert flags_text(reversed(text.split())) == text


def test_what_is_added_removed_and_replaced_is_compared_without_case() -> None:
    had = flags_text(["\\Seen", "$Work"])
    assert with_flags(had, ["\\deleted", "$WORK"]) == "\\Deleted \\Seen $Work"
    assert without_flags(had, ["\\SEEN", "$work", "$other"]) == ""
    assert replaced_flags(had, ["$work", "$New"]) == "$New $Work"
    assert with_flags(had, []) == without_flags(had, []) == had


def test_a_flag_is_found_by_its_whole_name() -> None:
    assert has_flag("\\Seen $Work", "\\Seen")
    assert not has_flag("\\SeenBefore $Work", "\\Seen")
