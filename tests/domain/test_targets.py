"""Where mail for a domain goes by what the DNS says, and where it does not."""

from collections.abc import Callable, Sequence
from ipaddress import ip_network
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.dns import Answer, Mx
from gateway.domain.targets import (
    DNS_SILENT,
    NO_ADDRESSES,
    NO_SUCH_DOMAIN,
    NULL_MX,
    ONLY_OURSELVES,
    TARGETS_MAX,
    Found,
    MailDomain,
    Reach,
    Target,
    literal_target,
    mail_hosts,
    targets,
)
from gateway.mail.reply import Reply

OUR_NAME, OUR_ADDRESS = "mail.opm.go.th", "203.0.113.25"
EXAMPLES = tuple(ip_network(text) for text in ("192.0.2.0/24", "203.0.113.0/24", "2001:db8::/32"))
REACH = Reach(OUR_NAME, frozenset({(OUR_ADDRESS, 25)}), EXAMPLES)
A, B, C = "192.0.2.1", "192.0.2.2", "192.0.2.3"
SIX = "2001:db8::1"


def numbered() -> Callable[[int], bytes]:
    """Entropy that leaves the order as it is."""
    numbers = count()
    return lambda octets: next(numbers).to_bytes(octets, "big")


def backwards() -> Callable[[int], bytes]:
    """Entropy that turns the order round."""
    numbers = count()
    return lambda octets: (1_000_000 - next(numbers)).to_bytes(octets, "big")


def answer(*records: Mx, exists: bool = True) -> Answer[Mx]:
    return Answer("example.org", records, exists)


# --- which hosts -----------------------------------------------------------------------------------------

HOSTS: dict[str, tuple[Answer[Mx], Sequence[Mx] | Reply]] = {
    "the lower preference first": (answer(Mx(20, "b"), Mx(10, "a")), [Mx(10, "a"), Mx(20, "b")]),
    # RFC 5321 §5.1: "If an empty list of MXs is returned, the address is treated as if it was associated with
    # an implicit MX RR, with a preference of 0, pointing to that host."
    "none: the domain itself": (answer(), [Mx(0, "example.org")]),
    "no such name": (answer(exists=False), NO_SUCH_DOMAIN),
    "RFC 7505: none that takes mail": (answer(Mx(0, ".")), NULL_MX),
    "a null MX that is not alone is none (§3)": (answer(Mx(0, "."), Mx(10, "a")), [Mx(10, "a")]),
    "one twice is one, where it comes first": (answer(Mx(30, "a"), Mx(20, "b"), Mx(10, "a")),
                                               [Mx(10, "a"), Mx(20, "b")]),
    "too many": (answer(*(Mx(n, f"mx{n}") for n in range(30))),
                 [Mx(n, f"mx{n}") for n in range(TARGETS_MAX)]),
}  # fmt: skip


@pytest.mark.parametrize(("found", "hosts"), HOSTS.values(), ids=HOSTS)
def test_a_domains_mail_hosts(found: Answer[Mx], hosts: Sequence[Mx] | Reply) -> None:
    assert mail_hosts("example.org", found, numbered()) == hosts


def test_equal_hosts_share_the_mail() -> None:
    equal = answer(Mx(10, "a"), Mx(10, "b"), Mx(5, "first"))
    ways = [mail_hosts("example.org", equal, entropy) for entropy in (numbered(), backwards())]
    assert [[mx.host for mx in way] for way in ways if not isinstance(way, Reply)] == [
        ["first", "a", "b"],
        ["first", "b", "a"],
    ]


REPLIES = {NO_SUCH_DOMAIN: "550 5.1.2", NULL_MX: "556 5.1.10", ONLY_OURSELVES: "554 5.4.6",
           NO_ADDRESSES: "550 5.4.4", DNS_SILENT: "451 4.4.3"}  # fmt: skip


@pytest.mark.parametrize(("said", "code"), REPLIES.items(), ids=REPLIES.values())
def test_what_is_said_has_the_code_of_its_rfc(said: Reply, code: str) -> None:
    assert f"{said.code} {said.status}" == code


# --- which addresses -------------------------------------------------------------------------------------

ADDRESSES: dict[str, tuple[list[Mx], dict[str, Found], list[str] | Reply]] = {
    "host after host": (
        [Mx(10, "a"), Mx(20, "b")],
        {"a": Found(v4=[A]), "b": Found(v4=[B])},
        [f"a[{A}]:25", f"b[{B}]:25"],
    ),
    # RFC 5321 §5.2 leaves the order of families to us.
    "IPv6 and IPv4 in turn": (
        [Mx(10, "a")],
        {"a": Found(v6=[SIX, "2001:db8::2"], v4=[A])},
        [f"a[{SIX}]:25", f"a[{A}]:25", "a[2001:db8::2]:25"],
    ),
    "a host without any is passed over": (
        [Mx(10, "a"), Mx(20, "b")],
        {"a": Found(), "b": Found(v4=[B])},
        [f"b[{B}]:25"],
    ),
    "so is one of which nobody can say": (
        [Mx(10, "a"), Mx(20, "b")],
        {"a": Found(is_silent=True), "b": Found(v4=[B])},
        [f"b[{B}]:25"],
    ),
    "one family is enough": ([Mx(10, "a")], {"a": Found(v4=[A], is_silent=True)}, [f"a[{A}]:25"]),
    "nobody has any": ([Mx(10, "a"), Mx(20, "b")], {"a": Found(), "b": Found()}, NO_ADDRESSES),
    "somebody may have some": (
        [Mx(10, "a"), Mx(20, "b")],
        {"a": Found(), "b": Found(is_silent=True)},
        DNS_SILENT,
    ),
    # RFC 5321 §5.1: we are in the list. Who is as near as we are, or farther, would give the mail back.
    "our name": (
        [Mx(10, "a"), Mx(20, "b"), Mx(20, OUR_NAME), Mx(30, "c")],
        {"a": Found(v4=[A]), "b": Found(v4=[B]), OUR_NAME: Found(), "c": Found(v4=[C])},
        [f"a[{A}]:25"],
    ),
    "our address under another name": (
        [Mx(10, "a"), Mx(20, "alias"), Mx(30, "c")],
        {"a": Found(v4=[A]), "alias": Found(v4=[OUR_ADDRESS]), "c": Found(v4=[C])},
        [f"a[{A}]:25"],
    ),
    "we come first": (
        [Mx(10, OUR_NAME), Mx(20, "b")],
        {OUR_NAME: Found(v4=[OUR_ADDRESS]), "b": Found(v4=[B])},
        ONLY_OURSELVES,
    ),
    # Anybody's DNS may name any address: none of our own house is connected to for it.
    "this machine": ([Mx(10, "a")], {"a": Found(v6=["::1"], v4=["127.0.0.1"])}, NO_ADDRESSES),
    "an office network": ([Mx(10, "a")], {"a": Found(v4=["10.1.2.3", "192.168.0.1"])}, NO_ADDRESSES),
    "a cloud's metadata": ([Mx(10, "a")], {"a": Found(v4=["169.254.169.254"])}, NO_ADDRESSES),
    "IPv4 in IPv6": ([Mx(10, "a")], {"a": Found(v6=["::ffff:127.0.0.1"])}, NO_ADDRESSES),
    "many hosts": ([Mx(10, "a")], {"a": Found(v4=["224.0.0.1", "0.0.0.0", "255.255.255.255"])}, NO_ADDRESSES),
    "the Internet": ([Mx(10, "a")], {"a": Found(v4=["8.8.8.8"])}, ["a[8.8.8.8]:25"]),
}  # fmt: skip


@pytest.mark.parametrize(("hosts", "found", "ordered"), ADDRESSES.values(), ids=ADDRESSES)
def test_the_targets_of_an_attempt(
    hosts: list[Mx], found: dict[str, Found], ordered: list[str] | Reply
) -> None:
    said = targets(hosts, found, REACH, numbered())
    assert (said if isinstance(said, Reply) else [str(target) for target in said]) == ordered


def test_a_host_with_many_addresses_leaves_room_for_the_next() -> None:
    many = Found(v6=[f"2001:db8::{n}" for n in range(1, 20)], v4=[f"192.0.2.{n}" for n in range(1, 20)])
    alone = targets([Mx(10, "a")], {"a": many}, REACH, numbered())
    both = targets([Mx(10, "a"), Mx(20, "b")], {"a": many, "b": Found(v4=[B])}, REACH, numbered())
    assert not isinstance(alone, Reply)
    assert not isinstance(both, Reply)
    assert [target.host for target in alone] == ["a"] * TARGETS_MAX
    assert [target.host for target in both] == ["a"] * 5 + ["b"]


def test_what_dnssec_vouches_for_is_in_every_target() -> None:
    for is_vouched in (True, False):
        said = targets([Mx(0, "a")], {"a": Found(v4=[A])}, REACH, numbered(), is_vouched=is_vouched)
        assert said == [Target("a", A, 25, is_vouched)]


HOST_NAMES = st.sampled_from(["a", "b", "c", "d", OUR_NAME])
FOUND = st.builds(
    Found,
    v6=st.lists(st.sampled_from([SIX, "2001:db8::2", "::1", "fd00::1"]), unique=True),
    v4=st.lists(st.sampled_from([A, B, C, OUR_ADDRESS, "127.0.0.1", "10.0.0.1"]), unique=True),
    is_silent=st.booleans(),
)


@given(
    st.lists(st.builds(Mx, st.integers(0, 3), HOST_NAMES)),
    st.fixed_dictionaries(dict.fromkeys(["a", "b", "c", "d", OUR_NAME, "example.org"], FOUND)),
    st.randoms(use_true_random=False),
)
def test_no_mail_comes_back_to_us_or_goes_into_our_house(records, found, random) -> None:  # type: ignore[no-untyped-def]
    """Whatever the DNS says: at most ten targets, none is us or as far as we are, all may be reached."""
    hosts = mail_hosts("example.org", answer(*records), random.randbytes)
    said = hosts if isinstance(hosts, Reply) else targets(hosts, found, REACH, random.randbytes)
    if isinstance(said, Reply):
        assert not said.is_success
        return
    assert 1 <= len(said) <= TARGETS_MAX
    ours = [mx.preference for mx in hosts if mx.host == OUR_NAME or OUR_ADDRESS in found[mx.host].v4]
    preference = {mx.host: mx.preference for mx in hosts}
    for target in said:
        assert target.address in (*found[target.host].v6, *found[target.host].v4)
        assert REACH.allows(target.address)
        assert target.address != OUR_ADDRESS
        assert preference[target.host] < min(ours, default=4)
    assert [preference[target.host] for target in said] == sorted(preference[t.host] for t in said)


# --- address literals ------------------------------------------------------------------------------------

LITERALS: list[tuple[str, list[str] | Reply]] = [
    ("[192.0.2.1]", ["192.0.2.1:25"]),
    ("[IPv6:2001:db8::1]", ["[2001:db8::1]:25"]),
    ("[127.0.0.1]", NO_ADDRESSES),
    ("[IPv6:::1]", NO_ADDRESSES),
    (f"[{OUR_ADDRESS}]", ONLY_OURSELVES),
]


@pytest.mark.parametrize(("domain", "ordered"), LITERALS)
def test_an_address_literal_is_its_own_target(domain: str, ordered: list[str] | Reply) -> None:
    """RFC 5321 §4.1.3."""
    address = MailDomain(domain).literal
    assert address is not None
    said = literal_target(address, REACH)
    assert (said if isinstance(said, Reply) else [str(target) for target in said]) == ordered


def test_a_name_is_no_literal() -> None:
    assert MailDomain("example.org").literal is None
