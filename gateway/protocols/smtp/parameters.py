"""The parameters of RCPT, and those of MAIL that say what the sender wants to be told: read and written.

Source: RFC 3461 §4 (NOTIFY, ORCPT, RET, ENVID; xtext), RFC 6533 §3 (ORCPT in UTF-8), RFC 7293 §3.1 (RRVS).
"""

import re
from collections.abc import Mapping
from typing import Final

from gateway.mail.address import parse_address
from gateway.mail.dsn_options import (
    DELAY,
    FAILURE,
    NEVER,
    SUCCESS,
    DsnOptions,
    Ret,
    original_recipient,
    said_of,
    xtext,
)
from gateway.mail.reply import PeerError
from gateway.mail.valid_since import parse_valid_since
from gateway.protocols.smtp import replies
from gateway.protocols.smtp.grammar import capitals

MAIL_KEYWORDS: Final = frozenset({"RET", "ENVID"})
RCPT_KEYWORDS: Final = frozenset({"NOTIFY", "ORCPT", "RRVS"})

ENVID_OCTETS_MAX: Final = 100  # RFC 3461 §4.4, before it is encoded
ORCPT_OCTETS_MAX: Final = 500  # RFC 3461 §4.2, as it is written

_RETS: Final[Mapping[str, Ret]] = {"FULL": "FULL", "HDRS": "HDRS"}
_EVENTS: Final = (SUCCESS, FAILURE, DELAY)
# RFC 3461 §4: xchar and hexchar; its hex digits are upper case, and lower case is understood.
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-Fa-f]{2})*")
_HEXCHAR = re.compile(r"\+([0-9A-Fa-f]{2})")
_PRINTABLE = re.compile(r"[ -~]+")
_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+")
# RFC 6533 §3: EmbeddedUnicodeChar. A backslash that begins none means nothing.
_EMBEDDED = re.compile(r"\\(?:x\{([0-9A-Fa-f]{2,6})\})?")


def read_mail(parameters: Mapping[str, str | None]) -> tuple[Ret | None, str]:
    """RET and ENVID, as far as they were given. Raises PeerError on bad syntax."""
    try:
        ret = _read_ret(parameters["RET"]) if "RET" in parameters else None
        envid = _read_envid(parameters["ENVID"]) if "ENVID" in parameters else ""
    except ValueError as error:
        raise PeerError(replies.BAD_ARGUMENTS, str(error)) from None
    return ret, envid


def read_rcpt(parameters: Mapping[str, str | None]) -> tuple[str, str, str]:
    """NOTIFY, ORCPT and RRVS, as far as they were given. Raises PeerError on bad syntax, and on others."""
    if parameters.keys() - RCPT_KEYWORDS:
        raise PeerError(replies.UNKNOWN_PARAMETER, "unknown RCPT parameter")
    try:
        notify = _read_notify(parameters["NOTIFY"]) if "NOTIFY" in parameters else ""
        orcpt = _read_orcpt(parameters["ORCPT"]) if "ORCPT" in parameters else ""
        rrvs = str(parse_valid_since(parameters["RRVS"] or "")) if "RRVS" in parameters else ""
    except ValueError as error:
        raise PeerError(replies.BAD_ARGUMENTS, str(error)) from None
    return notify, orcpt, rrvs


def mail_parameters(options: DsnOptions) -> str:
    """RET and ENVID as they are passed on, each with a space before it (RFC 3461 §5.2.1)."""
    ret = f" RET={options.ret}" if options.ret else ""
    return ret + (f" ENVID={xtext(options.envid)}" if options.envid else "")


def rcpt_parameters(options: DsnOptions, place: int, *, is_smtputf8: bool) -> str:
    """NOTIFY and ORCPT of one recipient, likewise. is_smtputf8: the mail was begun with SMTPUTF8."""
    notify, orcpt = said_of(options.notify, place), said_of(options.orcpt, place)
    written = f" NOTIFY={notify}" if notify else ""
    if orcpt:
        kind, address = original_recipient(orcpt, is_utf8=is_smtputf8)
        written += f" ORCPT={kind};{address if kind == 'utf-8' else xtext(address)}"
    return written


def _read_ret(value: str | None) -> Ret:
    ret = _RETS.get(capitals(value or ""))
    if ret is None:
        raise ValueError("RET is FULL or HDRS")
    return ret


def _read_envid(value: str | None) -> str:
    envid = _from_xtext(value or "")
    if _PRINTABLE.fullmatch(envid) is None or len(envid) > ENVID_OCTETS_MAX:
        raise ValueError("ENVID is not printable, or too long")
    return envid


def _read_notify(value: str | None) -> str:
    keywords = capitals(value or "").split(",")
    if keywords == [NEVER]:
        return NEVER
    if not set(keywords) <= set(_EVENTS):
        raise ValueError("NOTIFY is NEVER alone, or some of SUCCESS, FAILURE and DELAY")
    return ",".join(event for event in _EVENTS if event in keywords)


def _read_orcpt(value: str | None) -> str:
    """The type in lower case, a semicolon and the address as it is meant."""
    kind, semicolon, written = (value or "").partition(";")
    kind = kind.lower()
    if not semicolon or _ATOM.fullmatch(kind) is None or len((value or "").encode()) > ORCPT_OCTETS_MAX:
        raise ValueError("ORCPT is an address type, a semicolon and an address")
    address = _from_utf8_address(written) if kind == "utf-8" else _from_xtext(written)
    if kind == "rfc822" and not address.isascii():
        # Postfix writes addresses in UTF-8 so, octet by octet: what RFC 6533 §3 has the type utf-8 for.
        kind, address = "utf-8", address.encode("latin-1").decode("utf-8")
    if kind == "utf-8":
        parse_address(address)
    elif _PRINTABLE.fullmatch(address) is None:
        raise ValueError("ORCPT is not printable")
    return f"{kind};{address}"


def _from_xtext(written: str) -> str:
    """Raises ValueError when it is not xtext. What comes out may be any octets, a character each."""
    if _XTEXT.fullmatch(written) is None:
        raise ValueError("the value is not xtext")
    return _HEXCHAR.sub(lambda found: chr(int(found[1], 16)), written)


def _from_utf8_address(written: str) -> str:
    """utf-8-addr-xtext or utf-8-addr-unitext, whose backslashes may be in xtext once more."""
    pieces = re.split(r"([\u0080-\U0010ffff]+)", written)
    text = "".join(piece if number % 2 else _from_xtext(piece) for number, piece in enumerate(pieces))
    return _EMBEDDED.sub(lambda found: _embedded(found[1]), text)


def _embedded(hexpoint: str | None) -> str:
    code = int(hexpoint or "0", 16)
    if not 0x10 <= code <= 0x10FFFF or 0xD800 <= code < 0xE000:
        raise ValueError("ORCPT has a backslash that embeds no character")
    return chr(code)
