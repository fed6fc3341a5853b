"""Responses as octets: status responses, what mailboxes are like, what a search found.

Each function gives whole lines. Names of mailboxes are text; `is_utf8` says whether the client has enabled
UTF-8 (IMAP4rev2 or UTF8=ACCEPT). FETCH responses are in `fetching.py`.

Source: RFC 9051 §7, RFC 3501 §7; RFC 4315 (UIDPLUS), RFC 7162 (HIGHESTMODSEQ, VANISHED), RFC 5258 and RFC
5819 (LIST), RFC 9208 §4.2 (QUOTA), RFC 2971 (ID), RFC 4731 and RFC 9394 (ESEARCH).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from gateway.mail.mailbox_name import SEPARATOR, write_name
from gateway.mail.rights import ALL
from gateway.mail.uids import Ranges, uids_text
from gateway.protocols.imap.errors import UNTAGGED, Kind
from gateway.protocols.imap.rendering import NIL, literal, quoted
from gateway.protocols.imap.rights import write_rights

CONTINUE: Final = b"+ OK\r\n"
IDLING: Final = b"+ idling\r\n"


# --- status responses -----------------------------------------------------------------------------


def status(tag: str, kind: Kind, text: str, code: str = "") -> bytes:
    """RFC 9051 §7.1. tag: UNTAGGED for none. code: as between the brackets, "" for none."""
    assert text.isprintable(), text
    return f"{tag} {kind} [{code}] {text}\r\n".encode() if code else f"{tag} {kind} {text}\r\n".encode()


def ok(text: str, code: str) -> bytes:
    """An untagged OK for the sake of its code, as SELECT gives several."""
    return status(UNTAGGED, "OK", text, code)


def append_uid(uidvalidity: int, uids: Ranges) -> str:
    """The code of RFC 4315 §3."""
    return f"APPENDUID {uidvalidity} {uids_text(uids)}"


def copy_uid(uidvalidity: int, from_uids: Ranges, to_uids: Ranges) -> str:
    """The code of RFC 4315 §3. to_uids: as many as from_uids, in their order."""
    return f"COPYUID {uidvalidity} {uids_text(from_uids)} {uids_text(to_uids)}"


def modified(numbers: Ranges) -> str:
    """The code of RFC 7162 §3.1.3. numbers: UIDs after UID STORE, else message numbers."""
    return f"MODIFIED {uids_text(numbers)}"


def permanent_flags(flags: Iterable[str]) -> str:
    """The code of RFC 9051 §7.1: `\\*` among them: a client may make keywords."""
    return f"PERMANENTFLAGS ({' '.join(flags)})"


def in_progress(tag: str, done: int | None = None, total: int | None = None) -> str:
    """The code of RFC 9585 §4."""
    counts = " ".join(NIL if count is None else str(count) for count in (done, total))
    return f"INPROGRESS ({quoted(tag)} {counts})"


def capability(names: Iterable[str]) -> bytes:
    return f"* CAPABILITY {' '.join(names)}\r\n".encode()


def enabled(names: Iterable[str]) -> bytes:
    return f"* {' '.join(('ENABLED', *names))}\r\n".encode()


def id_(fields: Mapping[str, str]) -> bytes:
    """RFC 2971 §3.2."""
    said = " ".join(f"{quoted(name)} {quoted(value)}" for name, value in fields.items())
    return f"* ID ({said})\r\n".encode() if said else b"* ID NIL\r\n"


# --- the selected mailbox -------------------------------------------------------------------------


def exists(messages: int) -> bytes:
    return b"* %d EXISTS\r\n" % messages


def recent(messages: int) -> bytes:
    """RFC 3501 §7.3.2."""
    return b"* %d RECENT\r\n" % messages


def expunged(numbers: Iterable[int]) -> bytes:
    """RFC 9051 §7.5.1: one response each, in this order, and each changes the numbers behind it."""
    return b"".join([b"* %d EXPUNGE\r\n" % number for number in numbers])


def vanished(uids: Ranges, *, is_earlier: bool = False) -> bytes:
    """RFC 7162 §3.2.10. is_earlier: before the client asked, which changes no numbers."""
    return f"* VANISHED {'(EARLIER) ' if is_earlier else ''}{uids_text(uids)}\r\n".encode()


def flags(names: Iterable[str]) -> bytes:
    """Those that are used here, or may be (RFC 9051 §7.3.5)."""
    return f"* FLAGS ({' '.join(names)})\r\n".encode()


# --- mailboxes ------------------------------------------------------------------------------------


def mailbox(
    name: str,
    attributes: Iterable[str],
    *,
    is_utf8: bool,
    child_info: Iterable[str] = (),
    old_name: str | None = None,
    is_lsub: bool = False,
) -> bytes:
    """LIST or LSUB. child_info: why it is listed (RFC 9051 §6.3.9.6). old_name: what it was called, in
    IMAP4rev2 (§6.3.9.7)."""
    extended = []
    if selects := " ".join(map(quoted, child_info)):
        extended.append(f'"CHILDINFO" ({selects})')
    if old_name is not None:
        extended.append(f'"OLDNAME" ({mailbox_string(old_name, is_utf8=is_utf8)})')
    more = f" ({' '.join(extended)})" if extended else ""
    command = "LSUB" if is_lsub else "LIST"
    written = mailbox_string(name, is_utf8=is_utf8)
    return f'* {command} ({" ".join(attributes)}) "{SEPARATOR}" {written}{more}\r\n'.encode()


def separator(*, is_lsub: bool = False) -> bytes:
    """The answer to an empty pattern (RFC 9051 §6.3.9)."""
    return f'* {"LSUB" if is_lsub else "LIST"} (\\Noselect) "{SEPARATOR}" ""\r\n'.encode()


def mailbox_status(name: str, items: Mapping[str, int | str], *, is_utf8: bool) -> bytes:
    """STATUS. items: numbers; of MAILBOXID the id, in parentheses (RFC 8474 §4.3)."""
    told = " ".join(f"{item} {value}" for item, value in items.items())
    return f"* STATUS {mailbox_string(name, is_utf8=is_utf8)} ({told})\r\n".encode()


def namespace(
    personal: Sequence[tuple[str, str]],
    others: Sequence[tuple[str, str]] = (),
    shared: Sequence[tuple[str, str]] = (),
    *,
    is_utf8: bool,
) -> bytes:
    """RFC 9051 §7.3.2. Each namespace is its prefix and its separator."""

    def one(spaces: Sequence[tuple[str, str]]) -> str:
        listed = "".join(
            f"({mailbox_string(prefix, is_utf8=is_utf8)} {quoted(sep)})" for prefix, sep in spaces
        )
        return f"({listed})" if listed else NIL

    return f"* NAMESPACE {one(personal)} {one(others)} {one(shared)}\r\n".encode()


def mailbox_string(name: str, *, is_utf8: bool) -> str:
    return quoted(write_name(name, is_utf8=is_utf8))


# --- what a search found --------------------------------------------------------------------------


def search(numbers: Iterable[int], modseq: int | None = None) -> bytes:
    """The SEARCH response of IMAP4rev1. modseq: the highest of them, after a search for it (RFC 7162
    §3.1.5)."""
    return _numbers("SEARCH", numbers, modseq)


def sort(numbers: Iterable[int], modseq: int | None = None) -> bytes:
    """RFC 5256 §4; modseq: RFC 7162 §3.1.6."""
    return _numbers("SORT", numbers, modseq)


def _numbers(name: str, numbers: Iterable[int], modseq: int | None) -> bytes:
    found = " ".join((name, *map(str, numbers)))
    return f"* {found}{f' (MODSEQ {modseq})' if modseq is not None else ''}\r\n".encode()


def esearch(tag: str, results: Mapping[str, int | str], *, by_uid: bool) -> bytes:
    """RFC 9051 §7.3.4. results: of MIN, MAX, COUNT, MODSEQ numbers, of ALL a set, of PARTIAL both ranges
    as RFC 9394 §3.1 writes them, in this order; what has no messages is not there."""
    told = "".join(f" {name} {value}" for name, value in results.items())
    return f"* ESEARCH (TAG {quoted(tag)}){' UID' if by_uid else ''}{told}\r\n".encode()


# --- quotas ---------------------------------------------------------------------------------------


def quota(root: str, resources: Mapping[str, tuple[int, int]]) -> bytes:
    """RFC 9208 §4.2.1. resources: used and allowed, of STORAGE in units of 1,024 octets."""
    told = " ".join(f"{name} {used} {limit}" for name, (used, limit) in resources.items())
    return f"* QUOTA {quoted(root)} ({told})\r\n".encode()


def quota_root(name: str, roots: Iterable[str], *, is_utf8: bool) -> bytes:
    """RFC 9208 §4.2.2."""
    told = " ".join((mailbox_string(name, is_utf8=is_utf8), *map(quoted, roots)))
    return f"* QUOTAROOT {told}\r\n".encode()


# --- rights and metadata --------------------------------------------------------------------------


def acl(name: str, rights: Mapping[str, Iterable[str]], *, is_utf8: bool) -> bytes:
    """RFC 4314 §3.6. rights: by identifier."""
    told = "".join(f" {quoted(one)} {quoted(write_rights(held))}" for one, held in rights.items())
    return f"* ACL {mailbox_string(name, is_utf8=is_utf8)}{told}\r\n".encode()


def list_rights(name: str, identifier: str, required: Iterable[str], *, is_utf8: bool) -> bytes:
    """RFC 4314 §3.7. required: what that identifier has in any case; every other right may be given alone."""
    always = frozenset(required)
    told = " ".join(quoted(right) for right in ALL if right not in always)
    start = f"* LISTRIGHTS {mailbox_string(name, is_utf8=is_utf8)} {quoted(identifier)}"
    return f"{start} {quoted(''.join(right for right in ALL if right in always))} {told}\r\n".encode()


def my_rights(name: str, rights: Iterable[str], *, is_utf8: bool) -> bytes:
    """RFC 4314 §3.8."""
    return f"* MYRIGHTS {mailbox_string(name, is_utf8=is_utf8)} {quoted(write_rights(rights))}\r\n".encode()


def metadata(name: str, values: Mapping[str, bytes | None], *, is_utf8: bool) -> bytes:
    """RFC 5464 §4.4.1. values: by entry; None: it is not there."""
    told = b" ".join(
        b"%b %b" % (quoted(entry).encode(), NIL.encode() if value is None else literal(value, is_binary=True))
        for entry, value in values.items()
    )
    return b"* METADATA %b (%b)\r\n" % (mailbox_string(name, is_utf8=is_utf8).encode(), told)


def metadata_changed(name: str, entries: Iterable[str], *, is_utf8: bool) -> bytes:
    """RFC 5464 §4.4.2: without their values."""
    told = " ".join(map(quoted, entries))
    return f"* METADATA {mailbox_string(name, is_utf8=is_utf8)} {told}\r\n".encode()
