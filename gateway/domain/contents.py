"""What a store keeps of a message: large parts as objects of their own, and all else as its *kept* content.

Kept content, before compression and encryption, is a head (the skeleton; name and key of the object behind
each hole) and the rest of the message. Equal parts of one agency have equal names and keys, so they are one
object; without the agency's key neither can be computed, and a name says nothing of what it holds.

Source: architecture §5; ADR 0005.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
from msgspec import Struct

from gateway.domain import sealing
from gateway.mail.carving import CarvingError, Hole, Read, Skeleton, decoded, rest

_HEAD_SIZE_OCTETS: Final = 4


class Filling(Struct, frozen=True, array_like=True):
    """The object that fills a hole. key: opens its pieces."""

    object: str
    key: bytes


class Head(Struct, frozen=True, array_like=True):
    """What is needed to rebuild a message: a filling for each hole, in their order."""

    skeleton: Skeleton
    fillings: tuple[Filling, ...]


def digest_of(salt: bytes, message: Iterable[bytes]) -> str:
    """Content.digest: hex SHA-256 over the salt and the message as received."""
    digest = hashlib.sha256(salt)
    for octets in message:
        digest.update(octets)
    return digest.hexdigest()


def filling_of(hole: Hole, agency_key: bytes) -> Filling:
    """Equal for equal parts of one agency, whatever mail they came in."""
    name = sealing.mac(sealing.derive(agency_key, "attachment names"), hole.decoded_sha256)
    key = sealing.derive(agency_key, f"attachment {hole.decoded_sha256.hex()}")
    return Filling(f"attachments/{name[:2]}/{name}", key)


def proven(read: Read, hole: Hole) -> Iterator[bytes]:
    """The decoded content of a hole, whole or not at all: others will find it by name and not look again.

    Raises CarvingError at its end when it is not what the hole was made of.
    """
    digest = hashlib.sha256()
    for octets in decoded(read, hole):
        digest.update(octets)
        yield octets
    if digest.digest() != hole.decoded_sha256:
        raise CarvingError(f"the part at octet {hole.start} is not the one that was carved")


def large_name(digest: str) -> str:
    return f"large/{digest[:2]}/{digest}"


def kept_key(data_key: bytes) -> bytes:
    """The key of the kept content's pieces."""
    return sealing.derive(data_key, "content")


def kept(head: Head, read: Read) -> Iterator[bytes]:
    """The kept content. read: gives octets of the message."""
    octets = msgspec.msgpack.encode(head)
    yield len(octets).to_bytes(_HEAD_SIZE_OCTETS, "big") + octets
    yield from rest(head.skeleton, read)


def split_kept(octets: bytes) -> tuple[Head, int]:
    """The head, and where the rest of the message begins, from the kept content or its first piece."""
    start = _HEAD_SIZE_OCTETS + int.from_bytes(octets[:_HEAD_SIZE_OCTETS], "big")
    return msgspec.msgpack.decode(octets[_HEAD_SIZE_OCTETS:start], type=Head), start
