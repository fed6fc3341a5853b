"""SCRAM-SHA-256 and -PLUS: client and server prove to each other that they know the same password.

Neither the password nor anything that could be used instead of it is sent or kept. A user may have several
passwords with one salt: the client's proof tells which of them it knows.

Source: RFC 5802 (SCRAM), RFC 7677 (SHA-256, at least 4,096 iterations), RFC 5929 §4 (tls-server-end-point).
"""

import base64
import binascii
import hashlib
import hmac
import re
from typing import Final

from gateway.protocols.sasl.exchange import (
    BadResponse,
    Challenge,
    ProofClaim,
    Step,
    Verifier,
    Verifiers,
    VerifiersWanted,
)

BINDING: Final = "tls-server-end-point"
ITERATIONS: Final = 4096  # RFC 7677 §4; enough for what is made of 128 random bits
RESPONSE_OCTETS_MAX: Final = 4096

# RFC 5802 §7.
_FIRST = re.compile(
    r"(?P<gs2>(?P<flag>n|y|p=(?P<binding>[A-Za-z0-9.-]+)),(?:a=(?P<acts_as>[^,]+))?,)(?P<bare>.*)"
)
_BARE = re.compile(r"n=(?P<username>[^,]+),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^,]*)*")
_FINAL = re.compile(
    r"(?P<unproved>c=(?P<binding>[A-Za-z0-9+/=]+),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^,]*)*)"
    r",p=(?P<proof>[A-Za-z0-9+/=]+)"
)
_ESCAPE = re.compile(r"=(2C|3D)?")


class Scram:
    """One exchange. binding: of our side (RFC 5929 §4.1), for -PLUS; is_plus: that mechanism was chosen."""

    def __init__(self, binding: bytes | None = None, *, is_plus: bool = False) -> None:
        assert binding is not None or not is_plus, "-PLUS is offered with a binding"
        self._binding, self._is_plus = binding, is_plus
        self._username, self._acts_as = "", ""
        self._gs2, self._bare, self._client_nonce = "", "", ""
        self._server_first = ""
        self._verifiers: Verifiers | None = None
        self._proved: str | None = None  # by whose verifier

    def answer(self, response: bytes | None) -> Step:
        if response is None:
            return Challenge(b"")
        if self._proved is not None:
            if response:
                raise BadResponse("after the server's proof nothing is left to say")
            return ProofClaim(self._username, self._proved, self._acts_as)
        if len(response) > RESPONSE_OCTETS_MAX:
            raise BadResponse("a SCRAM response is too long")
        try:
            text = response.decode()
        except UnicodeDecodeError:
            raise BadResponse("a SCRAM response is not UTF-8") from None
        return self._begin(text) if self._verifiers is None else self._finish(text, self._verifiers)

    def found(self, verifiers: Verifiers) -> Challenge:
        assert self._client_nonce, "the client has not begun"
        self._verifiers = verifiers
        nonce = self._client_nonce + verifiers.nonce
        self._server_first = f"r={nonce},s={_base64(verifiers.salt)},i={verifiers.iterations}"
        return Challenge(self._server_first.encode())

    def refused(self) -> None:
        return None

    def _begin(self, text: str) -> VerifiersWanted:
        first = _FIRST.fullmatch(text)
        bare = first and _BARE.fullmatch(first["bare"])
        if first is None or bare is None:
            raise BadResponse("not a first message of SCRAM")
        if (first["flag"][0] == "p") != self._is_plus:
            raise BadResponse("channel binding belongs to -PLUS, and only to it")
        if self._is_plus and first["binding"] != BINDING:
            raise BadResponse("a channel binding that was not offered")
        if first["flag"] == "y" and self._binding is not None:
            raise BadResponse("somebody took -PLUS out of our offer")  # RFC 5802 §6
        self._gs2, self._bare, self._client_nonce = first["gs2"], first["bare"], bare["nonce"]
        self._username, self._acts_as = _name(bare["username"]), _name(first["acts_as"] or "")
        return VerifiersWanted(self._username)

    def _finish(self, text: str, known: Verifiers) -> Step:
        final = _FINAL.fullmatch(text)
        if final is None:
            raise BadResponse("not a final message of SCRAM")
        bound = self._gs2.encode() + (self._binding or b"" if self._is_plus else b"")
        if _octets(final["binding"]) != bound or final["nonce"] != self._client_nonce + known.nonce:
            return ProofClaim(self._username, None, self._acts_as)
        signed = f"{self._bare},{self._server_first},{final['unproved']}".encode()
        proof = _octets(final["proof"])
        for verifier in known.verifiers:
            if _is_proof(proof, verifier, signed):
                self._proved = verifier.verifier_id
                return Challenge(f"v={_base64(_hmac(verifier.server_key, signed))}".encode())
        return ProofClaim(self._username, None, self._acts_as)


def make_verifier(verifier_id: str, password: str, salt: bytes, iterations: int = ITERATIONS) -> Verifier:
    """What to keep of a prepared password (RFC 5802 §3). Takes some ms per 4,096 iterations."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client_key = _hmac(salted, b"Client Key")
    return Verifier(verifier_id, hashlib.sha256(client_key).digest(), _hmac(salted, b"Server Key"))


def _is_proof(proof: bytes, verifier: Verifier, signed: bytes) -> bool:
    """RFC 5802 §3: ClientKey = ClientProof XOR ClientSignature; H(ClientKey) is what is kept."""
    if len(proof) != len(verifier.stored_key):
        return False
    signature = _hmac(verifier.stored_key, signed)
    client_key = bytes(one ^ other for one, other in zip(proof, signature, strict=True))
    return hmac.compare_digest(hashlib.sha256(client_key).digest(), verifier.stored_key)


def _name(said: str) -> str:
    """RFC 5802 §5.1: "=2C" is a comma, "=3D" an equals sign, any other "=" an error."""
    if any(found[1] is None for found in _ESCAPE.finditer(said)):
        raise BadResponse("an equals sign in a name that is not written =3D")
    return said.replace("=2C", ",").replace("=3D", "=")


def _octets(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise BadResponse("a value of SCRAM is not base64") from None


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def _hmac(key: bytes, octets: bytes) -> bytes:
    return hmac.digest(key, octets, "sha256")
