"""Why we end a session: what its client is told, and what its fact says.

Source: RFC 5321 §3.8 and §4.2.3 (421), RFC 3463 §3.5 (4.4.2).
"""

from collections.abc import Mapping
from typing import Final

from gateway.domain.sessions import Ending
from gateway.mail.reply import reply
from gateway.processes.edge.rates import TOO_MANY_CONNECTIONS

TIMED_OUT = reply(421, "4.4.2", "Timed out waiting for the client")
TOO_LONG = reply(421, "4.4.2", "The session has lasted too long, begin another")
SHUTTING_DOWN = reply(421, "4.3.2", "Shutting down, try again later")
BANNED = reply(421, "4.7.0", "Your network is banned for some time, try again later")
OUR_MISTAKE = reply(421, "4.3.0", "Internal error, try again later")
LOST: Final = "the client went away"
QUIT: Final = "quit"
FAILED: Final = "internal error"
DEPOSED: Final = "another edge owns our lane"
# By why we closed; else the client went away or did not keep to the protocol.
ENDINGS: Final[Mapping[str, Ending]] = {
    LOST: "lost",
    QUIT: "quit",
    FAILED: "failed",
    DEPOSED: "stopped",
    str(TIMED_OUT): "timeout",
    str(SHUTTING_DOWN): "stopped",
    str(OUR_MISTAKE): "failed",
}
# Limits that close, by why we closed: their settings.
LIMITS: Final[Mapping[str, str]] = {
    "too many bad commands": "bad_commands_max",
    "too many failed sign-ins": "failed_sign_ins_max",
    str(TOO_LONG): "smtp_session_max_s",
    str(TOO_MANY_CONNECTIONS): "network_connections_max",
    str(BANNED): "ban",
}
