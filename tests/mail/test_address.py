"""Addresses: what is one, what is none and why, and which spellings are the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.address import Address, normalise_domain, parse_address

ADDRESSES = [
    ("ann@example.org", "ann", "example.org"),
    # RFC 5321 §4.1.2: every atext character.
    ("!#$%&'*+-/=?^_`{|}~@example.org", "!#$%&'*+-/=?^_`{|}~", "example.org"),
    ("first.last+tag@Example.ORG", "first.last+tag", "Example.ORG"),
    # A quoted local part means what stands between the quotes, unescaped.
    ('"ann lee"@example.org', "ann lee", "example.org"),
    ('"a\\"b\\\\c"@example.org', 'a"b\\c', "example.org"),
    ('"a@b"@example.org', "a@b", "example.org"),
    ('".."@example.org', "..", "example.org"),
    # RFC 5321 §4.1.3: address literals.
    ("ann@[192.0.2.1]", "ann", "[192.0.2.1]"),
    ("ann@[IPv6:2001:db8::1]", "ann", "[IPv6:2001:db8::1]"),
    # RFC 6531 §3.3.
    ("สมชาย@example.org", "สมชาย", "example.org"),
    ("ann@ไทย.example", "ann", "ไทย.example"),
    ('"สม ชาย"@example.org', "สม ชาย", "example.org"),
    # A single label is a domain too (RFC 5321 §2.3.5); digits may lead.
    ("ann@localhost", "ann", "localhost"),
    ("ann@1and1.example", "ann", "1and1.example"),
    # "--" in places three and four is LDH, if no A-label (RFC 5890 §2.3.1).
    ("ann@r3---sn.example", "ann", "r3---sn.example"),
    # RFC 5321 §4.5.3.1.1 and §2: the longest local part, the longest label.
    ("a" * 64 + "@example.org", "a" * 64, "example.org"),
    ("a@" + "b" * 63 + ".example", "a", "b" * 63 + ".example"),
]


@pytest.mark.parametrize(("text", "local_part", "domain"), ADDRESSES)
def test_an_address_is_read_and_written_back(text: str, local_part: str, domain: str) -> None:
    address = parse_address(text)
    assert (address.local_part, address.domain) == (local_part, domain)
    assert str(address) == text


REFUSED = [
    ("", "local part is empty"),
    ("@example.org", "local part is empty"),
    ('""@example.org', "local part is empty"),
    ("ann", "no @"),
    ("ann@", "domain"),
    ("ann@example.org ", "domain"),
    (" ann@example.org", "must be quoted"),
    ("ann lee@example.org", "no @"),
    (".ann@example.org", "must be quoted"),
    ("ann.@example.org", "no @"),
    ("ann..lee@example.org", "no @"),
    ("ann@lee@example.org", "domain"),
    ('"ann@example.org', "must be quoted"),
    ('"a\rb"@example.org', "must be quoted"),
    ("ann@example.org.", "domain"),
    ("ann@.example.org", "domain"),
    ("ann@-a.example", "domain"),
    ("ann@a_b.example", "domain"),
    ("ann@exa mple.org", "domain"),
    ("ann@example.org\r\nDATA", "domain"),
    ("ann@" + "b" * 64 + ".example", "domain"),
    ("ann@[192.0.2.256]", "literal"),
    ("ann@[192.0.2.1", "literal"),
    ("ann@[IPv6:fe80::1%eth0]", "literal"),
    ("ann@[x-tag:anything]", "literal"),
    ("a" * 65 + "@example.org", "longer than 64"),
    # Octets are counted, not characters: 22 Thai letters are 66 octets.
    ("ก" * 22 + "@example.org", "longer than 64"),
    ("ann@" + "b." * 128 + "example", "longer than 255"),
    ("a" * 64 + "@" + ".".join(["b" * 47] * 4), "longer than 254"),
    ("a\u0085b@example.org", "control"),
    ("a\u2028b@example.org", "control"),
    ("a\u3000b@example.org", "control"),
    ("ann@\u2260.example", "IDNA"),
    ("ann@ไท\u200bย\u0378.example", "IDNA"),
]


@pytest.mark.parametrize(("text", "reason"), REFUSED)
def test_what_is_no_address_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_address(text)


SAME = [
    ("Ann@Example.ORG", "ann@example.org"),
    ('"ann"@example.org', "ann@example.org"),
    ('"a\\nn"@example.org', "ann@example.org"),
    ("ann@ไทย.example", "ann@xn--o3cw4h.example"),
    ("ann@XN--O3CW4H.Example", "ann@ไทย.example"),
    ("ann@Bücher.example", "ann@xn--bcher-kva.example"),
    # UTS 46, non-transitional: sharp s stays itself, full-width letters are mapped.
    ("ann@faß.example", "ann@xn--fa-hia.example"),
    ("ann@\uff45xample.org", "ann@example.org"),
    # Composed and decomposed, upper and lower case, are the same name.
    ("Andr\u00e9@example.org", "andre\u0301@example.org"),
    ("STRASSE@example.org", "straße@example.org"),
    ("ann@[IPv6:2001:DB8:0::1]", "ann@[ipv6:2001:db8::1]"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_spellings_of_one_address_normalise_to_the_same(one: str, other: str) -> None:
    assert parse_address(one).normalise() == parse_address(other).normalise()


DIFFERENT = [
    ("ann@faß.example", "ann@fass.example"),
    ("ann+tag@example.org", "ann@example.org"),
    ("a.nn@example.org", "ann@example.org"),
    # Thai sara am is not its two-letter look-alike: no compatibility folding in local parts.
    ("น้ำ@example.org", "น้ํา@example.org"),
    ("ann@[192.0.2.1]", "ann@[192.0.2.2]"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_addresses_stay_different(one: str, other: str) -> None:
    assert parse_address(one).normalise() != parse_address(other).normalise()


def test_what_needs_smtputf8_says_so_and_a_domain_alone_can_do_without() -> None:
    assert parse_address("ann@example.org").is_ascii
    assert not parse_address("สมชาย@example.org").is_ascii
    assert not parse_address("ann@ไทย.example").is_ascii
    assert parse_address("ann@ไทย.example").with_ascii_domain() == Address("ann", "xn--o3cw4h.example")
    assert not parse_address("สมชาย@ไทย.example").with_ascii_domain().is_ascii


@given(st.text())
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        address = parse_address(text)
    except ValueError:
        return
    assert parse_address(str(address)) == address


@given(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=20),
    st.sampled_from(["example.org", "ไทย.example"]),
)
def test_normalising_twice_changes_nothing_more(local_part: str, domain: str) -> None:
    once = Address(local_part, domain).normalise()
    assert once.normalise() == once


@given(st.text(min_size=1, max_size=30))
def test_a_written_address_is_read_back_as_the_same(local_part: str) -> None:
    address = Address(local_part, "example.org")
    try:
        again = parse_address(str(address))
    except ValueError:
        return
    assert again == address


def test_domains_alone_are_normalised_too() -> None:
    assert normalise_domain("DLD.go.TH") == "dld.go.th"
    assert normalise_domain("สารบรรณ.ไทย") == normalise_domain("XN--K3CN0ABA2B4C.XN--O3CW4H")
    with pytest.raises(ValueError, match="letters"):
        normalise_domain("")
