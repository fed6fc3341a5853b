"""Which hosts a mail for a domain is brought to, and in which order, by what the DNS says.

Pure: the DNS' answers and the entropy are arguments.

Source: RFC 5321 §5.1 (MX, implicit MX, ourselves in the list) and §5.2 (IPv6); RFC 7505 (null MX);
RFC 3463 §3.2, §3.5 and RFC 7505 §4.1 (status); RFC 5321 §4.1.3 (address literals); ADR 0018.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Final

from gateway.domain.dns import Answer, Mx
from gateway.mail.networks import IpAddress, Network, address_of, is_within
from gateway.mail.reply import Reply, reply

# Of one attempt. RFC 5321 §5.1 asks for at least two addresses. Precedent: Postfix smtp_mx_address_limit 5.
TARGETS_MAX: Final = 10
HOST_TARGETS_MIN: Final = 2  # however many hosts there are: one of each family
SHUFFLE_OCTETS: Final = 4

NO_SUCH_DOMAIN: Final = reply(550, "5.1.2", "The domain does not exist")
NULL_MX: Final = reply(556, "5.1.10", "The domain takes no mail (null MX)")
ONLY_OURSELVES: Final = reply(554, "5.4.6", "The DNS sends mail for the domain back to this host")
NO_ADDRESSES: Final = reply(550, "5.4.4", "No mail host of the domain has an address that mail may go to")
DNS_SILENT: Final = reply(451, "4.4.3", "The DNS does not say where mail for the domain goes")

Entropy = Callable[[int], bytes]  # n random octets


@dataclass(frozen=True, slots=True)
class MailDomain:
    """Mail goes where the DNS says. name: in small A-labels, or an address literal in its shortest form."""

    name: str

    @property
    def literal(self) -> IpAddress | None:
        """The address it says to go to; None: it is a name (RFC 5321 §4.1.3)."""
        if not self.name.startswith("["):
            return None
        return address_of(self.name[1:-1].removeprefix("IPv6:"))

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Target:
    """A host at one of its addresses. is_vouched: nobody can have forged that this host is meant."""

    host: str  # its name; its address, where that is all that is known
    address: str
    port: int
    is_vouched: bool = False

    def __str__(self) -> str:
        if self.host == self.address:
            return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        return f"{self.host}[{self.address}]:{self.port}"


@dataclass(frozen=True, slots=True)
class Reach:
    """Who we are to the DNS, and how far mail goes by it.

    ourselves: where we listen, address and port. inside: networks that are not of the Internet and where mail
    hosts may be all the same.
    """

    hostname: str
    ourselves: frozenset[tuple[str, int]] = frozenset()
    inside: tuple[Network, ...] = ()
    port: int = 25

    def allows(self, address: str) -> bool:
        """False for what anybody's DNS could have us connect to in our own house."""
        where = address_of(address)
        if where is None:
            return False
        return (where.is_global and not where.is_multicast) or is_within(address, self.inside)


@dataclass(frozen=True, slots=True)
class Found:
    """What the DNS says of a host's addresses. is_silent: of one family at least it cannot say."""

    v6: Sequence[str] = ()
    v4: Sequence[str] = ()
    is_silent: bool = False


def mail_hosts(domain: str, answer: Answer[Mx], entropy: Entropy) -> Sequence[Mx] | Reply:
    """A domain's mail hosts, whose addresses are to be asked for, the first to be tried first.

    Equal ones stand in a new order each time (RFC 5321 §5.1).
    """
    if not answer.exists:
        return NO_SUCH_DOMAIN
    if not answer.records:
        return [Mx(0, domain)]  # implicit MX
    hosts = [mx for mx in answer.records if mx.host != "."]  # RFC 7505 §3: it has to be alone
    if not hosts:
        return NULL_MX
    first: dict[str, Mx] = {}
    for mx in sorted(hosts, key=lambda mx: (mx.preference, entropy(SHUFFLE_OCTETS))):
        first.setdefault(mx.host, mx)
    return list(first.values())[:TARGETS_MAX]


def targets(
    hosts: Sequence[Mx],
    found: Mapping[str, Found],
    reach: Reach,
    entropy: Entropy,
    *,
    is_vouched: bool = False,
) -> Sequence[Target] | Reply:
    """Where a mail is brought to, in order. found: by host. is_vouched: DNSSEC vouches for the hosts."""
    kept = _before_us(hosts, found, reach)
    if not kept:
        return ONLY_OURSELVES
    each = max(HOST_TARGETS_MIN, TARGETS_MAX // len(kept))
    ordered = [
        Target(mx.host, address, reach.port, is_vouched)
        for mx in kept
        for address in _alternating(found[mx.host], reach, entropy)[:each]
    ]
    if ordered:
        return ordered[:TARGETS_MAX]
    return DNS_SILENT if any(found[mx.host].is_silent for mx in kept) else NO_ADDRESSES


def literal_target(address: IpAddress, reach: Reach) -> Sequence[Target] | Reply:
    """Of a domain that is an address literal."""
    host = str(address)
    if (host, reach.port) in reach.ourselves:
        return ONLY_OURSELVES
    return [Target(host, host, reach.port, is_vouched=True)] if reach.allows(host) else NO_ADDRESSES


def _before_us(hosts: Sequence[Mx], found: Mapping[str, Found], reach: Reach) -> Sequence[Mx]:
    """Without ourselves and all that is not preferred to us: mail goes to who is nearer to its end, or to
    and fro (RFC 5321 §5.1)."""
    ours = [mx.preference for mx in hosts if _is_us(mx.host, found[mx.host], reach)]
    return [mx for mx in hosts if not ours or mx.preference < min(ours)]


def _is_us(host: str, found: Found, reach: Reach) -> bool:
    if host == reach.hostname.lower().rstrip("."):
        return True
    return any((address, reach.port) in reach.ourselves for address in (*found.v6, *found.v4))


def _alternating(found: Found, reach: Reach, entropy: Entropy) -> list[str]:
    """IPv6 and IPv4 in turn: who has only one of them finds the other side at the second try."""
    families = [
        sorted(filter(reach.allows, addresses), key=lambda _: entropy(SHUFFLE_OCTETS))
        for addresses in (found.v6, found.v4)
    ]
    pairs = chain.from_iterable(zip_longest(*families))
    return [address for address in pairs if address is not None]
