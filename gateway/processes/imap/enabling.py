"""ENABLE: what a client says it understands, so that it may be sent.

Source: RFC 9051 §6.3.1, RFC 5161; RFC 6855 §3 (UTF8=ACCEPT), RFC 7162 §3.1 and §3.2.3 (CONDSTORE, QRESYNC),
RFC 9586 §3 (UIDONLY).
"""

from typing import Final

from gateway.processes.imap.session import Done, Session
from gateway.protocols.imap import responses
from gateway.protocols.imap.commands import Enable

_KNOWN: Final = {
    "IMAP4REV2": "IMAP4rev2",
    "UTF8=ACCEPT": "UTF8=ACCEPT",
    "CONDSTORE": "CONDSTORE",
    "QRESYNC": "QRESYNC",
    "UIDONLY": "UIDONLY",
}


async def enable(session: Session, command: Enable) -> Done:
    """Unknown names are ignored. QRESYNC has CONDSTORE with it (RFC 7162 §3.2.3)."""
    names = [name for name in command.names if name in _KNOWN and name not in session.enabled]
    session.enabled |= set(names)
    if "QRESYNC" in names:
        session.enabled.add("CONDSTORE")
    session.send(responses.enabled(_KNOWN[name] for name in names))
    return Done("ENABLE completed")
