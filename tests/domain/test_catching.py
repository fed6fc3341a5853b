"""Where a mail goes to whose address nobody has: by its tag, by the agency's catch-all, or back."""

import pytest

from gateway.domain.agency import NextHop
from gateway.domain.catching import Looked, settle
from gateway.domain.routing import Hosted, NotOurs, Relayed, UnknownHere, Whereabouts
from gateway.mail.ids import AccountId, AgencyId, MailboxId

OPM = AgencyId("ag_opm")
UNKNOWN = UnknownHere(OPM)


def mailbox(name: str) -> Hosted:
    return Hosted(OPM, AccountId(f"acc_{name}"), MailboxId(f"mbx_{name}"))


ANN, BOB, DESK = mailbox("ann"), mailbox("bob"), mailbox("desk")
RELAYED = Relayed(OPM, NextHop("192.0.2.25", 25))

CASES: list[tuple[str, Looked, Looked | None, Whereabouts]] = [
    ("its owner", Looked(ANN, catcher=DESK), None, ANN),
    ("its owner before the tag's", Looked(BOB), Looked(ANN), BOB),
    ("without its tag", Looked(UNKNOWN, catcher=DESK), Looked(ANN), ANN),
    ("no tags", Looked(UNKNOWN, plus=False), Looked(ANN), UNKNOWN),
    ("no tags but a catch-all", Looked(UNKNOWN, plus=False, catcher=DESK), Looked(ANN), DESK),
    ("nobody's", Looked(UNKNOWN), None, UNKNOWN),
    ("caught", Looked(UNKNOWN, catcher=DESK), None, DESK),
    ("caught with its tag", Looked(UNKNOWN, catcher=DESK), Looked(UNKNOWN, catcher=DESK), DESK),
    ("it was somebody's", Looked(UNKNOWN, was_held=True, catcher=DESK), None, UNKNOWN),
    (
        "it was somebody's without its tag",
        Looked(UNKNOWN, catcher=DESK),
        Looked(UNKNOWN, was_held=True, catcher=DESK),
        UNKNOWN,
    ),
    ("given out anew", Looked(BOB, was_held=False, catcher=DESK), None, BOB),
    ("on its own server", Looked(RELAYED, catcher=DESK), None, RELAYED),
    ("elsewhere", Looked(NotOurs()), Looked(NotOurs()), NotOurs()),
]


@pytest.mark.parametrize(
    ("own", "untagged", "where"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_a_mail_goes_to_whoever_comes_first(own: Looked, untagged: Looked | None, where: Whereabouts) -> None:
    assert settle(own, untagged) == where
