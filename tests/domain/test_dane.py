"""DANE: which certificates TLSA records vouch for."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256, sha512

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.domain.dane import tlsa_name, usable, vouches
from gateway.domain.dns import Tlsa
from tests.processes.relay.authority import Authority

DLD, OTHER = Authority("DLD"), Authority("another")
HOST, STRANGER = DLD.sign("mx.dld.go.th"), OTHER.sign("mx.dld.go.th")
CHAIN = [HOST.der, DLD.der]
NOW = datetime.now(UTC)
LATER = NOW + timedelta(days=31)  # everything has expired


def public_key(authority: Authority) -> bytes:
    key = authority.certificate.public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


HOST_KEY = HOST.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
RIGHT = {
    "3 0 0": Tlsa(3, 0, 0, HOST.der),
    "3 0 1": Tlsa(3, 0, 1, sha256(HOST.der).digest()),
    "3 0 2": Tlsa(3, 0, 2, sha512(HOST.der).digest()),
    "3 1 0": Tlsa(3, 1, 0, HOST_KEY),
    "3 1 1": Tlsa(3, 1, 1, sha256(HOST_KEY).digest()),
    "3 1 2": Tlsa(3, 1, 2, sha512(HOST_KEY).digest()),
    "2 0 0": Tlsa(2, 0, 0, DLD.der),
    "2 0 1": Tlsa(2, 0, 1, sha256(DLD.der).digest()),
    "2 0 2": Tlsa(2, 0, 2, sha512(DLD.der).digest()),
    "2 1 0": Tlsa(2, 1, 0, public_key(DLD)),
    "2 1 1": Tlsa(2, 1, 1, sha256(public_key(DLD)).digest()),
    "2 1 2": Tlsa(2, 1, 2, sha512(public_key(DLD)).digest()),
}


@pytest.mark.parametrize("record", RIGHT.values(), ids=RIGHT)
def test_a_record_vouches_for_its_host_and_for_no_other(record: Tlsa) -> None:
    assert usable([record]) == (record,)
    assert vouches([record], CHAIN, ["mx.dld.go.th"], NOW)
    assert not vouches([record], [STRANGER.der, OTHER.der], ["mx.dld.go.th"], NOW)
    # A stranger that shows the authority's certificate beside its own has not been signed by it.
    assert not vouches([record], [STRANGER.der, DLD.der], ["mx.dld.go.th"], NOW)
    assert not vouches([record], [], ["mx.dld.go.th"], NOW)


@pytest.mark.parametrize("record", RIGHT.values(), ids=RIGHT)
def test_names_and_times_are_looked_at_where_an_authority_vouches(record: Tlsa) -> None:
    is_own = record.usage == 3  # RFC 7672 §3.1.1
    assert vouches([record], CHAIN, ["mx.example"], NOW) == is_own
    assert vouches([record], CHAIN, ["mx.dld.go.th"], LATER) == is_own
    assert vouches([record], CHAIN, ["dld.go.th", "mx.dld.go.th"], NOW)


def test_an_authority_that_is_the_record_itself_need_not_be_shown() -> None:
    assert vouches([RIGHT["2 0 0"]], [HOST.der], ["mx.dld.go.th"], NOW)
    assert not vouches([RIGHT["2 0 1"]], [HOST.der], ["mx.dld.go.th"], NOW)


@pytest.mark.parametrize(
    "record",
    [
        Tlsa(0, 0, 1, sha256(DLD.der).digest()),  # RFC 7672 §3.1.3: PKIX-TA and PKIX-EE are not for SMTP
        Tlsa(1, 0, 1, sha256(HOST.der).digest()),
        Tlsa(4, 0, 1, sha256(HOST.der).digest()),
        Tlsa(255, 0, 1, sha256(HOST.der).digest()),
        Tlsa(3, 2, 1, sha256(HOST.der).digest()),
        Tlsa(3, 0, 3, sha256(HOST.der).digest()),
        Tlsa(3, 0, 1, sha256(HOST.der).digest()[:20]),
        Tlsa(3, 0, 2, sha256(HOST.der).digest()),
        Tlsa(3, 0, 0, b""),
    ],
)
def test_what_smtp_does_not_use_is_passed_over(record: Tlsa) -> None:
    assert usable([record]) == ()
    assert usable([record, RIGHT["3 1 1"]]) == (RIGHT["3 1 1"],)


def test_of_digests_of_one_kind_the_strongest_holds() -> None:
    """RFC 7671 §9: the weaker one is not looked at, so that nobody can have it used."""
    wrong = Tlsa(3, 1, 2, bytes(64))
    found = usable([RIGHT["3 1 1"], wrong, RIGHT["3 1 0"], RIGHT["2 0 1"]])
    assert found == (wrong, RIGHT["3 1 0"], RIGHT["2 0 1"])
    assert not vouches(usable([RIGHT["3 1 1"], wrong]), CHAIN, ["mx.dld.go.th"], NOW)


def test_one_record_of_several_is_enough() -> None:
    old = Tlsa(3, 1, 1, bytes(32))
    assert vouches(usable([old, RIGHT["3 1 1"]]), CHAIN, ["mx.dld.go.th"], NOW)


@pytest.mark.parametrize("chain", [[b"no certificate"], [HOST.der, b"no certificate"]])
def test_what_is_no_certificate_is_vouched_for_by_nobody(chain: list[bytes]) -> None:
    assert not vouches([RIGHT["2 1 1"]], chain, ["mx.dld.go.th"], NOW)


def test_where_the_records_are() -> None:
    assert tlsa_name("mx.dld.go.th", 25) == "_25._tcp.mx.dld.go.th"
