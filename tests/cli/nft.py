"""A strict reader of the part of nft's language that we write (nft(8)); anything else is an error.

It refuses what nft refuses: unknown words, an address of the wrong kind, host bits, overlapping intervals,
an empty list of elements, a rule that names a set that is not there, a time out of order.
"""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
TOKEN = re.compile(r"[ \t]*(#[^\n]*|\n|[{};,=]|@[a-z]\w*|[\w.:/-]+)")
TIME = re.compile(r"(?=.)(?:(\d+)d)?(?:(\d{1,2})h)?(?:(\d{1,2})m)?(?:(\d{1,2})s)?")
KINDS = {"ipv4_addr": (4, "ip"), "ipv6_addr": (6, "ip6")}


@dataclass
class Set:
    version: int
    family: str
    elements: dict[Network, timedelta] = field(default_factory=dict)


@dataclass
class Ruleset:
    sets: dict[str, Set] = field(default_factory=dict)
    drops: dict[str, list[int]] = field(default_factory=dict)  # ports, by set


class Reader:
    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0

    def next(self) -> str:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def peek(self) -> str:
        return self._tokens[self._at]

    def expect(self, words: str) -> None:
        for word in words.split(" "):
            found = self.next()
            assert found == word.replace("\\n", "\n"), f"{found!r} instead of {word!r} in {words!r}"

    def newlines(self) -> None:
        while self.peek() == "\n":
            self.next()

    def ruleset(self) -> Ruleset:
        found = Ruleset()
        self.newlines()
        self.expect("add table inet saraban \\n delete table inet saraban \\n table inet saraban { \\n")
        while self.peek() == "set":
            self._set(found)
        self._chain(found)
        self.expect("} \\n")
        assert self._at == len(self._tokens), self._tokens[self._at :]
        return found

    def _set(self, found: Ruleset) -> None:
        self.expect("set")
        name = self.next()
        assert re.fullmatch(r"[a-zA-Z]\w*", name), name
        assert name not in found.sets, name
        self.expect("{ \\n type")
        made = found.sets[name] = Set(*KINDS[self.next()])
        self.expect("\\n flags interval , timeout \\n")
        if self.peek() == "elements":
            self.expect("elements = {")
            while True:
                self.newlines()
                self._element(made)
                self.newlines()
                if self.peek() == "}":
                    break
                self.expect(",")
            self.expect("} \\n")
        self.expect("} \\n")

    def _element(self, into: Set) -> None:
        network = ipaddress.ip_network(self.next())
        assert network.version == into.version, network
        assert not any(network.overlaps(other) for other in into.elements), f"{network} overlaps"
        self.expect("timeout")
        written = self.next()
        found = TIME.fullmatch(written)
        assert found, written
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        assert hours < 24, written
        assert max(minutes, seconds) < 60, written
        into.elements[network] = timedelta(days, seconds, minutes=minutes, hours=hours)
        assert into.elements[network], "0s is for ever"

    def _chain(self, found: Ruleset) -> None:
        self.expect("chain input { \\n type filter hook input priority -10 ; policy accept ; \\n")
        while self.peek() != "}":
            family = self.next()
            self.expect("saddr")
            name = self.next().removeprefix("@")
            assert found.sets[name].family == family, name
            self.expect("tcp dport {")
            ports = [int(self.next())]
            while self.peek() == ",":
                self.next()
                ports.append(int(self.next()))
            assert len(set(ports)) == len(ports), ports
            assert all(0 < port < 65536 for port in ports), ports
            self.expect("} drop \\n")
            found.drops[name] = ports
        self.expect("} \\n")


def _tokens(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        found = TOKEN.match(text, at)
        assert found, f"not in nft's language: {text[at : at + 40]!r}"
        at = found.end()
        if not found[1].startswith("#"):
            yield found[1]


def read(text: str) -> Ruleset:
    """Raises AssertionError, ValueError, KeyError or IndexError."""
    return Reader(text).ruleset()
