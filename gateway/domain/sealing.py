"""Seals: what only a key holder can read, in events and in content (architecture §4, §5).

A mail has one random data key (32 octets). Everything secret in its events and its content is AES-256-GCM
under keys derived from it; the data key itself is wrapped for each holder. Destroy the holders' keys and
that share of history is unreadable, while log and proofs stay whole.

Pure: nonces and data keys come in as arguments. Source: NIST SP 800-38D, RFC 5869 (HKDF), RFC 3394 (wrap).
"""

import hmac
from typing import Final, TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

DATA_KEY_OCTETS: Final = 32
NONCE_OCTETS: Final = 12

S = TypeVar("S", bound=msgspec.Struct)


class BrokenSeal(Exception):
    """The octets were not sealed under this key and label, or were altered since."""


def wrap(data_key: bytes, holder_key: bytes) -> bytes:
    """Encrypt a data key for a holder (RFC 3394): 40 octets, the same each time."""
    return aes_key_wrap(holder_key, data_key)


def unwrap(wrapped: bytes, holder_key: bytes) -> bytes:
    """Raises BrokenSeal when the holder key is not the one it was wrapped with."""
    try:
        return aes_key_unwrap(holder_key, wrapped)
    except InvalidUnwrap as error:
        raise BrokenSeal("a wrapped data key does not open") from error


def derive(key: bytes, purpose: str) -> bytes:
    """A key for one purpose: seals and content never share one. HKDF-Expand to one block (RFC 5869 §2.3)."""
    return hmac.digest(key, purpose.encode() + b"\x01", "sha256")


def seal(secret: msgspec.Struct, data_key: bytes, *, nonce: bytes, label: str) -> bytes:
    """nonce ‖ ciphertext ‖ tag, of the secret in MessagePack.

    label: what it is and of whom, so a seal cannot be moved elsewhere.
    nonce: 12 random octets, never used twice under one data key.
    """
    assert len(nonce) == NONCE_OCTETS, nonce
    octets = msgspec.msgpack.encode(secret)
    return nonce + AESGCM(data_key).encrypt(nonce, octets, label.encode())


def unseal(kind: type[S], sealed: bytes, data_key: bytes, *, label: str) -> S:
    """Raises BrokenSeal."""
    try:
        octets = AESGCM(data_key).decrypt(sealed[:NONCE_OCTETS], sealed[NONCE_OCTETS:], label.encode())
    except (InvalidTag, ValueError) as error:
        raise BrokenSeal(f"the seal of {label} does not open") from error
    return msgspec.msgpack.decode(octets, type=kind)


def mac(key: bytes, octets: bytes) -> str:
    """Hex HMAC-SHA-256: names that only a key holder can compute."""
    return hmac.digest(key, octets, "sha256").hex()
