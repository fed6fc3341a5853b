"""What the server says it can do (CAPA).

Source: RFC 2449 §6, RFC 2595 §4 (STLS), RFC 5034 §3 (SASL), RFC 3206 §6 (AUTH-RESP-CODE), RFC 6856 §2, §3.
"""

from collections.abc import Sequence
from typing import Final

_ALWAYS: Final = (
    "TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER", "UTF8 USER", "LANG",
    "IMPLEMENTATION Saraban",
)  # fmt: skip


def capabilities(mechanisms: Sequence[str], *, offers_stls: bool) -> list[str]:
    """mechanisms: those that are offered now; none in the clear, nor behind sign-in."""
    sign_in = ["USER", f"SASL {' '.join(mechanisms)}"] if mechanisms else []
    return [*_ALWAYS, *sign_in, *(["STLS"] if offers_stls else [])]
