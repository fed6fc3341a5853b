"""Histories: which subject a fact belongs to, and that nothing personal is in it."""

import pytest

from gateway.domain.histories import (
    address_history,
    address_name,
    box_history,
    domain_history,
    history_of,
    mail_history,
    originator_of,
)
from gateway.domain.mailboxtree import tree_id
from gateway.mail.address import parse_address
from gateway.mail.ids import AccountId, MailId

ORIGINATORS = [
    ("ag_01", "agency.ag_01"),
    ("acc_01", "account.acc_01"),
    (tree_id(AccountId("acc_01")), "tree.acc_01"),
]


@pytest.mark.parametrize(("originator", "history"), ORIGINATORS)
def test_an_aggregate_and_its_history_name_each_other(originator: str, history: str) -> None:
    assert history_of(originator) == history
    assert originator_of(history) == originator


def test_an_address_is_in_no_subject_and_all_its_spellings_are_one() -> None:
    names = {
        address_name(parse_address(text), b"k" * 32)
        for text in ("สุดา@opm.go.th", "สุดา@OPM.GO.TH", '"สุดา"@opm.go.th')
    }
    assert len(names) == 1
    (name,) = names
    assert address_history(name) == f"address.{name}"
    assert len(name) == 64
    assert name != address_name(parse_address("สุดา@opm.go.th"), b"j" * 32)


def test_a_domain_is_one_token() -> None:
    assert domain_history("opm.go.th") == "domain.opm%2Ego%2Eth"


def test_slots_have_two_digits() -> None:
    assert mail_history(MailId("mail_1")).split(".")[1].isdigit()
    assert box_history(AccountId("acc_1")).split(".")[2] == "acc_1"
    assert all(len(mail_history(MailId(f"mail_{n}"))) == len("mail.00") for n in range(200))
