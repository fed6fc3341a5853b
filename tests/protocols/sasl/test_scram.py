"""SCRAM-SHA-256: who knows the password is believed, whatever somebody in between changes.

The client here is written from the RFC for the tests; independent ones sign in in tests/e2e.
"""

import base64
from dataclasses import replace

import pytest

from gateway.protocols.sasl.exchange import BadResponse, Challenge, ProofClaim, Verifiers, VerifiersWanted
from gateway.protocols.sasl.scram import Scram, make_verifier
from tests.protocols.sasl.client import final_message

SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
KNOWN = Verifiers(SALT, 4096, NONCE, (make_verifier("app_1", "pencil", SALT),))
TWO = Verifiers(
    SALT, 4096, NONCE, (make_verifier("app_2", "another", SALT), make_verifier("app_1", "pencil", SALT))
)
FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)


@pytest.mark.parametrize("known", [KNOWN, TWO])
def test_the_example_of_rfc_7677(known: Verifiers) -> None:
    """RFC 7677 §3."""
    exchange = Scram()
    assert exchange.answer(None) == Challenge(b"")
    assert exchange.answer(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO") == VerifiersWanted("user")
    assert exchange.found(known) == Challenge(
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    assert exchange.answer(FINAL) == Challenge(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    assert exchange.answer(b"") == ProofClaim("user", "app_1")


def exchanged(
    exchange: Scram,
    gs2: bytes = b"n,,",
    password: str = "pencil",
    binding: bytes = b"",
    known: Verifiers = KNOWN,
) -> Challenge | VerifiersWanted | ProofClaim:
    """The step after the client's final message."""
    bare = b"n=user,r=abc"
    assert exchange.answer(gs2 + bare) == VerifiersWanted("user")
    first = exchange.found(known).octets
    step = exchange.answer(final_message(gs2, bare, first, password, binding))
    assert not isinstance(step, VerifiersWanted)
    return step  # type: ignore[return-value]


def test_a_wrong_password_proves_nothing() -> None:
    assert exchanged(Scram(), password="pen") == ProofClaim("user", None)


def test_of_nobody_nothing_is_known_and_the_challenge_looks_the_same() -> None:
    nobody = Verifiers(SALT, 4096, NONCE, ())
    assert exchanged(Scram(), known=nobody) == ProofClaim("user", None)


def test_the_name_to_act_as_is_part_of_the_proof() -> None:
    assert isinstance(exchanged(Scram(), b"n,a=malee@opdc.go.th,"), Challenge)
    exchange = Scram()
    exchange.answer(b"n,a=other,n=user,r=abc")
    first = exchange.found(KNOWN).octets
    forged = final_message(b"n,,", b"n=user,r=abc", first, "pencil", b"")
    assert exchange.answer(forged) == ProofClaim("user", None, "other")


def test_names_may_have_commas_and_equals_signs() -> None:
    assert Scram().answer(b"n,,n=a=2Cb=3Dc,r=abc") == VerifiersWanted("a,b=c")
    assert Scram().answer("n,,n=สมชาย@opm.go.th,r=abc".encode()) == VerifiersWanted("สมชาย@opm.go.th")


def test_plus_binds_the_proof_to_the_certificate() -> None:
    gs2 = b"p=tls-server-end-point,,"
    assert isinstance(exchanged(Scram(b"ours", is_plus=True), gs2, binding=b"ours"), Challenge)
    assert exchanged(Scram(b"ours", is_plus=True), gs2, binding=b"theirs") == ProofClaim("user", None)


BAD_FIRST = [
    b"", b"n", b"n,,", b"n,,n=user", b"n,,r=abc,n=user", b"n,,n=,r=abc", b"n,,n=user,r=", b"n,,n=user,r=a,b",
    b"n,,n=us=er,r=abc", b"n,,n=user\xff,r=abc", b"n,,m=x,n=user,r=abc", b"x,,n=user,r=abc",
    b"p=tls-server-end-point,,n=user,r=abc", b"n,,n=user,r=" + b"x" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("first", BAD_FIRST)
def test_a_first_message_of_another_shape_is_refused(first: bytes) -> None:
    with pytest.raises(BadResponse):
        Scram().answer(first)


@pytest.mark.parametrize("flag", [b"n", b"y", b"p=tls-unique", b"p="])
def test_plus_wants_the_binding_that_was_offered(flag: bytes) -> None:
    with pytest.raises(BadResponse):
        Scram(b"ours", is_plus=True).answer(flag + b",,n=user,r=abc")


def test_a_client_that_was_not_shown_our_offer_of_plus_notices() -> None:
    """RFC 5802 §6: "y" says that it could, and believes that we cannot."""
    with pytest.raises(BadResponse, match="took -PLUS out"):
        Scram(b"ours").answer(b"y,,n=user,r=abc")
    assert Scram().answer(b"y,,n=user,r=abc") == VerifiersWanted("user")


@pytest.mark.parametrize(
    "final",
    [
        b"",
        b"c=biws,r=abc",
        b"c=biws,p=AAAA",
        b"r=abc,c=biws,p=AAAA",
        b"c=bi!s,r=a,p=AAAA",
        b"c=biws,r=abcserver,p=A",
    ],
)
def test_a_final_message_of_another_shape_is_refused(final: bytes) -> None:
    exchange = Scram()
    exchange.answer(b"n,,n=user,r=abc")
    exchange.found(replace(KNOWN, nonce="server"))
    with pytest.raises(BadResponse):
        exchange.answer(final)


def test_a_nonce_that_is_not_ours_proves_nothing() -> None:
    exchange = Scram()
    exchange.answer(b"n,,n=user,r=abc")
    exchange.found(KNOWN)
    assert exchange.answer(FINAL) == ProofClaim("user", None)


def test_after_the_servers_proof_only_nothing_may_come() -> None:
    exchange = Scram()
    assert isinstance(exchanged(exchange), Challenge)
    with pytest.raises(BadResponse):
        exchange.answer(b"more")


def test_verifiers_are_not_shown() -> None:
    assert "stored_key" not in repr(KNOWN)
