"""How much one network or one account may do: connections at once, messages and recipients an hour.

Networks are counted on the listeners for other hosts, accounts on those where people sign in. Each edge
process counts for itself: with n of them a limit is up to n times as high. An hour begins with the first
message of a network or account, and counts anew when it is over.

Precedents: Postfix anvil(8), smtpd_client_connection_count_limit 50 and smtpd_client_event_limit_exceptions;
Exchange Online, 30 messages a minute and 10,000 recipients a day. Source: RFC 5321 §3.8 (421), RFC 3463 §3.8.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.mail.ids import AccountId
from gateway.mail.networks import Network, is_within, network_of
from gateway.mail.reply import Reply, reply
from gateway.processes.listening.networks import NetworkConnections

HOUR_S: Final = 3600.0
COUNTED_MAX: Final = 50_000  # networks and accounts; the longest silent is forgotten first

TOO_MANY_CONNECTIONS: Final = reply(421, "4.7.0", "Too many connections from your network, try again later")
TOO_MANY_MESSAGES: Final = reply(450, "4.7.1", "Too many messages in an hour, try again later")
TOO_MANY_RECIPIENTS: Final = reply(450, "4.7.1", "Too many recipients in an hour, try again later")


@dataclass(frozen=True, slots=True)
class RateLimits:
    """0: no limit. exempt: networks that are not counted."""

    network_connections_max: int = 0
    network_messages_per_hour: int = 0
    network_recipients_per_hour: int = 0
    account_messages_per_hour: int = 0
    account_recipients_per_hour: int = 0
    exempt: Sequence[Network] = ()


@dataclass(frozen=True, slots=True)
class Limited:
    """A limit is met. limit: its setting."""

    limit: str
    reply: Reply


@dataclass(slots=True)
class _Hour:
    since_s: float
    messages: int = 0
    recipients: int = 0


class Rates:
    """What all connections of one edge process have done."""

    def __init__(self, limits: RateLimits) -> None:
        self._limits = limits
        self._connections = NetworkConnections(limits.network_connections_max, limits.exempt)
        self._hours: OrderedDict[str, _Hour] = OrderedDict()

    # --- connections at once ------------------------------------------------------------------------

    def enter(self, ip: str) -> Limited | None:
        """A connection begins; None: it counts until `leave`."""
        if self._connections.enter(ip):
            return None
        return Limited("network_connections_max", TOO_MANY_CONNECTIONS)

    def leave(self, ip: str) -> None:
        self._connections.leave(ip)

    # --- in an hour -----------------------------------------------------------------------------------

    def message(self, ip: str, account_id: AccountId | None, now_s: float) -> Limited | None:
        """A mail begins; None: it counts. account_id: of who signed in."""
        limits, whose = self._limits, "network" if account_id is None else "account"
        most = limits.network_messages_per_hour if account_id is None else limits.account_messages_per_hour
        hour = self._hour(ip, account_id, now_s)
        if hour is None:
            return None
        if most and hour.messages >= most:
            return Limited(f"{whose}_messages_per_hour", TOO_MANY_MESSAGES)
        hour.messages += 1
        return None

    def recipient(self, ip: str, account_id: AccountId | None, now_s: float) -> Limited | None:
        """A recipient is about to be said yes to; None: it counts."""
        limits, whose = self._limits, "network" if account_id is None else "account"
        most = (
            limits.network_recipients_per_hour if account_id is None else limits.account_recipients_per_hour
        )
        hour = self._hour(ip, account_id, now_s)
        if hour is None:
            return None
        if most and hour.recipients >= most:
            return Limited(f"{whose}_recipients_per_hour", TOO_MANY_RECIPIENTS)
        hour.recipients += 1
        return None

    def _hour(self, ip: str, account_id: AccountId | None, now_s: float) -> _Hour | None:
        """None: it is not counted."""
        if account_id is None and self._is_exempt(ip):
            return None
        key = account_id or network_of(ip)
        hour = self._hours.get(key)
        if hour is None or now_s - hour.since_s >= HOUR_S:
            hour = self._hours[key] = _Hour(now_s)
        self._hours.move_to_end(key)
        if len(self._hours) > COUNTED_MAX:
            self._hours.popitem(last=False)
        return hour

    def _is_exempt(self, ip: str) -> bool:
        return is_within(ip, self._limits.exempt)
