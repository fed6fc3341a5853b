"""What a domain's DNS has to say, so that mail comes here and programs find where to read and send it.

Source: RFC 5321 §5 (MX), RFC 6186 §3 (SRV), RFC 8314 §5.1 (submissions); Mozilla's autoconfig.DOMAIN,
Microsoft's autodiscover.DOMAIN and _autodiscover._tcp.
"""

from typing import Final, NamedTuple
from urllib.parse import urlsplit

from gateway.protocols.autoconfig.offer import Offer, Protocol

# In the order programs should try them (RFC 6186 §3.2); what is not offered is said to be so (§3.4).
SERVICES: Final[tuple[tuple[str, Protocol, bool], ...]] = (
    ("imaps", "imap", True),
    ("imap", "imap", False),
    ("pop3s", "pop3", True),
    ("pop3", "pop3", False),
    ("submissions", "smtp", True),
    ("submission", "smtp", False),
)
STEP: Final = 10  # between priorities


class Record(NamedTuple):
    """As in a zone file; names end in a dot."""

    name: str
    type: str
    value: str


def records(offer: Offer, domain: str) -> list[Record]:
    """domain, offer.hostname: A-labels."""
    host = f"{offer.hostname}."
    found = [Record(f"{domain}.", "MX", f"10 {host}")]
    for place, (service, protocol, is_implicit) in enumerate(SERVICES):
        ports = [server.port for server in offer.of(protocol) if server.is_implicit == is_implicit]
        value = f"{place * STEP} 1 {ports[0]} {host}" if ports else "0 0 0 ."
        found.append(Record(f"_{service}._tcp.{domain}.", "SRV", value))
    url = urlsplit(offer.url)
    found.append(Record(f"_autodiscover._tcp.{domain}.", "SRV", f"0 1 {url.port or 443} {url.hostname}."))
    found += [
        Record(f"{name}.{domain}.", "CNAME", f"{url.hostname}.") for name in ("autoconfig", "autodiscover")
    ]
    return found
