"""The message a reader gets: our front, then the stored octets without the forged fields of ours.

Both are decided when a message is accepted and stand in its event (architecture §4): nothing is decided
at reading time, so a UID's octets and size never change.

Source: RFC 5321 §4.4 (trace fields), RFC 3848 and RFC 6531 §4.3 (the `with` types), RFC 5321 §4.1.3
(address literals), RFC 8601 §5 (removing forged results), RFC 5322 §3.3 (dates).
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.mail import headers
from gateway.mail.carving import Read

FOLD_OCTETS = 78  # RFC 5322 §2.1.1
HIDDEN_RANGES_MAX = 100

# A message that begins with white space would continue our last field: it gets one of its own to continue.
SHIELD = "X-Unnamed:"

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UNSAFE_WORD = re.compile(r"[\x00-\x20\x7f-\xa0()<>\\\",;\u2028\u2029]")
_UNSAFE_PATH = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_RESULTS = b"authentication-results"
_AUTHSERV_ID = re.compile(rb'[ \t\r\n]*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reception:
    """What our Received field tells: who gave us the mail, how, when, under which id."""

    helo: str
    remote_ip: str
    by_host: str
    mail_id: str
    at: datetime  # aware
    protocol: str  # the `with` type (RFC 3848, RFC 6531 §4.3): SMTP, ESMTP, ESMTPS, UTF8SMTP, …


def front(
    mail_from: str | None,
    reception: Reception,
    header: bytes,
    authentication_results: str | None = None,
    missing: Iterable[str] = (),
) -> bytes:
    """The fields we put before a message at its final delivery, Return-Path first (RFC 5321 §4.4).

    header: of the message, as received. authentication_results: the value of that field, beginning with our
    authserv-id (RFC 8601 §2.2), made by us from checked words. missing: fields that its author left out
    (`submission.missing_fields`). Nothing a peer said can begin a line or continue one of ours.
    """
    path = _UNSAFE_PATH.sub("?", mail_from or "").replace(">", "?")
    lines = [f"Return-Path: <{path}>"]
    if authentication_results is not None:
        lines.append(_folded(f"Authentication-Results: {_UNSAFE_PATH.sub(' ', authentication_results)}"))
    lines += [received(reception), *missing]
    if header[:1] in (b" ", b"\t"):
        lines.append(SHIELD)
    return "".join(line + "\r\n" for line in lines).encode("utf-8", "replace")


def received(reception: Reception) -> str:
    """Our Received field, folded, without its last line break (RFC 5321 §4.4)."""
    words = (
        f"Received: from {_word(reception.helo)}",
        f"({_literal(reception.remote_ip)})",
        f"by {_word(reception.by_host)}",
        f"with {reception.protocol}",
        f"id {_word(reception.mail_id)};",
        date(reception.at),
    )
    return _join_folded(words)


def date(at: datetime) -> str:
    """RFC 5322 §3.3, in UTC."""
    utc = at.astimezone(UTC)
    day = f"{_DAYS[utc.weekday()]}, {utc.day} {_MONTHS[utc.month - 1]} {utc.year:04d}"
    return f"{day} {utc:%H:%M:%S} +0000"


def _word(said: str) -> str:
    """A peer's word as one harmless token; an address literal stays one."""
    return _UNSAFE_WORD.sub("?", said)[:255] or "unknown"


def _literal(ip: str) -> str:
    return f"[IPv6:{_word(ip)}]" if ":" in ip else f"[{_word(ip)}]"


def _folded(line: str) -> str:
    return _join_folded(line.split())


def _join_folded(words: Iterable[str]) -> str:
    """Words with a space between them, on lines of at most 78 octets where the words allow it."""
    lines: list[str] = []
    for word in words:
        if lines and len(f"{lines[-1]} {word}".encode("utf-8", "replace")) <= FOLD_OCTETS:
            lines[-1] += f" {word}"
        else:
            lines.append(word if not lines else f"\t{word}")
    return "\r\n".join(lines)


# --- what a reader does not get -------------------------------------------------------------------


def hidden_ranges(header: bytes, authserv_id: str) -> tuple[tuple[int, int], ...]:
    """Ranges of a received header that claim to be ours, in order: Authentication-Results under our
    authserv-id or none that can be read (RFC 8601 §5).

    A Return-Path that came with the message stays: ours stands before it, and a reader goes by the first.
    header: the whole header block of the message, from its first octet; the edge refuses a message whose
    header is cut, or that has more than HIDDEN_RANGES_MAX ranges: each of them stands in every event.
    """
    if _RESULTS not in header.lower():  # nearly always, and said at once
        return ()
    found: list[tuple[int, int]] = []
    for field in headers.fields(header):
        if field.name.lower() == _RESULTS.decode() and _is_ours(field.value, authserv_id):
            found.append((field.start, field.end))
    return tuple(_merged(found))


def _is_ours(value: bytes, authserv_id: str) -> bool:
    match = _AUTHSERV_ID.match(headers.without_comments(value))
    if match is None:
        return True
    quoted, plain = match[1], match[2]
    said = re.sub(rb"\\(.)", rb"\1", quoted, flags=re.DOTALL) if quoted is not None else plain
    return _same_host(headers.to_text(said), authserv_id)


def _same_host(one: str, other: str) -> bool:
    """Equal as host names: any case, U-label or A-label, with or without the last dot."""
    return _a_labels(one) == _a_labels(other)


def _a_labels(host: str) -> bytes:
    host = host.strip().rstrip(".").casefold()
    try:
        return host.encode("idna")
    except UnicodeError:
        return host.encode("utf-8", "replace")


def _merged(ranges: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Neighbouring ranges as one, so that a flood of forged fields does not swell the event."""
    if not ranges:
        return
    start, end = ranges[0]
    for next_start, next_end in ranges[1:]:
        if next_start != end:
            yield start, end
            start = next_start
        end = next_end
    yield start, end


# --- reading it -----------------------------------------------------------------------------------


def presented_octets(front_octets: int, hidden: Iterable[tuple[int, int]], stored_octets: int) -> int:
    """The size a reader sees (RFC822.SIZE)."""
    return front_octets + stored_octets - sum(end - start for start, end in hidden)


def stored_ranges(
    front_octets: int,
    hidden: Iterable[tuple[int, int]],
    stored_octets: int,
    start: int = 0,
    end: int | None = None,
) -> Iterator[tuple[int, int]]:
    """Which ranges of the stored octets lie in [start, end) of the presented message, in order."""
    place, at = front_octets, 0  # the same place, presented and stored
    for hidden_start, hidden_end in (*hidden, (stored_octets, stored_octets)):
        first = max(at, at + start - place)
        last = hidden_start if end is None else min(hidden_start, at + end - place)
        if first < last:
            yield first, last
        place, at = place + hidden_start - at, hidden_end


def presented(
    front_: bytes,
    hidden: Iterable[tuple[int, int]],
    stored_octets: int,
    read: Read,
    start: int = 0,
    end: int | None = None,
) -> Iterator[bytes]:
    """The presented message, or a range of it. read: gives ranges of the stored octets."""
    if given := front_[start:end]:
        yield given
    for first, last in stored_ranges(len(front_), hidden, stored_octets, start, end):
        yield from read(first, last)
