"""The grammar of what follows a command's name: paths and parameters.

Source: RFC 5321 §4.1.2 (paths, parameters), §4.1.1.3 and §4.5.1 (Postmaster), appendix C (source routes).
"""

import re

from gateway.mail.address import Address, parse_address

# RFC 5321 §4.1.2: Path = "<" [ A-d-l ":" ] Mailbox ">". A ">" may stand in a quoted local part.
# Spaces after the colon are not in the grammar, but common; Postfix and Exchange take them.
_PATH = re.compile(r' *<((?:"(?:[^"\\]|\\.)*"|[^<>"\\])*)>(?: +(.*))?')
# RFC 5321 appendix C: A-d-l = At-domain *( "," At-domain ). Accepted and ignored, as §4.1.1.3 wants.
_SOURCE_ROUTE = re.compile(r"@[^:@]+(?:,@[^:@]+)*:")
# RFC 5321 §4.1.2: esmtp-param = esmtp-keyword ["=" esmtp-value]; RFC 6531 §3.3 adds UTF-8 to the value.
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~\u0080-\U0010ffff]+))?")

_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*", re.ASCII)


def parse_path(text: str) -> tuple[str, str]:
    """What stands between "<" and ">", and the parameters after it. Raises ValueError on anything else."""
    found = _PATH.fullmatch(text)
    if found is None:
        raise ValueError("a path stands between angle brackets")
    return found[1], found[2] or ""


def parse_reverse_path(path: str) -> Address | None:
    """The sender: None for the null reverse-path. Raises ValueError when it is no address."""
    return parse_address(_without_route(path)) if path else None


def parse_forward_path(path: str, hostname: str) -> Address:
    """A recipient; "Postmaster" alone is ours (RFC 5321 §4.5.1). Raises ValueError when it is no address."""
    if path.lower() == "postmaster":
        return Address(path, hostname)
    return parse_address(_without_route(path))


def parse_parameters(text: str) -> dict[str, str | None]:
    """ESMTP parameters by keyword in upper case. Raises ValueError on bad syntax and on one given twice."""
    parameters: dict[str, str | None] = {}
    for item in filter(None, text.split(" ")):
        found = _PARAMETER.fullmatch(item)
        if found is None:
            raise ValueError("a parameter is a keyword, or a keyword, = and a value")
        keyword = capitals(found[1])
        if keyword in parameters:
            raise ValueError("a parameter stands once")
        parameters[keyword] = found[2]
    return parameters


def _without_route(path: str) -> str:
    route = _SOURCE_ROUTE.match(path)
    return path if route is None else path[route.end() :]


def capitals(text: str) -> str:
    """A keyword in its one form. Keywords are ASCII (RFC 5321 §2.4): "ı" never becomes "I"."""
    return text.encode().upper().decode()


def is_xtext(text: str) -> bool:
    """RFC 3461 §4: printable ASCII, "+" only before two hex digits, "=" not at all."""
    return _XTEXT.fullmatch(text) is not None
