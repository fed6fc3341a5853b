"""Made-up histories: agencies, accounts, mails and what became of them, as the log would hold them.

The same seed gives the same octets: ids, keys and seals are drawn from one generator.
"""

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal

from gateway.adapters.memory.log import MemoryLog
from gateway.domain import codec
from gateway.domain.account import QUOTA_OCTETS_DEFAULT, Account, AccountKind, Role
from gateway.domain.account_status import activate_account, close_account, seal_reason, suspend_account
from gateway.domain.addresses import AddressClaimed, AddressReleased
from gateway.domain.agencies import (
    activate_agency,
    extend_trial,
    set_contact,
    set_limits,
    suspend_agency,
)
from gateway.domain.agency import Agency, NextHop
from gateway.domain.aggregate import A, replay
from gateway.domain.aliases import add_alias, remove_alias
from gateway.domain.app_passwords import Use, make_app_password, revoke_app_password
from gateway.domain.claims import Claim, claim_told
from gateway.domain.credentials import PasswordSet
from gateway.domain.domains import Stand
from gateway.domain.events import (
    Actor,
    AttemptSecret,
    By,
    Content,
    ContentPacked,
    EnvelopeSecret,
    Event,
    LaneOpened,
    MailAccepted,
    MailBounced,
    MailDeferred,
    MailDelivered,
    MailHeld,
    MailQueued,
    MailRelayed,
    MailReleased,
    Message,
    MessageSecret,
    PackEntry,
    Recipient,
    RouterDecided,
    Stamp,
    Wrap,
)
from gateway.domain.forwarding import set_forwarding
from gateway.domain.group import encode_group
from gateway.domain.histories import (
    DUE,
    address_history,
    address_name,
    box_history,
    consumer_history,
    domain_history,
    history_of,
    mail_history,
)
from gateway.domain.refusals import REFUSALS, RecipientRefused, RefusalSecret
from gateway.domain.registration import (
    UNHELD,
    Holding,
    NewAccount,
    Standing,
    register_account,
    register_agency,
)
from gateway.domain.roles import grant_role, revoke_role
from gateway.domain.sealing import seal, wrap
from gateway.domain.signin import access_history
from gateway.domain.steering import Deed, Waiting, steered
from gateway.domain.trial import Step
from gateway.domain.trial_steps import take_step
from gateway.mail.address import Address, parse_address
from gateway.mail.addresslist import HeaderAddress
from gateway.mail.ids import AccountId, AgencyId, MailboxId, MailId, new_id, new_mail_id
from gateway.mail.summary import Envelope, PartSummary, Summary, encode
from gateway.ports import Fact, KeyForgotten, Position, Recorded

BEGIN = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
BY = By("test", "0", "settings")


class Safe:
    """A key store in memory: keys come from the seed, a forgotten one stays so."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._keys: dict[str, bytes | None] = {}
        self.asked = 0

    def key(self, name: str) -> bytes:
        key = self._keys.setdefault(name, self._chance.randbytes(32))
        assert key is not None, name
        return key

    async def get(self, name: str) -> bytes:
        self.asked += 1
        key = self._keys[name]
        if key is None:
            raise KeyForgotten(name)
        return key

    async def get_or_make(self, name: str) -> bytes:
        return self.key(name)

    async def put(self, name: str, secret: bytes) -> None:
        self._keys[name] = secret

    async def put_new(self, secrets: Mapping[str, bytes]) -> None:
        self._keys.update(secrets)

    async def forget(self, name: str) -> None:
        self._keys[name] = None


@dataclass
class Owner:
    """An account, its agency and its address."""

    account_id: AccountId
    agency_id: AgencyId
    inbox_id: MailboxId
    address: str


@dataclass
class Mail:
    """A mail and the key of everything secret in it."""

    mail_id: MailId
    data_key: bytes
    message: Message
    accepted: MailAccepted
    envelope: EnvelopeSecret


@dataclass
class World:
    """Facts go in by `add`; `log` is what a reader would get."""

    seed: int
    log: list[Recorded] = field(default_factory=list)
    accounts: list[Owner] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.keys = Safe(self.chance)
        self.now = BEGIN

    def stamp(self) -> Stamp:
        self.now += timedelta(milliseconds=self.chance.randrange(1, 900))
        return Stamp(self.now, Actor("system", "test"), BY)

    def add(self, *facts: Fact) -> list[Position]:
        for fact in facts:
            position = Position(len(self.log) + 1)
            state = codec.encode(fact.event)
            self.log.append(Recorded(position, f"ev.{fact.subject}", fact.event.TOPIC, state))
        return [event.position for event in self.log[-len(facts) :]]

    def _id(self, prefix: str) -> str:
        return new_id(prefix, self.now, self.chance.randbytes(10))

    # --- who is here ---------------------------------------------------------------------------------

    def agency(
        self, name: str, domain: str, relay_to: NextHop | None = None, trial_days: int | None = None
    ) -> AgencyId:
        agency_id = AgencyId(self._id("ag"))
        made = register_agency(
            agency_id, self.stamp(), name=name, domains=[domain], relay_to=relay_to, trial_days=trial_days
        )
        self.add(*made.facts)
        return agency_id

    def account(
        self,
        agency_id: AgencyId,
        address: str,
        display_name: str = "",
        *,
        kind: AccountKind = "person",
        quota_octets: int = QUOTA_OCTETS_DEFAULT,
    ) -> Owner:
        owner = Owner(
            AccountId(self._id("acc")), agency_id, MailboxId(self._id("mbx")), str(parse_address(address))
        )
        stamp = self.stamp()
        parsed = parse_address(address)
        new = NewAccount(
            owner.account_id,
            owner.inbox_id,
            agency_id,
            parsed,
            display_name,
            kind,
            quota_octets,
            (self.chance.randbytes(12), self.chance.randbytes(12)),
        )
        made = register_account(
            new,
            stamp,
            self._standing(agency_id, parsed, stamp),
            account_key=self.keys.key(f"account.{owner.account_id}"),
            site_key=self.keys.key("site.address"),
        )
        self.add(*made.facts)
        self.accounts.append(owner)
        return owner

    def alias(self, owner: Owner, address: str) -> None:
        stamp, parsed = self.stamp(), parse_address(address)
        account, position = self.aggregate(Account, owner.account_id)
        made = add_alias(
            account,
            position,
            parsed,
            self._standing(owner.agency_id, parsed, stamp),
            stamp,
            account_key=self.keys.key(f"account.{owner.account_id}"),
            site_key=self.keys.key("site.address"),
            nonce=self.chance.randbytes(12),
        )
        self.add(*made.facts)

    def unalias(self, owner: Owner, address: str) -> None:
        account, position = self.aggregate(Account, owner.account_id)
        parsed = parse_address(address)
        self.add(*remove_alias(account, position, parsed, self._holding(parsed), self.stamp()).facts)

    def app_password(self, owner: Owner, use: Use) -> str:
        """The id of a further password of an account."""
        account, position = self.aggregate(Account, owner.account_id)
        app_id = self._id("app")
        made = make_app_password(
            account,
            position,
            self.stamp(),
            use,
            app_id=app_id,
            account_key=self.keys.key(f"account.{owner.account_id}"),
            nonce=self.chance.randbytes(12),
        )
        self.add(*made.facts)
        return app_id

    def revoke_app_password(self, owner: Owner, app_id: str) -> None:
        account, position = self.aggregate(Account, owner.account_id)
        self.add(*revoke_app_password(account, position, self.stamp(), app_id).facts)

    def set_password(
        self, owner: Owner, how: Literal["administrator", "import"] = "administrator"
    ) -> datetime:
        """When."""
        stamp = Stamp(self.stamp().at, Actor("operator", "root"), BY)
        event = PasswordSet(account_id=owner.account_id, how=how, **stamp.fields())
        self.add(Fact(access_history(owner.agency_id), event))
        return stamp.at

    def suspend(self, owner: Owner, reason: str = "ลาออก") -> None:
        account, position = self.aggregate(Account, owner.account_id)
        sealed = self._reason(reason, f"account.{owner.account_id}", owner.account_id)
        self.add(*suspend_account(account, position, self.stamp(), reason=sealed).facts)

    def close(self, owner: Owner, reason: str = "ลาออก") -> None:
        account, position = self.aggregate(Account, owner.account_id)
        address = parse_address(owner.address)
        claim = self.stand(address.normalise().domain).claim
        own = address_name(claim.stem_of(address) if claim else address, self.keys.key("site.address"))
        holdings = [self._holding_of(name) for name in (own, *sorted(account.aliases))]
        sealed = self._reason(reason, f"account.{owner.account_id}", owner.account_id)
        self.add(*close_account(account, position, holdings, self.stamp(), reason=sealed).facts)

    def activate(self, owner: Owner, reason: str = "กลับมาแล้ว") -> None:
        account, position = self.aggregate(Account, owner.account_id)
        made = activate_account(
            account,
            position,
            self._standing(owner.agency_id, parse_address(owner.address), self.stamp()),
            self.stamp(),
            reason=self._reason(reason, f"account.{owner.account_id}", owner.account_id),
            account_key=self.keys.key(f"account.{owner.account_id}"),
            site_key=self.keys.key("site.address"),
            nonce=self.chance.randbytes(12),
        )
        self.add(*made.facts)

    def suspend_agency(self, agency_id: AgencyId, reason: str = "ส่งสแปม") -> None:
        agency, position = self.aggregate(Agency, agency_id)
        sealed = self._reason(reason, f"agency.{agency_id}", agency_id)
        self.add(*suspend_agency(agency, position, self.stamp(), reason=sealed).facts)

    def activate_agency(self, agency_id: AgencyId, reason: str = "พบผู้ส่งแล้ว") -> None:
        agency, position = self.aggregate(Agency, agency_id)
        sealed = self._reason(reason, f"agency.{agency_id}", agency_id)
        self.add(*activate_agency(agency, position, self.stamp(), reason=sealed).facts)

    def trial_step(self, agency_id: AgencyId, step: Step) -> None:
        agency, position = self.aggregate(Agency, agency_id)
        self.add(*take_step(agency, position, step, self.stamp()).facts)

    def extend_trial(self, agency_id: AgencyId, days: int, reason: str = "งบประมาณ") -> None:
        agency, position = self.aggregate(Agency, agency_id)
        sealed, stamp = self._reason(reason, f"agency.{agency_id}", agency_id), self.stamp()
        ends_at = stamp.at + timedelta(days=days)
        self.add(*extend_trial(agency, position, ends_at, stamp, reason=sealed).facts)

    def stand(self, domain: str) -> Stand:
        """A domain as the log tells of it."""
        told = [each for each in self.log if each.subject == f"ev.{domain_history(domain)}"]
        return Stand(domain, claim_told(each.event for each in told), told[-1].position if told else 0)

    def contact(self, owner: Owner) -> None:
        agency, position = self.aggregate(Agency, owner.agency_id)
        account, _ = self.aggregate(Account, owner.account_id)
        named = parse_address(owner.address)
        self.add(*set_contact(agency, position, account, named, self.stamp()).facts)

    def limit(self, agency_id: AgencyId, **changes: int | None) -> None:
        agency, position = self.aggregate(Agency, agency_id)
        self.add(*set_limits(agency, position, changes, self.stamp()).facts)

    def grant(self, owner: Owner, role: Role, agency_id: AgencyId | None) -> None:
        account, position = self.aggregate(Account, owner.account_id)
        sealed = self._reason("รับหน้าที่", f"account.{owner.account_id}", owner.account_id)
        self.add(*grant_role(account, position, role, agency_id, self.stamp(), reason=sealed).facts)

    def revoke(self, owner: Owner, role: Role, agency_id: AgencyId | None) -> None:
        account, position = self.aggregate(Account, owner.account_id)
        sealed = self._reason("พ้นหน้าที่", f"account.{owner.account_id}", owner.account_id)
        self.add(*revoke_role(account, position, role, agency_id, self.stamp(), reason=sealed).facts)

    def forward(self, owner: Owner, *targets: str, keeps_copy: bool = True) -> None:
        account, position = self.aggregate(Account, owner.account_id)
        self.add(
            *set_forwarding(
                account,
                position,
                list(map(parse_address, targets)),
                self.stamp(),
                keeps_copy=keeps_copy,
                account_key=self.keys.key(f"account.{owner.account_id}"),
                nonce=self.chance.randbytes(12),
            ).facts
        )

    def _reason(self, reason: str, key_name: str, originator_id: str) -> bytes:
        return seal_reason(reason, originator_id, self.keys.key(key_name), nonce=self.chance.randbytes(12))

    def aggregate(self, kind: type[A], identifier: str) -> tuple[A, Position]:
        """An aggregate as the log tells of it, and where its history ends."""
        history = [event for event in self.log if event.subject == f"ev.{history_of(identifier)}"]
        found = replay(kind, (recorded.event for recorded in history))
        assert found is not None, identifier
        return found, history[-1].position

    def _holding(self, address: Address) -> Holding:
        return self._holding_of(address_name(address, self.keys.key("site.address")))

    def _holding_of(self, name: str) -> Holding:
        subject = f"ev.{address_history(name)}"
        last = next((event for event in reversed(self.log) if event.subject == subject), None)
        if last is None:
            return UNHELD
        assert isinstance(last.event, AddressClaimed | AddressReleased)
        return Holding(last.event, last.position)

    def _standing(self, agency_id: AgencyId, address: Address, stamp: Stamp) -> Standing:
        agency, position = self.aggregate(Agency, agency_id)
        domain = address.normalise().domain
        claim = self.stand(domain).claim or Claim(domain, agency_id, domain)
        return Standing(agency, position, claim, position + 1, self._holding(claim.stem_of(address)))

    # --- what happens to a mail ----------------------------------------------------------------------

    def accept(
        self, agency_id: AgencyId, mail_from: str | None, rcpt_to: Sequence[str], subject: str = "สวัสดี"
    ) -> Mail:
        stamp, data_key = self.stamp(), self.chance.randbytes(32)
        mail_id = new_mail_id(stamp.at, self.chance.randbytes(10))
        sender = HeaderAddress(None, *(mail_from or "nobody@opm.go.th").rsplit("@", 1))
        summary = Summary(
            Envelope(subject=subject, from_=(sender,), message_id=f"<{mail_id}@opm.go.th>"),
            PartSummary("text", "plain", "7bit", 0, 100, 200),
        )
        octets = self.chance.randrange(300, 50_000)
        front = f"Return-Path: <{mail_from or ''}>\r\n".encode()
        secret = MessageSecret(front, self.chance.randbytes(16), encode(summary))
        message = Message(
            Content(hashlib.sha256(mail_id.encode()).hexdigest(), octets, hint=len(self.log)),
            octets + len(front),
            self._seal(secret, data_key, f"message:{mail_id}"),
            hidden=((10, 20),) if self.chance.random() < 0.1 else (),
        )
        envelope = EnvelopeSecret(mail_from, tuple(rcpt_to), "client.example", "192.0.2.7")
        traffic_key = f"traffic.{agency_id}.202611"
        accepted = MailAccepted(
            mail_id=mail_id,
            agency_id=agency_id,
            recipients=tuple(Recipient(number) for number in range(len(rcpt_to))),
            message=message,
            keys=(self._wrap(f"transit.{agency_id}.20261123", data_key),),
            sealed=self._seal(envelope, data_key, f"envelope:{mail_id}"),
            traffic=self._seal(envelope, self.keys.key(traffic_key), f"traffic:{mail_id}"),
            traffic_key=traffic_key,
            **stamp.fields(),
        )
        self.add(Fact(mail_history(mail_id), accepted))
        return Mail(mail_id, data_key, message, accepted, envelope)

    def deliver(
        self, mail: Mail, owner: Owner, recipients: Sequence[int], mailbox_id: str | None = None
    ) -> MailDelivered:
        delivered = MailDelivered(
            mail_id=mail.mail_id,
            account_id=owner.account_id,
            mailbox_id=MailboxId(mailbox_id or owner.inbox_id),
            recipients=tuple(recipients),
            message=mail.message,
            keys=(self._wrap(f"account.{owner.account_id}", mail.data_key),),
            internal_date=mail.accepted.at,
            **self.stamp().fields(),
        )
        self.add(Fact(box_history(owner.account_id), delivered))
        return delivered

    def queue(
        self, mail: Mail, agency_id: AgencyId | None, recipients: Sequence[int], priority: int = 0
    ) -> MailQueued:
        rcpt_to = tuple(mail.envelope.rcpt_to[number] for number in recipients)
        envelope = EnvelopeSecret(mail.envelope.mail_from, rcpt_to)
        queued = MailQueued(
            mail_id=mail.mail_id,
            recipients=tuple(recipients),
            agency_id=agency_id,
            accepted_by=mail.accepted.agency_id,
            message=mail.message,
            keys=(self._wrap(f"agency.{agency_id or mail.accepted.agency_id}", mail.data_key),),
            sealed=self._seal(envelope, mail.data_key, f"envelope:{mail.mail_id}"),
            accepted_at=mail.accepted.at,
            expires_at=mail.accepted.at + timedelta(days=5),
            priority=priority,
            **self.stamp().fields(),
        )
        self.add(Fact(mail_history(mail.mail_id), queued))
        return queued

    def attempt(
        self, kind: type[MailRelayed] | type[MailDeferred] | type[MailBounced], mail: Mail,
        recipients: Sequence[int], number: int = 1,
    ) -> Event:  # fmt: skip
        stamp = self.stamp()
        outcomes: dict[type[Event], tuple[int, str, dict[str, Any]]] = {
            MailRelayed: (250, "2.0.0", {}),
            MailDeferred: (450, "4.2.1", {"next_attempt_at": stamp.at + timedelta(minutes=number)}),
            MailBounced: (550, "5.1.1", {"reason": "mailbox"}),
        }
        code, status, more = outcomes[kind]
        said = AttemptSecret("mx.dld.go.th", f"{code} said so")
        event = kind(
            mail_id=mail.mail_id,
            recipients=tuple(recipients),
            attempt=number,
            code=code,
            status=status,
            keys=(self._wrap(f"agency.{mail.accepted.agency_id}", mail.data_key),),
            sealed=self._seal(said, mail.data_key, f"attempt:{mail.mail_id}"),
            **more,
            **stamp.fields(),
        )
        self.add(Fact(mail_history(mail.mail_id), event))
        return event

    def steer(self, deed: Deed, mail: Mail, queued: MailQueued, recipients: Sequence[int]) -> None:
        waiting = Waiting(queued, len(self.log), tuple(recipients), is_held=False, next_hop=None)
        nonce = partial(self.chance.randbytes, 12)
        self.add(steered(deed, waiting, self.stamp(), why="ทดสอบ", data_key=mail.data_key, nonce=nonce))

    def noise(self) -> None:
        """What most folds only pass over."""
        fields = self.stamp().fields()
        entry = PackEntry(self.chance.randbytes(32).hex(), 0, 100, len(self.log))
        self.add(
            self.chance.choice(
                (
                    Fact("lane.edge-host-0", LaneOpened(**fields)),
                    Fact("route.0", RouterDecided(up_to=len(self.log), **fields)),
                    Fact(
                        "content",
                        ContentPacked(pack="packs/1", octets=100, digest="00", entries=(entry,), **fields),
                    ),
                )
            )
        )

    def hold_back(self, mail: Mail, span: timedelta) -> Position:
        """Right behind its acceptance; the position of that."""
        position = Position(len(self.log))
        held = MailHeld(**self.stamp().fields(), mail_id=mail.mail_id, hold_until=self.now + span)
        self.add(Fact(mail_history(mail.mail_id), held))
        return position

    def release(self, mail: Mail, accepted: Position) -> None:
        self.add(Fact(DUE, MailReleased(**self.stamp().fields(), mail_id=mail.mail_id, accepted=accepted)))

    def refuse(self, agency_id: AgencyId, mail_from: str | None, rcpt_to: str) -> Position:
        """An address that changed hands after the date a sender asked for."""
        stamp = self.stamp()
        name = f"traffic.{agency_id}.202611"
        secret = RefusalSecret(mail_from, rcpt_to, "192.0.2.9", "client.example")
        event = RecipientRefused(
            **stamp.fields(),
            agency_id=agency_id,
            reason="owner-changed",
            code=550,
            status="5.7.17",
            valid_since=stamp.at - timedelta(days=400),
            owner_since=stamp.at - timedelta(days=10),
            sealed=self._seal(secret, self.keys.key(name), REFUSALS),
            sealed_key=name,
        )
        return self.add(Fact(access_history(agency_id), event))[0]

    def hold(self, consumer: str, event: Event) -> Position:
        return self.add(Fact(consumer_history(consumer), event))[0]

    def _seal(self, secret: object, key: bytes, label: str) -> bytes:
        return seal(secret, key, nonce=self.chance.randbytes(12), label=label)  # type: ignore[arg-type]

    def _wrap(self, name: str, data_key: bytes) -> Wrap:
        return Wrap(name, wrap(data_key, self.keys.key(name)))


def stored(world: World) -> MemoryLog:
    """The world's history in a log."""
    log = MemoryLog()
    for event in world.log:
        log.store(encode_group([Fact(event.subject.removeprefix("ev."), event.event)]))
    return log
