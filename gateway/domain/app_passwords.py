"""App passwords: further passwords of an account, one for each program, that may do less and may end.

The password itself is made of 128 random bits and shown once; what is kept of it is a SCRAM verifier in the
KeyStore. The log says that there is one, what it is for and who made it.

Source: issue 2/9 (credentials); RFC 5802 §3 (what is kept), NIST SP 800-63B §3.1.1.
"""

import ipaddress
from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Final, Literal

from msgspec import Struct

from gateway.domain.account import Account
from gateway.domain.aggregate import AggregateEvent
from gateway.domain.events import Instant, Stamp
from gateway.domain.histories import history_of
from gateway.domain.registration import Refused, Registration, Unknown
from gateway.domain.sealing import seal
from gateway.mail.ids import AccountId

APP_PASSWORDS_MAX: Final = 20  # a sign-in by SCRAM tries each of them
LABEL_CHARACTERS_MAX: Final = 100

Protocol = Literal["smtp", "imap", "pop3"]
PROTOCOLS: Final[tuple[Protocol, ...]] = ("smtp", "imap", "pop3")


class AppPasswordSecret(Struct, frozen=True):
    """Sealed under `account.<account_id>`, label `app-password:<account_id>`."""

    label: str  # as its owner calls it: "โทรศัพท์ของสมชาย"


class AppPasswordMade(AggregateEvent, frozen=True, kw_only=True):
    """account.<account_id>: its verifier is in the KeyStore already. Empty protocols, networks: all."""

    TOPIC: ClassVar[str] = "app-password.made/1"

    app_id: str
    sealed: bytes  # AppPasswordSecret
    expires_at: Instant | None = None
    protocols: tuple[Protocol, ...] = ()
    networks: tuple[str, ...] = ()  # CIDR

    def apply(self, aggregate: Account) -> None:
        aggregate.app_passwords.add(self.app_id)


class AppPasswordRevoked(AggregateEvent, frozen=True, kw_only=True):
    """account.<account_id>: it opens nothing any more; its verifier is destroyed after this."""

    TOPIC: ClassVar[str] = "app-password.revoked/1"

    app_id: str

    def apply(self, aggregate: Account) -> None:
        aggregate.app_passwords.remove(self.app_id)


class Use(Struct, frozen=True):
    """What an app password is for, and how long."""

    label: str
    expires_at: datetime | None = None
    protocols: tuple[Protocol, ...] = ()
    networks: tuple[str, ...] = ()


def make_app_password(
    account: Account, position: int, stamp: Stamp, use: Use, *, app_id: str, account_key: bytes, nonce: bytes
) -> Registration:
    """A further password. position: where the account's history ends. Raises Refused."""
    if account.status == "closed":
        raise Refused("the account is closed")
    if len(account.app_passwords) >= APP_PASSWORDS_MAX:
        raise Refused(f"an account has at most {APP_PASSWORDS_MAX} app passwords: revoke one first")
    if not use.label.strip() or len(use.label) > LABEL_CHARACTERS_MAX or not use.label.isprintable():
        raise Refused(f"a label has from 1 to {LABEL_CHARACTERS_MAX} printable characters")
    if use.expires_at is not None and use.expires_at <= stamp.at:
        raise Refused("an app password ends in the future")
    secret = AppPasswordSecret(use.label.strip())
    account.trigger(
        AppPasswordMade,
        stamp,
        app_id=app_id,
        sealed=seal(secret, account_key, nonce=nonce, label=app_password_label(AccountId(account.id))),
        expires_at=use.expires_at,
        protocols=use.protocols,
        networks=_networks(use.networks),
    )
    return _registration(account, position)


def revoke_app_password(account: Account, position: int, stamp: Stamp, app_id: str) -> Registration:
    """It opens nothing any more. Raises Unknown when the account has none of that id."""
    if app_id not in account.app_passwords:
        raise Unknown(f"the account has no app password {app_id}")
    account.trigger(AppPasswordRevoked, stamp, app_id=app_id)
    return _registration(account, position)


def app_password_label(account_id: AccountId) -> str:
    """The label under which AppPasswordSecret is sealed."""
    return f"app-password:{account_id}"


def _networks(said: Sequence[str]) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_network(each, strict=False)) for each in said)
    except ValueError as error:
        raise Refused(f"{error}: a network is such as 192.0.2.0/24") from error


def _registration(account: Account, position: int) -> Registration:
    history, first = history_of(account.id), account.version
    return Registration(account.collect_facts(), {history: position}, {history: first})
