"""The base subject: RFC 5256 §2.1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.subject import CHARACTERS_MAX, base_subject

SUBJECTS = [
    ("hello", "hello", False),
    ("", "", False),
    ("Re: hello", "hello", True),
    ("RE:  Fwd:\tFW: hello", "hello", True),
    ("Re[2]: hello", "hello", True),
    ("Re [x] : hello", "hello", True),
    ("hello (fwd)", "hello", True),
    ("hello (fwd) (FWD) ", "hello", True),
    ("[list] Re: [list] hello", "hello", True),
    ("[list] hello", "hello", False),
    # What would leave nothing stays.
    ("[list]", "[list]", False),
    ("Re: [list]", "[list]", True),
    ("[Fwd: Re: hello]", "hello", True),
    ("[Fwd: [Fwd: hello] (fwd)]", "hello", True),
    ("Re: [Fwd: hello] again", "again", True),
    ("Regarding: hello", "Regarding: hello", False),
    ("Re hello", "Re hello", False),
    ("Re:", "", True),
    ("  a \t b\r\n c ", "a b c", False),
    ("หนังสือ", "หนังสือ", False),
]


@pytest.mark.parametrize(("subject", "base", "is_reply"), SUBJECTS)
def test_a_subject_has_a_base(subject: str, base: str, is_reply: bool) -> None:
    assert base_subject(subject) == (base, is_reply)


@given(st.lists(st.sampled_from(["Re:", "fwd: ", "[x]", "[", "]", " ", "(fwd)", "[fwd:", "a"]), max_size=20))
def test_a_base_is_its_own_base(pieces: list[str]) -> None:
    base = base_subject("".join(pieces)).text
    assert base_subject(base) == (base, False)


def test_an_endless_subject_is_cut() -> None:
    assert len(base_subject("x" * 10 * CHARACTERS_MAX).text) == CHARACTERS_MAX
