"""What is asked of our server and passed on by our client is the same: read back from what was written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.dsn_options import DsnOptions, wants
from gateway.protocols.smtp import grammar
from gateway.protocols.smtp.parameters import mail_parameters, rcpt_parameters, read_mail, read_rcpt

PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=100)
LOCAL_PARTS = st.text("abc+=\\ กขค ü𝒳", min_size=1, max_size=10).map(
    lambda text: '"' + text.replace("\\", "\\\\") + '"'
)


@given(envid=PRINTABLE)
def test_envid_comes_back_from_what_is_passed_on(envid: str) -> None:
    written = mail_parameters(DsnOptions("FULL", envid))
    assert written.isascii()
    assert read_mail(grammar.parse_parameters(written)) == ("FULL", envid)


@given(address=PRINTABLE)
def test_orcpt_comes_back_from_what_is_passed_on(address: str) -> None:
    orcpt = f"rfc822;{address}"
    written = rcpt_parameters(DsnOptions(notify=("NEVER",), orcpt=(orcpt,)), 0, is_smtputf8=False)
    assert read_rcpt(grammar.parse_parameters(written)) == ("NEVER", orcpt, "")


@pytest.mark.parametrize("is_smtputf8", [False, True])
@given(local_part=LOCAL_PARTS)
def test_orcpt_in_utf8_comes_back_from_either_form(*, is_smtputf8: bool, local_part: str) -> None:
    orcpt = f"utf-8;{local_part}@opm.go.th"
    written = rcpt_parameters(DsnOptions(orcpt=(orcpt,)), 0, is_smtputf8=is_smtputf8)
    assert is_smtputf8 or written.isascii()
    assert read_rcpt(grammar.parse_parameters(written)) == ("", orcpt, "")


# RFC 3461 §4.1: what is wanted of each kind, by what was said.
WANTED = [
    ("", "FAILURE"),
    ("NEVER", ""),
    ("SUCCESS", "SUCCESS"),
    ("FAILURE,DELAY", "FAILURE DELAY"),
    ("SUCCESS,FAILURE,DELAY", "SUCCESS FAILURE DELAY"),
]


@pytest.mark.parametrize(("notify", "wanted"), WANTED)
def test_a_sender_is_told_what_it_asked_for(notify: str, wanted: str) -> None:
    assert [k for k in ("SUCCESS", "FAILURE", "DELAY") if wants(notify, k)] == wanted.split()
