"""Bans as a ruleset of nftables, for a firewall that should not even let them come.

Loaded by `nft -f`, as often as one likes: the table is made anew in one transaction. Each element ends by
itself when its ban does. Source: nft(8), "SETS" (flags interval and timeout).
"""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Final

from gateway.domain.bans import Network

TABLE: Final = "saraban"
SETS: Final = {4: ("banned4", "ipv4_addr", "ip"), 6: ("banned6", "ipv6_addr", "ip6")}
_UNITS: Final = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def ruleset(bans: Iterable[tuple[Network, datetime]], ports: Sequence[int], now: datetime) -> str:
    """A whole file. bans: network and its end; those that have ended are left out. ports: of TCP."""
    assert ports, "a rule needs a port"
    elements = disjoint(bans, now)
    lines = [
        f"# saraban ban export, {now.isoformat(timespec='seconds')}: load it with nft -f FILE",
        f"add table inet {TABLE}",
        f"delete table inet {TABLE}",
        f"table inet {TABLE} {{",
    ]
    for version, (name, kind, _) in SETS.items():
        lines += [f"\tset {name} {{", f"\t\ttype {kind}", "\t\tflags interval, timeout"]
        own = [(network, until) for network, until in elements if network.version == version]
        if own:
            listed = ",\n".join(f"\t\t\t{_written(network)} timeout {span(u - now)}" for network, u in own)
            lines.append(f"\t\telements = {{\n{listed}\n\t\t}}")
        lines.append("\t}")
    lines += ["\tchain input {", "\t\ttype filter hook input priority -10; policy accept;"]
    listed = ", ".join(map(str, sorted(set(ports))))
    lines += [
        f"\t\t{family} saddr @{name} tcp dport {{ {listed} }} drop" for name, _, family in SETS.values()
    ]
    return "\n".join([*lines, "\t}", "}", ""])


def disjoint(bans: Iterable[tuple[Network, datetime]], now: datetime) -> list[tuple[Network, datetime]]:
    """The same networks without overlaps, which a set of intervals refuses; what is in several ends last."""
    ends = dict[Network, datetime]()
    for network, until in bans:
        if until > max(now, ends.get(network, now)):
            ends[network] = until
    prefixes = sorted({network.prefixlen for network in ends})
    ordered = sorted(
        (network for network in ends if not _is_outlasted(network, ends, prefixes)),
        key=lambda network: (network.version, int(network.network_address), network.prefixlen),
    )
    return [
        (piece, ends[network])
        for place, network in enumerate(ordered)
        for piece in _around(network, (ordered[behind] for behind in range(place + 1, len(ordered))))
    ]


def _is_outlasted(network: Network, ends: Mapping[Network, datetime], prefixes: Sequence[int]) -> bool:
    """Whether it is part of another that is banned as long."""
    wider = (network.supernet(new_prefix=prefix) for prefix in prefixes if prefix < network.prefixlen)
    return any(each in ends and ends[each] >= ends[network] for each in wider)


def _is_in(inner: Network, network: Network) -> bool:
    return inner.version == network.version and inner.network_address in network


def _around(network: Network, behind: Iterable[Network]) -> Iterator[Network]:
    """What is left of it around those parts that last longer. behind: in order, its parts first."""
    first, last = int(network.network_address), int(network.broadcast_address)
    kind = type(network.network_address)
    for inner in takewhile(lambda each: _is_in(each, network), behind):
        start, end = int(inner.network_address), int(inner.broadcast_address)
        if first < start:
            yield from ipaddress.summarize_address_range(kind(first), kind(start - 1))
        first = max(first, end + 1)
    if first <= last:
        yield from ipaddress.summarize_address_range(kind(first), kind(last))


def _written(network: Network) -> str:
    """One address stands without its prefix, as nft itself lists it."""
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


def span(length: timedelta) -> str:
    """As nft writes times: 1h30m. A second at least, so that it never means "for ever"."""
    left, said = max(int(length.total_seconds()), 1), ""
    for unit, seconds in _UNITS:
        count, left = divmod(left, seconds)
        said += f"{count}{unit}" if count else ""
    return said
