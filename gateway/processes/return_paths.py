"""Return paths of forwarded mails: written when a mail goes on, opened when a report of it comes back.

Each month has a secret of its own: an address lives 21 days, so two of them open all there are, and nobody
has to change one. A sender that has no room inside an address of ours (64 octets), or no plain form there, is
named by where its mail.forwarded stands in the log: `4711@forwarded.invalid` is in its place (RFC 2606).

Used by the edge, which refuses what was not written here, and by the router. Source: gateway/mail/srs.py.
"""

from datetime import date, timedelta
from typing import Final

from gateway.domain.forwarding import ForwardedSecret, MailForwarded, forwarded_label
from gateway.domain.sealing import unseal, unwrap
from gateway.mail import srs
from gateway.mail.address import Address, normalise_domain, parse_address
from gateway.ports import Clock, EventLog, KeyForgotten, KeyStore, Position

SECRETS: Final = "srs."  # how their names in the KeyStore begin
IN_THE_LOG: Final = "forwarded.invalid"


class ReturnPaths:
    """All raise Unavailable."""

    def __init__(self, *, log: EventLog, keys: KeyStore, clock: Clock) -> None:
        self._log, self._keys, self._clock = log, keys, clock

    async def write(self, sender: Address, domain: str, position: Position) -> Address:
        """The return path of a mail forwarded in the name of a domain.

        A sender of the domain itself keeps its own. position: of its mail.forwarded.
        """
        if srs.is_rewritten(sender):  # by us, for another account: its sender is known
            sender = await self.opened(sender)
        if normalise_domain(sender.domain) == normalise_domain(domain):
            return sender
        today = self._clock.now().date()
        secret = await self._keys.get_or_make(_key_name(today))
        named = Address(str(position), IN_THE_LOG)
        path = srs.rewrite(sender, domain, secret=secret, today=today)
        path = path or srs.rewrite(named, domain, secret=secret, today=today)
        return path or sender  # a domain of more than 200 octets

    async def check(self, address: Address) -> None:
        """Raises srs.NotOurs, srs.Expired, or ValueError for what has no such form."""
        srs.reverse(address, secrets=await self._secrets(), today=self._clock.now().date())

    async def opened(self, address: Address) -> Address:
        """Whose mail it was; the address itself where it is no return path of ours, or none any more."""
        if not srs.is_rewritten(address):
            return address
        try:
            sender = srs.reverse(address, secrets=await self._secrets(), today=self._clock.now().date())
        except ValueError:
            return address
        return await self._in_the_log(sender) or address if sender.domain == IN_THE_LOG else sender

    async def _in_the_log(self, named: Address) -> Address | None:
        """None: what could tell was erased, or the log is an older one than the path was written by."""
        try:
            event = (await self._log.read(Position(int(named.local_part)))).event
            if not isinstance(event, MailForwarded):
                return None
            data_key = unwrap(event.keys[0].wrapped, await self._keys.get(event.keys[0].key))
        except (IndexError, KeyError, KeyForgotten):
            return None
        label = forwarded_label(event.mail_id, event.account_id)
        sender = unseal(ForwardedSecret, event.sealed, data_key, label=label).mail_from
        return parse_address(sender) if sender is not None else None

    async def _secrets(self) -> list[bytes]:
        """This month's and the last one's, where something was forwarded then."""
        secrets = list[bytes]()
        for name in needed_secrets(self._clock.now().date()):
            try:
                secrets.append(await self._keys.get(name))
            except (KeyError, KeyForgotten):
                continue
        return secrets


def needed_secrets(today: date) -> tuple[str, str]:
    """The names of this month's and the last one's: what others before them wrote has expired."""
    return _key_name(today), _key_name(today.replace(day=1) - timedelta(days=1))


def _key_name(day: date) -> str:
    return f"{SECRETS}{day:%Y%m}"
