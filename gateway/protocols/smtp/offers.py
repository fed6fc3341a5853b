"""What a host offers in its EHLO answer, and what a mail may use of it.

Source: RFC 5321 §4.1.1.1 (EHLO), RFC 1870 §3 (SIZE), RFC 2920, RFC 3207, RFC 6152, RFC 6531 §3.1,
RFC 3461 §3, RFC 7293 §3.1, RFC 9422 §3 (LIMITS), RFC 2852 §3, RFC 6710 §3, RFC 8689 §2,
RFC 3030 §2 and §3.
"""

import re
from dataclasses import dataclass

from gateway.mail.reply import Reply

_SIZE = re.compile(r"[0-9]{1,20}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)
_LIMIT = re.compile(r"0*[1-9][0-9]{0,5}", re.ASCII)  # RFC 9422 §3: six digits, none of them is zero


@dataclass(frozen=True, slots=True)
class Offers:
    """The extensions of a host that we use; none after HELO."""

    is_esmtp: bool = False
    has_pipelining: bool = False
    has_size: bool = False
    octets_max: int | None = None  # of a message; None when the host names no limit
    has_eight_bit: bool = False
    has_chunking: bool = False
    has_binary: bool = False
    has_smtputf8: bool = False
    has_starttls: bool = False
    has_dsn: bool = False
    has_rrvs: bool = False
    has_deliver_by: bool = False
    deliver_by_min_s: int = 0
    has_priority: bool = False
    has_requiretls: bool = False
    mails_max: int | None = None  # of a connection; None, here as below: the host names no limit
    recipients_max: int | None = None  # of a mail
    domains_max: int | None = None  # that the recipients of a mail are in


def parse_offers(answer: Reply) -> Offers:
    """Read the answer to EHLO. Unknown keywords and odd parameters are passed over."""
    keywords: dict[str, str] = {}
    for line in answer.text[1:]:
        keyword, _, parameters = line.partition(" ")
        keywords[keyword.upper()] = parameters.strip()
    size = keywords.get("SIZE", "")
    least_s = keywords.get("DELIVERBY", "")
    limits = _limits(keywords.get("LIMITS", ""))
    return Offers(
        is_esmtp=True,
        has_pipelining="PIPELINING" in keywords,
        has_size="SIZE" in keywords,
        octets_max=(int(size) or None) if _SIZE.fullmatch(size) else None,  # 0: no fixed limit
        has_eight_bit="8BITMIME" in keywords,
        has_chunking="CHUNKING" in keywords,
        has_binary="BINARYMIME" in keywords,
        has_smtputf8="SMTPUTF8" in keywords,
        has_starttls="STARTTLS" in keywords,
        has_dsn="DSN" in keywords,
        has_rrvs="RRVS" in keywords,
        has_deliver_by="DELIVERBY" in keywords,
        deliver_by_min_s=int(least_s) if _SECONDS.fullmatch(least_s) else 0,
        has_priority="MT-PRIORITY" in keywords,
        has_requiretls="REQUIRETLS" in keywords,
        mails_max=limits.get("MAILMAX"),
        recipients_max=limits.get("RCPTMAX"),
        domains_max=limits.get("RCPTDOMAINMAX"),
    )


def _limits(parameters: str) -> dict[str, int]:
    """Those that are numbers; RFC 9422 §3: what cannot be read is no limit."""
    pairs = (parameter.upper().partition("=") for parameter in parameters.split())
    return {name: int(value) for name, _, value in pairs if _LIMIT.fullmatch(value)}
