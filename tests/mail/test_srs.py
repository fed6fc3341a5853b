"""Return paths of mails that are passed on: their form, who may use them, and for how long."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail import srs
from gateway.mail.address import Address, parse_address

SECRET, OLDER = b"s" * 32, b"o" * 32
TODAY = date(2026, 11, 28)

# A sender, whose domain passes on, and what the next host is told. HHHHHHHH stands for the MAC.
FORMS = [
    ("ann@example.org", "opm.go.th", "SRS0=HHHHHHHH=JR=example.org=ann@opm.go.th"),
    ("ann+tag=x@example.org", "opm.go.th", "SRS0=HHHHHHHH=JR=example.org=ann+tag=x@opm.go.th"),
    ("Ann@Example.ORG", "OPM.go.th", "SRS0=HHHHHHHH=JR=Example.ORG=Ann@opm.go.th"),
    ("ann@ไทย.example", "opm.go.th", "SRS0=HHHHHHHH=JR=xn--o3cw4h.example=ann@opm.go.th"),
    ("SRS0=abc=XY=a.example=ann@b.example", "c.th", "SRS1=HHHHHHHH=b.example==abc=XY=a.example=ann@c.th"),
    ("srs0+abc=XY=a.example=ann@b.example", "c.th", "SRS1=HHHHHHHH=b.example=+abc=XY=a.example=ann@c.th"),
    # Already twice: the first host that wrote it stays, the second is left out.
    (
        "SRS1=zz=b.example==abc=XY=a.example=a@d.th",
        "c.th",
        "SRS1=HHHHHHHH=b.example==abc=XY=a.example=a@c.th",
    ),
    ("SRS1=nonsense@d.th", "c.th", "SRS0=HHHHHHHH=JR=d.th=SRS1=nonsense@c.th"),
]
# What has no such form: the caller has to find another.
NONE = [
    f"{'a' * 40}@example.org",
    "สมชาย@example.org",
    '"a b"@example.org',
    "ann@[192.0.2.1]",
    "ann@" + "long." * 10 + "example",
]


def rewritten(sender: str, domain: str = "opm.go.th", secret: bytes = SECRET, today: date = TODAY) -> Address:
    address = srs.rewrite(parse_address(sender), domain, secret=secret, today=today)
    assert address is not None
    return address


@pytest.mark.parametrize(("sender", "domain", "form"), FORMS)
def test_the_sender_is_inside_an_address_of_ours(sender: str, domain: str, form: str) -> None:
    address = str(rewritten(sender, domain))
    mac = address[5:13]
    assert set(mac) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
    assert address == form.replace("HHHHHHHH", mac)
    assert parse_address(address).is_ascii


@pytest.mark.parametrize("sender", NONE)
def test_what_has_no_room_or_no_plain_form_is_left_to_the_caller(sender: str) -> None:
    assert srs.rewrite(parse_address(sender), "opm.go.th", secret=SECRET, today=TODAY) is None


def test_a_report_finds_the_sender_and_of_two_hosts_the_first() -> None:
    once = rewritten("ann@example.org", "b.example")
    twice = rewritten(str(once), "c.example", OLDER)
    thrice = rewritten(str(twice), "d.example")
    assert srs.reverse(thrice, secrets=[SECRET], today=TODAY) == once
    assert srs.reverse(twice, secrets=[OLDER], today=TODAY) == once
    assert srs.reverse(once, secrets=[SECRET], today=TODAY) == parse_address("ann@example.org")


def test_changed_case_on_the_way_does_no_harm() -> None:
    address = rewritten("ann@example.org")
    for changed in (str(address).lower(), str(address).upper()):
        found = srs.reverse(parse_address(changed), secrets=[SECRET], today=TODAY)
        assert str(found).lower() == "ann@example.org"


@pytest.mark.parametrize("changed", ["domain", "local", "stamp", "ours", "hash", "secret"])
def test_what_was_changed_is_not_ours(changed: str) -> None:
    text = str(rewritten("ann@example.org"))
    texts = {
        "domain": text.replace("example.org", "example.com"),
        "local": text.replace("=ann@", "=bob@"),
        "stamp": text.replace("=JR=", "=JS="),
        "ours": text.replace("opm.go.th", "opdc.go.th"),
        "hash": text[:5] + ("B" if text[5] == "A" else "A") + text[6:],
        "secret": text,
    }
    secrets = [OLDER] if changed == "secret" else [SECRET, OLDER]
    with pytest.raises(srs.NotOurs):
        srs.reverse(parse_address(texts[changed]), secrets=secrets, today=TODAY)


def test_an_older_secret_still_opens_what_was_written_with_it() -> None:
    address = rewritten("ann@example.org", secret=OLDER)
    assert srs.reverse(address, secrets=[SECRET, OLDER], today=TODAY).local_part == "ann"


def test_it_ends_after_three_weeks() -> None:
    address = rewritten("ann@example.org")
    last = TODAY + timedelta(days=srs.AGE_DAYS_MAX)
    assert srs.reverse(address, secrets=[SECRET], today=last).local_part == "ann"
    for day in (last + timedelta(days=1), TODAY + timedelta(days=1022), TODAY - timedelta(days=2)):
        with pytest.raises(srs.Expired):
            srs.reverse(address, secrets=[SECRET], today=day)


def test_days_are_counted_in_base32() -> None:
    days = [date(1970, 1, 1), date(1970, 1, 2), date(1970, 2, 2), date(1972, 10, 20), date(1972, 10, 21)]
    assert [srs.stamp_of(day) for day in days] == ["AA", "AB", "BA", "77", "AA"]


@pytest.mark.parametrize(
    "text", ["ann@opm.go.th", "SRS0=x@opm.go.th", "SRS1=h=d=x@opm.go.th", "SRS0@opm.go.th"]
)
def test_what_has_neither_form_is_said_to_have_none(text: str) -> None:
    with pytest.raises(ValueError, match="no rewritten return path"):
        srs.reverse(parse_address(text), secrets=[SECRET], today=TODAY)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("SRS0=x@opm.go.th", True),
        ("srs1+x@opm.go.th", True),
        ("SRS0-x@opm.go.th", True),
        ("srs0@opm.go.th", False),
        ("SRS2=x@opm.go.th", False),
        ("srs0x@opm.go.th", False),
    ],
)
def test_the_form_alone_tells_that_it_may_be_one(text: str, is_one: bool) -> None:
    assert srs.is_rewritten(parse_address(text)) is is_one


@given(st.text(alphabet="SRSsrs01=-+abAB27.", max_size=64))
def test_whatever_is_sent_is_refused_in_words(local_part: str) -> None:
    """Whoever has not the secret gets no sender, and no other error."""
    with pytest.raises(ValueError):
        srs.reverse(Address(local_part, "opm.go.th"), secrets=[SECRET], today=TODAY)
