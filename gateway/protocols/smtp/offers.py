"""What a host offers in its EHLO answer, and what a mail may use of it.

Source: RFC 5321 §4.1.1.1 (EHLO), RFC 1870 §3 (SIZE), RFC 2920, RFC 3207, RFC 6152, RFC 6531 §3.1,
RFC 3461 §3, RFC 7293 §3.1.
"""

import re
from dataclasses import dataclass

from gateway.mail.reply import Reply

_SIZE = re.compile(r"[0-9]{1,20}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Offers:
    """The extensions of a host that we use; none after HELO."""

    is_esmtp: bool = False
    has_pipelining: bool = False
    has_size: bool = False
    octets_max: int | None = None  # of a message; None when the host names no limit
    has_eight_bit: bool = False
    has_smtputf8: bool = False
    has_starttls: bool = False
    has_dsn: bool = False
    has_rrvs: bool = False


def parse_offers(answer: Reply) -> Offers:
    """Read the answer to EHLO. Unknown keywords and odd parameters are passed over."""
    keywords: dict[str, str] = {}
    for line in answer.text[1:]:
        keyword, _, parameters = line.partition(" ")
        keywords[keyword.upper()] = parameters.strip()
    size = keywords.get("SIZE", "")
    return Offers(
        is_esmtp=True,
        has_pipelining="PIPELINING" in keywords,
        has_size="SIZE" in keywords,
        octets_max=(int(size) or None) if _SIZE.fullmatch(size) else None,  # 0: no fixed limit
        has_eight_bit="8BITMIME" in keywords,
        has_smtputf8="SMTPUTF8" in keywords,
        has_starttls="STARTTLS" in keywords,
        has_dsn="DSN" in keywords,
        has_rrvs="RRVS" in keywords,
    )
