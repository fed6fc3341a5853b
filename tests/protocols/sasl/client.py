"""What a SCRAM client says, from RFC 5802 alone; independent clients sign in in tests/e2e."""

import base64
import hashlib
import hmac


def final_message(gs2: bytes, first_bare: bytes, server_first: bytes, password: str, binding: bytes) -> bytes:
    """What a client says at last (RFC 5802 §3)."""
    fields = dict(field.split(b"=", 1) for field in server_first.split(b","))
    salted = hashlib.pbkdf2_hmac(
        "sha256", password.encode(), base64.b64decode(fields[b"s"]), int(fields[b"i"])
    )
    key = hmac.digest(salted, b"Client Key", "sha256")
    unproved = b"c=" + base64.b64encode(gs2 + binding) + b",r=" + fields[b"r"]
    signature = hmac.digest(
        hashlib.sha256(key).digest(), b",".join((first_bare, server_first, unproved)), "sha256"
    )
    proof = bytes(one ^ other for one, other in zip(key, signature, strict=True))
    return unproved + b",p=" + base64.b64encode(proof)
