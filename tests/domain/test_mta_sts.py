"""MTA-STS: records and policies, the RFC's own examples among them, and which hosts match."""

import pytest

from gateway.domain.mta_sts import (
    MAX_AGE_S_MAX,
    POLICY_OCTETS_MAX,
    StsPolicy,
    parse_policy,
    parse_record,
    policy_host,
    record_name,
)

LONGEST = "a" * 32
RECORDS: dict[str, tuple[list[str], str | None]] = {
    "RFC 8461 §3.1": (["v=STSv1; id=20160831085700Z;"], "20160831085700Z"),
    "without the last semicolon": (["v=STSv1; id=1"], "1"),
    "spaces and tabs": (["v=STSv1;\t id=1 \t;"], "1"),
    "others beside it": (["v=spf1 -all", "v=STSv1; id=1;", "some text"], "1"),
    "what is not known": (["v=STSv1; x-new=a:b; id=1"], "1"),
    "two ids: the first": (["v=STSv1; id=1; id=2"], "1"),
    "the longest id": ([f"v=STSv1; id={LONGEST};"], LONGEST),
    "a longer id": ([f"v=STSv1; id={LONGEST}a;"], None),
    "none": ([], None),
    "of something else": (["v=spf1 -all"], None),
    "another version": (["v=STSv2; id=1;"], None),
    "two of them": (["v=STSv1; id=1;", "v=STSv1; id=2;"], None),
    "no id": (["v=STSv1;"], None),
    "an empty id": (["v=STSv1; id=;"], None),
    "an id that is none": (["v=STSv1; id=a-b;"], None),
    "letters that no record has": (["v=STSv1; id=1; x=ก"], None),
    "no fields": (["v=STSv1; id 1;"], None),
    "nothing between semicolons": (["v=STSv1; id=1;;"], None),
    "a space too early": (["v=STSv1 ; id=1;"], None),
}


@pytest.mark.parametrize(("texts", "identifier"), RECORDS.values(), ids=RECORDS)
def test_a_record_is_read_as_the_rfc_says(texts: list[str], identifier: str | None) -> None:
    assert parse_record([text.encode() for text in texts]) == identifier


# RFC 8461 §3.2
EXAMPLE = b"""version: STSv1
mode: enforce
mx: mail.example.com
mx: *.example.net
mx: backupmx.example.com
max_age: 604800
"""
READ = StsPolicy("enforce", 604_800, ("mail.example.com", "*.example.net", "backupmx.example.com"))
GOOD: dict[str, tuple[bytes, StsPolicy]] = {
    "RFC 8461 §3.2": (EXAMPLE, READ),
    "CRLF": (EXAMPLE.replace(b"\n", b"\r\n"), READ),
    "no last line break": (EXAMPLE.rstrip(), READ),
    "spaces": (EXAMPLE.replace(b": ", b":\t ").replace(b"\n", b" \n"), READ),
    "what is not known": (EXAMPLE + b"x-note: \xe0\xb8\x81 \xe0\xb8\x82\n", READ),
    "the first of two": (EXAMPLE + b"mode: none\nmax_age: 1\n", READ),
    "letters of any size": (EXAMPLE.replace(b"mail.example.com", b"Mail.Example.COM"), READ),
    "testing": (EXAMPLE.replace(b"enforce", b"testing"), StsPolicy("testing", 604_800, READ.mx)),
    "none, without hosts": (b"version: STSv1\nmode: none\nmax_age: 0", StsPolicy("none", 0, ())),
}


@pytest.mark.parametrize(("octets", "policy"), GOOD.values(), ids=GOOD)
def test_a_policy_is_read(octets: bytes, policy: StsPolicy) -> None:
    assert parse_policy(octets) == policy


BAD: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "version"),
    "another version": (EXAMPLE.replace(b"STSv1", b"STSv2"), "version"),
    "no mode": (EXAMPLE.replace(b"mode", b"mood"), "mode"),
    "another mode": (EXAMPLE.replace(b"enforce", b"Enforce"), "mode"),
    "no max_age": (EXAMPLE.replace(b"max_age", b"max"), "max_age"),
    "too long": (EXAMPLE.replace(b"604800", str(MAX_AGE_S_MAX + 1).encode()), "max_age"),
    "no number": (EXAMPLE.replace(b"604800", b"-1"), "max_age"),
    "no host": (b"version: STSv1\nmode: enforce\nmax_age: 1", "names no host"),
    "no name of a host": (EXAMPLE.replace(b"*.example.net", b"mail.*.net"), "is no host"),
    "more than one label": (EXAMPLE.replace(b"*.example.net", b"*.*.net"), "is no host"),
    "no line of a policy": (b"<html>\n" + EXAMPLE, "name: value"),
    "no UTF-8": (EXAMPLE + b"x-note: \xff\n", "utf-8"),
    "too large": (EXAMPLE + b"x: y\n" * POLICY_OCTETS_MAX, "octets"),
}


@pytest.mark.parametrize(("octets", "why"), BAD.values(), ids=BAD)
def test_what_is_no_policy_is_told(octets: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_policy(octets)


@pytest.mark.parametrize(
    ("host", "is_allowed"),
    [
        ("mail.example.com", True),
        ("MAIL.example.com.", True),
        ("mx.example.net", True),  # RFC 8461 §4.1: one label
        ("a.mx.example.net", False),
        ("example.net", False),
        (".example.net", False),
        ("xexample.net", False),
        ("other.example.com", False),
    ],
)
def test_which_hosts_a_policy_means(host: str, is_allowed: bool) -> None:
    assert READ.allows(host) == is_allowed


def test_where_record_and_policy_are() -> None:
    assert record_name("example.com") == "_mta-sts.example.com"
    assert policy_host("example.com") == "mta-sts.example.com"
