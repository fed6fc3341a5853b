"""What somebody may do with somebody else's mailbox."""

import pytest

from gateway.domain.sharing import ALL_RIGHTS, HowRights, Party, changed_rights, rights_of
from gateway.mail.ids import AccountId, AgencyId
from gateway.mail.rights import right_for_flag

OPM, DLD = AgencyId("ag_opm"), AgencyId("ag_dld")
OWNER, MALEE = Party(AccountId("acc_owner"), OPM), Party(AccountId("acc_malee"), OPM)
GIVEN = {"acc_malee": "lrs", "ag_opm": "lw"}


def test_the_owner_may_do_everything_whatever_is_given() -> None:
    assert rights_of(OWNER, OWNER, {"acc_owner": "l"}) == ALL_RIGHTS


@pytest.mark.parametrize(
    ("person", "owner", "rights"),
    [
        (MALEE, OWNER, "lrsw"),  # her own, and everybody's
        (Party(AccountId("acc_suda"), OPM), OWNER, "lw"),
        (Party(AccountId("acc_malee"), DLD), OWNER, ""),  # she has moved to another agency
        (Party(AccountId("acc_malee"), OPM, is_active=False), OWNER, ""),
        (MALEE, Party(OWNER.account_id, OPM, is_active=False), "lrsw"),  # the desk goes on
        (MALEE, Party(OWNER.account_id, OPM, is_active=False, is_closed=True), ""),
        (MALEE, Party(OWNER.account_id, DLD), ""),  # the owner has
    ],
)
def test_others_may_do_what_is_given_within_the_agency(person: Party, owner: Party, rights: str) -> None:
    assert rights_of(person, owner, GIVEN) == frozenset(rights)


@pytest.mark.parametrize(
    ("how", "rights", "after"), [("add", "wl", "lrsw"), ("remove", "rx", "ls"), ("replace", "ar", "ra")]
)
def test_rights_are_changed_as_clients_say(how: HowRights, rights: str, after: str) -> None:
    assert changed_rights("lrs", how, frozenset(rights)) == after


@pytest.mark.parametrize(
    ("flag", "right"), [("\\seen", "s"), ("\\DELETED", "t"), ("$Work", "w"), ("\\*", "w")]
)
def test_a_flag_has_its_right_however_it_is_spelt(flag: str, right: str) -> None:
    assert right_for_flag(flag) == right
