"""Coverage-guided fuzzing of the IMAP core: whatever comes is commands, or errors that are lines.

`./just fuzz imap 600` runs for ten minutes; what breaks it is written to var/fuzz. The first octet chooses
what the session has enabled, the rest is what the client sends.
"""

import re
import sys
from typing import Final

import atheris

with atheris.instrument_imports(include=["gateway.protocols.imap", "gateway.mail"]):
    from gateway.protocols.imap.commands import Command
    from gateway.protocols.imap.errors import ImapError
    from gateway.protocols.imap.framer import Framer, Got, Lines, LiteralOctets, Refused
    from gateway.protocols.imap.parsing import parse_command

# RFC 9051 §7.1: a status response, tagged or not.
STATUS: Final = re.compile(rb"[^ \r\n]+ (?:NO|BAD|BYE) (?:\[[^\r\n]+?\] )?[^\r\n]+\r\n")
LINE_OCTETS_MAX, LITERAL_OCTETS_MAX = 1_000, 100


def outcomes(octets: bytes, step: int, *, is_utf8: bool) -> list[Got | Command | bytes]:
    """What a session makes of them: commands, responses, and literals, which may come in pieces."""
    framer, found = Framer(LINE_OCTETS_MAX, LITERAL_OCTETS_MAX), list[Got | Command | bytes]()
    for at in range(0, len(octets), step):
        for got in framer.feed(octets[at : at + step]):
            match got:
                case Lines():
                    try:
                        found.append(parse_command(got, is_utf8=is_utf8).command)
                    except ImapError as error:
                        found.append(error.response)
                case Refused(response):
                    found.append(response)
                case LiteralOctets():
                    pass
                case _:
                    found.append(got)
    return found


def one(octets: bytes) -> None:
    """Any octets, in two splits: the same commands and well-formed responses."""
    if not octets:
        return
    is_utf8, sent = bool(octets[0] & 1), octets[1:]
    whole = outcomes(sent, max(1, len(sent)), is_utf8=is_utf8)
    for outcome in whole:
        assert not isinstance(outcome, bytes) or STATUS.fullmatch(outcome), outcome
    assert whole == outcomes(sent, 7, is_utf8=is_utf8)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
