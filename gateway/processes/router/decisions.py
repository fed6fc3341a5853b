"""What the router decides with: envelopes opened, recipients looked up, keys fetched; then `decide`.

Source: architecture §2.2.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

import msgspec

from gateway.domain.codec import MalformedEvent, UnknownTopic
from gateway.domain.events import Actor, By, EnvelopeSecret, Fact, MailAccepted, MailDelivered, Stamp
from gateway.domain.forwarding import MailForwarded
from gateway.domain.maillist import ListExpanded
from gateway.domain.progress import Step, steps
from gateway.domain.quota import QuotaRule
from gateway.domain.routing import (
    Destination,
    Forwarder,
    Listed,
    Means,
    OpenedMail,
    Whereabouts,
    decide,
    envelope_label,
    holders,
)
from gateway.domain.sealing import NONCE_OCTETS, BrokenSeal, unseal, unwrap
from gateway.mail.address import parse_address
from gateway.mail.srs import is_rewritten
from gateway.ports import Clock, Entropy, KeyForgotten, KeyStore, Recorded, Unavailable
from gateway.processes.router.directory import Directory
from gateway.processes.router.filling import Batch, Filling
from gateway.processes.router.forwards import Forwards
from gateway.processes.router.lists import Lists
from gateway.processes.router.reports import Reports

KEYS_AT_ONCE: Final = 64
QUOTA: Final = QuotaRule()


class Undecidable(Exception):
    """An event the router cannot decide on. It stops; the message says how to pass over it."""

    def __init__(self, recorded: Recorded, reason: str) -> None:
        super().__init__(
            f"the router cannot decide on position {recorded.position} ({recorded.topic}): {reason}. To pass"
            f" over it: saraban log hold {recorded.position} --consumer router --reason TEXT"
        )
        self.recorded, self.reason = recorded, reason


@dataclass(frozen=True, slots=True)
class Work:
    """An event of this share that wants a decision.

    at: the position where it is decided: its own, or that of its release. ended: recipients of it decided
    before. is_held: it is passed over.
    """

    recorded: Recorded
    at: int
    ended: tuple[int, ...] = ()
    is_held: bool = False


class Decisions:
    """Decides on many events with one question to the directory."""

    def __init__(
        self,
        *,
        directory: Directory,
        keys: KeyStore,
        reports: Reports,
        lists: Lists,
        forwards: Forwards,
        clock: Clock,
        entropy: Entropy,
        by: By,
        give_up_after: timedelta,
        quota: QuotaRule = QUOTA,
    ) -> None:
        self._directory, self._keys, self._reports = directory, keys, reports
        self._lists, self._forwards = lists, forwards
        self._clock, self._entropy, self._by = clock, entropy, by
        self._give_up_after = give_up_after
        self._filling = Filling(quota, clock)

    async def on(self, work: Sequence[Work]) -> list[list[Step]]:
        """The steps of each event, in order. Raises Undecidable for one of them, Unavailable."""
        wanted = [one.recorded for one in work if not one.is_held]
        mails = {recorded.position: await self._open(recorded) for recorded in wanted if _is_mail(recorded)}
        found = await self._look_up(mails.values())
        whereabouts = {
            recorded.position: await self._destinations(recorded, mails[recorded.position], found)
            for recorded in wanted
            if recorded.position in mails
        }
        names = {holder for at, mail in mails.items() for holder in holders(mail.accepted, whereabouts[at])}
        means = Means(
            stamp=Stamp(at=self._clock.now(), actor=Actor("system", "router"), by=self._by),
            holder_keys=await self._fetch(names),
            nonce=partial(self._entropy, NONCE_OCTETS),
            give_up_after=self._give_up_after,
        )
        done, batch = [], self._filling.begin()
        for one in work:
            mail = mails.get(one.recorded.position)
            facts = list[Fact]()
            try:
                if mail is not None:
                    facts = _decided(mail, whereabouts[one.recorded.position], means, one.ended, batch)
                elif not one.is_held and one.recorded.topic == ListExpanded.TOPIC:
                    facts = await self._lists.on(one.recorded, one.ended)
                    facts += await self._reports.on(one.recorded)  # last: made once, however often parts are
                elif not one.is_held and one.recorded.topic == MailForwarded.TOPIC:
                    facts = await self._forwards.on(one.recorded, one.ended)
                    facts += await self._reports.on(one.recorded)
                elif not one.is_held:
                    facts = await self._reports.on(one.recorded)
            except Unavailable:
                raise
            except Exception as error:
                raise Undecidable(one.recorded, f"{type(error).__name__}: {error}") from error
            done.append(list(steps(one.at, facts, one.ended)))
        self._filling.keep(batch)
        return done

    async def _open(self, recorded: Recorded) -> OpenedMail:
        accepted = recorded.event
        assert isinstance(accepted, MailAccepted), accepted
        mail_id, wrap = accepted.mail_id, accepted.keys[0]
        try:
            data_key = unwrap(wrap.wrapped, await self._keys.get(wrap.key))
            envelope = unseal(EnvelopeSecret, accepted.sealed, data_key, label=envelope_label(mail_id))
            recipients = [parse_address(address) for address in envelope.rcpt_to]
        except (KeyForgotten, KeyError) as error:
            raise Undecidable(recorded, f"there is no key {wrap.key}") from error
        except (BrokenSeal, ValueError) as error:
            raise Undecidable(recorded, str(error)) from error
        if any(map(is_rewritten, recipients)):  # reports about what we forwarded are for whose mail it was
            opened = [await self._forwards.return_paths.opened(recipient) for recipient in recipients]
            envelope = msgspec.structs.replace(envelope, rcpt_to=tuple(map(str, opened)))
        return OpenedMail(recorded.position, accepted, envelope, data_key)

    async def _look_up(self, mails: Iterable[OpenedMail]) -> dict[str, Whereabouts]:
        """Where each address is, each asked for once."""
        distinct = list({address: None for mail in mails for address in mail.envelope.rcpt_to})
        if not distinct:
            return {}
        whereabouts = await self._directory.find([parse_address(address) for address in distinct])
        return dict(zip(distinct, whereabouts, strict=True))

    async def _destinations(
        self, recorded: Recorded, mail: OpenedMail, found: Mapping[str, Whereabouts]
    ) -> list[Destination]:
        """Where each recipient of a mail is; whether lists take it, and forwarders pass it on."""
        destinations = list[Destination]()
        for address in mail.envelope.rcpt_to:
            where: Destination = found[address]
            if isinstance(where, Listed | Forwarder):
                try:
                    if isinstance(where, Listed):
                        where = await self._lists.look(mail, parse_address(address), where)
                    else:
                        where = await self._forwards.look(mail, where)
                except Unavailable:
                    raise
                except Exception as error:
                    raise Undecidable(recorded, f"{type(error).__name__}: {error}") from error
            destinations.append(where)
        return destinations

    async def _fetch(self, names: set[str]) -> dict[str, bytes]:
        """Holders' keys by name, without those that were destroyed."""
        ordered, keys = sorted(names), dict[str, bytes]()
        for start in range(0, len(ordered), KEYS_AT_ONCE):
            some = ordered[start : start + KEYS_AT_ONCE]
            fetched = await asyncio.gather(*map(self._key, some))
            keys |= {name: key for name, key in zip(some, fetched, strict=True) if key is not None}
        return keys

    async def _key(self, name: str) -> bytes | None:
        """An account had its key before it was created; an agency gets one when it first needs it."""
        try:
            if name.startswith("account."):
                return await self._keys.get(name)
            return await self._keys.get_or_make(name)
        except KeyForgotten:
            return None


def _decided(
    mail: OpenedMail, whereabouts: list[Destination], means: Means, ended: tuple[int, ...], batch: Batch
) -> list[Fact]:
    facts = decide(mail, whereabouts, means, ended, batch.full_among(whereabouts))
    accounts = {fact.event.account_id for fact in facts if isinstance(fact.event, MailDelivered)}
    batch.delivered(whereabouts, accounts, mail.accepted.message.presented_octets)
    return facts


def _is_mail(recorded: Recorded) -> bool:
    try:
        return isinstance(recorded.event, MailAccepted)
    except (UnknownTopic, MalformedEvent) as error:
        raise Undecidable(recorded, f"{type(error).__name__}: {error}") from error
