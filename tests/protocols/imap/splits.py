"""The same octets in pieces, and the commands they are."""

from itertools import pairwise

from gateway.protocols.imap.framer import Framer, Got, Lines, LiteralOctets


def splits(octets: bytes, places: list[int]) -> list[bytes]:
    cuts = [0, *sorted(place % (len(octets) + 1) for place in places), len(octets)]
    return [octets[a:b] for a, b in pairwise(cuts)]


def single(octets: bytes) -> list[bytes]:
    return [octets[i : i + 1] for i in range(len(octets))]


def frame(chunks: list[bytes], line_octets_max: int = 8_192, literal_octets_max: int = 100_000) -> list[Got]:
    """What a framer gives; octets of a literal that came in pieces are joined."""
    framer, found = Framer(line_octets_max, literal_octets_max), list[Got]()
    for chunk in chunks:
        for got in framer.feed(chunk):
            last = found[-1] if found else None
            if isinstance(got, LiteralOctets) and isinstance(last, LiteralOctets):
                found[-1] = LiteralOctets(last.octets + got.octets)
            else:
                found.append(got)
    return found


def lines(octets: bytes) -> Lines:
    """The one command that these octets are."""
    (got,) = [got for got in frame([octets]) if isinstance(got, Lines)]
    return got
