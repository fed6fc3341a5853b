"""What a sender asks to be told of its mail, and how the addresses in it are written.

Source: RFC 3461 §4 (NOTIFY, ORCPT, RET, ENVID; xtext), RFC 6533 §3 (original recipients in UTF-8).
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

Ret = Literal["FULL", "HDRS"]

NEVER: Final = "NEVER"
SUCCESS: Final = "SUCCESS"
FAILURE: Final = "FAILURE"
DELAY: Final = "DELAY"

# RFC 6533 §3: QUCHAR is printable and none of "\", "+" and "=".
_NOT_QUCHAR = re.compile(r"[^!-*,-<>-\[\]-~\u0080-\U0010ffff]")
_NOT_QCHAR = re.compile(r"[^!-*,-<>-\[\]-~]")
_NOT_XCHAR = re.compile(r"[^!-*,-<>-~]")  # RFC 3461 §4


@dataclass(frozen=True, slots=True)
class DsnOptions:
    """Of one mail. notify, orcpt: by recipient, "" where nothing was said; () when for nobody.

    notify: keywords with commas, in the order SUCCESS, FAILURE, DELAY, or NEVER.
    orcpt: the address type, a semicolon, and the address as it is meant, without xtext.
    """

    ret: Ret | None = None
    envid: str = ""  # as it is meant, without xtext
    notify: tuple[str, ...] = ()
    orcpt: tuple[str, ...] = ()


NOTHING_ASKED: Final = DsnOptions()


def wants(notify: str, keyword: str) -> bool:
    """RFC 3461 §4.1: a sender that says nothing wants to know of failures."""
    return keyword in notify.split(",") if notify else keyword == FAILURE


def said_of(options: tuple[str, ...], place: int) -> str:
    """What was said of one recipient, "" when nothing was."""
    return options[place] if options else ""


def chosen(options: tuple[str, ...], places: tuple[int, ...]) -> tuple[str, ...]:
    """The same for some recipients; () when nothing was said of them."""
    some = tuple(said_of(options, place) for place in places)
    return some if any(some) else ()


def xtext(text: str) -> str:
    """Printable ASCII as the value of a parameter (RFC 3461 §4)."""
    return _NOT_XCHAR.sub(lambda found: f"+{ord(found[0]):02X}", text)


def original_recipient(orcpt: str, *, is_utf8: bool = False) -> tuple[str, str]:
    """Address type and address as they are written in a report: in ASCII, unless UTF-8 may be there."""
    kind, _, address = orcpt.partition(";")
    return (kind, utf8_address(address, is_utf8=is_utf8)) if kind == "utf-8" else (kind, address)


def utf8_address(address: str, *, is_utf8: bool = False) -> str:
    """RFC 6533 §3: utf-8-addr-xtext, all ASCII; or utf-8-addr-unitext, where UTF-8 may be."""
    embedded = _NOT_QUCHAR if is_utf8 else _NOT_QCHAR
    return embedded.sub(lambda found: f"\\x{{{ord(found[0]):02X}}}", address)
