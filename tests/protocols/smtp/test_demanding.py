"""What is demanded of our server and passed on by our client is the same: read back from what was written."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.demands import NO_DEMANDS, DeliverBy, Demands
from gateway.mail.reply import PeerError, Reply
from gateway.protocols.smtp import demanding, grammar, replies
from gateway.protocols.smtp.offers import Offers

EVERYTHING = Offers(has_deliver_by=True, has_priority=True, has_requiretls=True)
DELIVER_BY = st.one_of(
    st.none(),
    st.builds(DeliverBy, st.integers(1, 999_999_999), st.sampled_from(["R", "RT"])),
    st.builds(DeliverBy, st.integers(-999_999_999, 999_999_999), st.sampled_from(["N", "NT"])),
)
PRIORITY = st.none() | st.integers(-9, 9)


@given(st.builds(Demands, DELIVER_BY, PRIORITY, st.booleans()))
def test_demands_come_back_from_what_is_passed_on(demands: Demands) -> None:
    assert demanding.read(grammar.parse_parameters(demanding.written(demands, EVERYTHING))) == demands
    assert demanding.written(demands, Offers()) == ""


@given(st.sampled_from(sorted(demanding.KEYWORDS)), st.none() | st.text(min_size=1, max_size=40))
def test_any_value_is_read_or_refused(keyword: str, value: str | None) -> None:
    said: Reply | None = None
    demands = NO_DEMANDS
    try:
        demands = demanding.read({keyword: value})
    except PeerError as error:
        said = error.reply
    assert (demands == NO_DEMANDS) == (said is replies.BAD_ARGUMENTS)


NOW = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)
RETURNED = Demands(DeliverBy(600, "R"))
HOSTS: list[tuple[Demands, Offers, Reply | None]] = [
    (NO_DEMANDS, Offers(), None),
    # RFC 2852 §4: only what is to be returned needs a host that promises to.
    (RETURNED, Offers(), demanding.CANNOT_PROMISE),
    (RETURNED, Offers(has_deliver_by=True), None),
    (RETURNED, Offers(has_deliver_by=True, deliver_by_min_s=600), None),
    (RETURNED, Offers(has_deliver_by=True, deliver_by_min_s=601), demanding.EXPIRED),
    (Demands(DeliverBy(0, "RT")), Offers(has_deliver_by=True), demanding.EXPIRED),
    (Demands(DeliverBy(-5, "N")), Offers(), None),
    # RFC 6710 §4: a host that knows no priorities gets the mail all the same.
    (Demands(priority=9), Offers(), None),
    # RFC 8689 §4.2.1.
    (Demands(requires_tls=True), Offers(), demanding.NO_REQUIRETLS),
    (Demands(requires_tls=True), Offers(has_requiretls=True), None),
]


@pytest.mark.parametrize(("demands", "offers", "said"), HOSTS)
def test_a_host_gets_only_what_it_can_keep(demands: Demands, offers: Offers, said: Reply | None) -> None:
    assert demanding.refusal_for(demands, offers) == said


HOLDS = [
    (Demands(), None),
    (Demands(hold_for_s=60), NOW + timedelta(seconds=60)),
    (Demands(hold_until=NOW + timedelta(days=1)), NOW + timedelta(days=1)),
    # RFC 4865 §4: a time that has passed holds nothing.
    (Demands(hold_until=NOW), None),
    (Demands(hold_until=NOW - timedelta(days=1)), None),
]


@pytest.mark.parametrize(("demands", "at"), HOLDS)
def test_a_mail_is_held_until_a_time_that_is_to_come(demands: Demands, at: datetime | None) -> None:
    assert demands.released_at(NOW) == at
