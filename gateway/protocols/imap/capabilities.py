"""What the server says it can do.

A name stands here from the commit on that makes it whole, and not before. The shell sends them in its
greeting, for CAPABILITY, and in the OK that ends a sign-in, with what holds then.

Source: RFC 9051 §6.1.1 and §7.2.2, RFC 3501 §6.1.1; RFC 7888 §5 (never both LITERAL+ and LITERAL-).
"""

from collections.abc import Iterable
from typing import Final

_ALWAYS: Final = ("IMAP4rev2", "IMAP4rev1", "SASL-IR", "ID", "ENABLE")
# Before sign-in a literal that nobody waits with is small (RFC 7888 §5).
_BEFORE_SIGN_IN: Final = ("LITERAL-",)
_AFTER_SIGN_IN: Final = (
    "LITERAL+", "IDLE", "NAMESPACE", "UIDPLUS", "UNSELECT", "MOVE", "CHILDREN", "SPECIAL-USE",
    "CREATE-SPECIAL-USE", "LIST-EXTENDED", "LIST-STATUS", "CONDSTORE", "QRESYNC", "ESEARCH", "SEARCHRES",
    "WITHIN", "SORT", "SORT=DISPLAY", "THREAD=REFERENCES", "THREAD=ORDEREDSUBJECT", "I18NLEVEL=1", "OBJECTID",
    "STATUS=SIZE", "SAVEDATE", "QUOTA", "QUOTA=RES-STORAGE", "MULTIAPPEND", "REPLACE", "INPROGRESS",
    "PARTIAL", "UIDONLY", "PREVIEW", "BINARY", "CATENATE", "COMPRESS=DEFLATE", "UTF8=ACCEPT",
    "METADATA", "LIST-METADATA", "NOTIFY", "ACL", "RIGHTS=texk", "LIST-MYRIGHTS",
)  # fmt: skip


def before_sign_in(
    mechanisms: Iterable[str], *, offers_starttls: bool, takes_passwords: bool
) -> tuple[str, ...]:
    """takes_passwords: LOGIN is allowed here, as it is inside TLS alone (RFC 9051 §6.2.3)."""
    starttls = ("STARTTLS",) if offers_starttls else ()
    login = () if takes_passwords else ("LOGINDISABLED",)
    return (*_ALWAYS, *_BEFORE_SIGN_IN, *starttls, *login, *(f"AUTH={name}" for name in mechanisms))


def after_sign_in(message_octets_max: int) -> tuple[str, ...]:
    """message_octets_max: of a message in an APPEND (RFC 7889 §3)."""
    return (*_ALWAYS, *_AFTER_SIGN_IN, f"APPENDLIMIT={message_octets_max}")
